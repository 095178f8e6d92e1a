"""The HTTP face of the breaker: POST /alerts, beside what both programs serve."""

import hmac
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import wait

from flask import Flask, Response, abort, request
from pydantic import SecretStr

from breaker.decision import Decision, Result
from breaker.metrics import Metrics
from breaker.outcome import describe
from breaker.store import RecordError
from breaker.trip import Trips
from breaker.webhook import Alert, Webhook, WebhookError, parse
from breaker.worker import Worker
from service.log import OncePerMinute
from service.server import Known
from service.web import Exposition, Page, create_app, read_body

log = logging.getLogger(__name__)

ANSWER_WITHIN = 7.0
"""Seconds; Alertmanager gives up after 10 (MinTimeout in dispatch/dispatch.go)."""

THREADS = 32
"""Requests that are answered at the same time."""

PATIENT = 4
"""Requests that wait for their turn until ANSWER_WITHIN: a database that says nothing must leave
threads to all others, since a request that waits for a thread is not answered in time either."""

IMPATIENT = 1.0
"""Seconds that further requests wait, or the worker is at one thing, until they are told to come
back; a trip is a matter of milliseconds."""

BODY_LIMIT = 2**20
"""Bytes of a webhook; an alert of ours is about 2 kB."""


class NotDoneError(Exception):
    """Some alert is not done, and is to be delivered again; its text is one line."""


class Deliveries:
    """Has the alerts of a webhook handled, and answers in time whatever the databases do.

    Args:
        trips: handles one alert.
        worker: in which alerts that may touch the gateway's database take turns.
        metrics: told how long those took.
    """

    def __init__(self, trips: Trips, worker: Worker, metrics: Metrics) -> None:
        self._trips = trips
        self._worker = worker
        self._metrics = metrics
        self._seats = threading.Semaphore(PATIENT)

    def handle(self, webhook: Webhook) -> list[str]:
        """Handle all alerts of a webhook.

        Returns:
            A line for each.

        Raises:
            NotDoneError: one failed, or took too long; what is under way goes on.
        """
        deadline = time.monotonic() + ANSWER_WITHIN
        decisions = [(alert, self._decide(alert, deadline)) for alert in webhook.alerts]
        lines = [describe(alert, decision) for alert, decision in decisions]
        if any(decision.result is Result.FAILED for _, decision in decisions):
            raise NotDoneError("; ".join(lines))
        return lines

    def _decide(self, alert: Alert, deadline: float) -> Decision:
        try:
            if time.monotonic() > deadline:
                raise NotDoneError("not done in time; deliver it again")
            if not alert.for_breaker:  # recorded only; it need not wait for its turn
                return self._trips.handle(alert)
            return self._in_turn(alert, deadline)
        except RecordError as error:
            log.error("%s", error)  # noqa: TRY400  (a stack would say no more)
            raise NotDoneError("the breaker's record cannot be used") from None

    def _in_turn(self, alert: Alert, deadline: float) -> Decision:
        future = self._worker.submit(self._timed, alert)
        seated = self._seats.acquire(blocking=False)
        try:
            begun = time.monotonic()
            while (pause := self._patience(begun, deadline, seated=seated)) > 0:
                if wait([future], pause).done:
                    return future.result()
        finally:
            if seated:
                self._seats.release()
        # What has begun goes on to its end; the next delivery finds its result.
        future.cancel()
        raise NotDoneError("not done in time; deliver it again")

    def _patience(self, begun: float, deadline: float, *, seated: bool) -> float:
        """Give the seconds for which a request goes on waiting at least."""
        now = time.monotonic()
        if seated:
            return deadline - now
        waited = max(now - begun, self._worker.busy_for())
        return min(IMPATIENT - waited, deadline - now)

    def _timed(self, alert: Alert) -> Decision:
        with self._metrics.duration.time():
            return self._trips.handle(alert)


def bearer(token: SecretStr) -> Known:
    """Give what tells whether an Authorization presents a token, in constant time."""
    expected = f"Bearer {token.get_secret_value()}".encode()
    return lambda authorization: hmac.compare_digest(authorization.encode(), expected)


def create(
    deliveries: Deliveries,
    known: Known,
    metrics: Metrics,
    ready: Callable[[], list[str]],
    page: Callable[[], Page],
) -> Flask:
    """Make the WSGI application.

    Args:
        deliveries: handles webhooks.
        known: tells Alertmanager by its Authorization.
        metrics: the page /metrics.
        ready: gives the reasons why the breaker is not ready.
        page: gives what / shows.
    """

    def exposition(accept: str) -> Exposition | None:
        try:
            return metrics.render(accept)
        except RecordError as error:
            log.error("%s", error)  # noqa: TRY400  (a stack would say no more)
            return None

    app = create_app(ready, page, {"/metrics": exposition})
    strangers = OncePerMinute(log)

    @app.post("/alerts")
    def alerts() -> Response:
        if not known(request.headers.get("Authorization", "")):
            strangers.warning("POST /alerts without BREAKER_TOKEN was refused", time.monotonic())
            answer = _answer(["the bearer token is missing or wrong"], 401)
            answer.headers["WWW-Authenticate"] = "Bearer"
            return answer
        try:
            webhook = parse(read_body(BODY_LIMIT))
        except WebhookError as error:
            log.warning("%s", error)
            abort(400, str(error))
        try:
            return _answer(deliveries.handle(webhook), 200)
        except NotDoneError as error:
            return _answer([str(error)], 503)

    return app


def _answer(lines: list[str], status: int) -> Response:
    body = "".join(f"{line}\n" for line in lines)
    return Response(body, status, content_type="text/plain; charset=utf-8")
