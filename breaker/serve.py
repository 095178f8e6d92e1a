"""The running breaker: its parts, its background jobs, its HTTP face."""

import logging
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from flask import Flask

from breaker.app import Deliveries, create
from breaker.health import Health
from breaker.metrics import Metrics
from breaker.mode import ModeSwitch
from breaker.outbox import Outbox
from breaker.record import Record
from breaker.settings import BreakerSettings
from breaker.store import RecordError, Store
from breaker.trip import Disable, Trips
from newapi.database import Database
from newapi.switch import disable_channel
from service.jobs import Jobs
from service.settings import SettingError
from service.web import Page, serve

log = logging.getLogger(__name__)

STATEMENT_TIMEOUT = 2.0
"""Seconds at most: a trip is a connection (5 s at most) and a few statements by primary key, and
Alertmanager is to be answered within 8 s."""

CHECK_EVERY = 5
POST_EVERY = 1
FORGET_EVERY = 3600
_DAY = 24 * 3600


class Breaker:
    """All parts of one breaker, not yet running.

    Args:
        settings: as loaded.
        disable: disables a channel.
        clock: gives unix seconds.
        new_id: gives an id that no other trip of any breaker has.

    Raises:
        SettingError: the record cannot be opened.
    """

    def __init__(
        self,
        settings: BreakerSettings,
        *,
        disable: Disable = disable_channel,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: secrets.token_hex(4),
    ) -> None:
        self._settings = settings
        self._clock = clock
        try:
            self.store = Store(settings.breaker_state, writable=True)
        except RecordError as error:
            raise SettingError(f"BREAKER_STATE: {error}") from None
        self.record = Record(self.store)
        self.mode = ModeSwitch(settings.breaker_mode, settings.breaker_state / "mode")
        self.database = Database(
            settings.database,
            statement_timeout=min(settings.db_statement_timeout, STATEMENT_TIMEOUT),
            writable=True,
        )
        self.health = Health(self.database, self.mode, clock)
        self.trips = Trips(
            self.database,
            self.record,
            mode=self.mode,
            disable=disable,
            language=settings.monitor_lang,
            clock=clock,
            new_id=new_id,
        )
        self.outbox: Outbox | None = None
        if settings.alertmanager_url is not None:
            source = str(settings.grafana_url) if settings.grafana_url is not None else None
            self.outbox = Outbox(self.store, str(settings.alertmanager_url), source, clock)
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="trips")
        self._metrics = Metrics(self.record, self.mode)

    def app(self) -> Flask:
        """Make the WSGI application."""
        deliveries = Deliveries(self.trips, self._worker, self._metrics)
        token = self._settings.breaker_token
        return create(deliveries, token, self._metrics, self.health.reasons, self._page)

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT.

        Raises:
            SettingError: the address cannot be listened on.
        """
        jobs = Jobs()
        if self.outbox is not None:
            jobs.every(POST_EVERY, self.outbox.post)
        jobs.every(CHECK_EVERY, self.health.check)
        jobs.every(FORGET_EVERY, self.forget)
        try:
            serve(
                self.app(),
                self._settings.breaker_listen,
                threads=8,
                started=lambda url: self._begin(jobs, url),
            )
        finally:
            jobs.stop()
            self.close()

    def forget(self) -> None:
        """Delete what is older than the history.

        Raises:
            RecordError: the record cannot be written.
        """
        days = self._settings.breaker_history_days
        self.record.forget(int(self._clock()) - days * _DAY)

    def close(self) -> None:
        """End the work that is under way, and close what is open."""
        self._worker.shutdown(cancel_futures=True)
        if self.outbox is not None:
            self.outbox.close()
        self.database.close()
        self.store.close()

    def _begin(self, jobs: Jobs, url: str) -> None:
        log.info("serving %s, mode %s, guarding %s", url, self.mode(), self.database.name)
        jobs.start()

    def _page(self) -> Page:
        settings = self._settings
        url = settings.alertmanager_url
        facts = [
            ("Mode", str(self.mode())),
            ("Database", self.database.name),
            ("Held", ", ".join(f"{kind} {n}" for kind, n in self.record.held()) or "nothing"),
            ("Record", f"{self.store.path}, {settings.breaker_history_days} days"),
            ("Outcomes go to", f"{url.host}:{url.port}" if url is not None else "the record only"),
        ]
        return Page(
            "New API Monitor: breaker",
            "Disables a channel when an alert rule with an action fires.",
            facts,
            [("/metrics", "metrics"), ("/-/ready", "ready"), ("/-/healthy", "healthy")],
        )
