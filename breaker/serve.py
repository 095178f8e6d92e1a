"""The running breaker: its parts, its background jobs, its HTTP face."""

import logging
import secrets
import time
from collections.abc import Callable, Mapping

from flask import Flask

from breaker.app import THREADS, Deliveries, bearer, create
from breaker.confirm import Confirmation
from breaker.decision import TripState
from breaker.guards import Guards, Protected
from breaker.health import Health
from breaker.keeper import Keeper
from breaker.metrics import Metrics
from breaker.mode import ModeSwitch
from breaker.outbox import Outbox
from breaker.parts import Parts
from breaker.settings import BreakerSettings
from breaker.switchboard import default_switches
from breaker.trip import Trips
from breaker.worker import Worker
from newapi.database import Database, DatabaseError
from newapi.switch import Kind, NotVerifiedError, Switch
from service.jobs import Jobs
from service.web import Page, serve

log = logging.getLogger(__name__)

CHECK_EVERY = 5
HOLD_EVERY = 3
CONFIRM_EVERY = 5
POST_EVERY = 1
FORGET_EVERY = 3600
STOP_WITHIN = 8
"""Seconds for the background jobs that run, of the 10 that Docker gives."""
_DAY = 24 * 3600


class Breaker:
    """All parts of one breaker, not yet running.

    Args:
        settings: as loaded.
        switches: one for each kind.
        clock: gives unix seconds.
        new_id: gives an id that no other trip of any breaker has.

    Raises:
        SettingError: the record cannot be opened.
    """

    def __init__(
        self,
        settings: BreakerSettings,
        *,
        switches: Mapping[Kind, Switch] | None = None,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: secrets.token_hex(4),
    ) -> None:
        self._settings = settings
        self._clock = clock
        switches = switches or default_switches()
        self._parts = parts = Parts(settings, switches, clock)
        self.store, self.record = parts.store, parts.record
        self.database, self.board = parts.database, parts.board
        self.teller = parts.teller
        self.mode = ModeSwitch(settings.breaker_mode, settings.breaker_state / "mode")
        language = settings.monitor_lang
        self.health = Health(
            self.database, self.store, switches, _needed(settings), mode=self.mode, clock=clock
        )
        self.keeper = Keeper(
            parts.board,
            parts.record,
            parts.releases,
            mode=self.mode,
            language=language,
            clock=clock,
        )
        self.trips = Trips(
            parts.board,
            parts.record,
            self.keeper,
            _guards(settings),
            mode=self.mode,
            language=language,
            clock=clock,
            new_id=new_id,
        )
        self._logs = self.database
        if settings.log_sql_dsn is not None:
            timeout = settings.db_statement_timeout
            self._logs = Database(settings.log_database, statement_timeout=timeout)
        self.confirmation = Confirmation(self._logs, parts.record, language=language, clock=clock)
        self.outbox: Outbox | None = None
        if settings.alertmanager_url is not None:
            source = str(settings.grafana_url) if settings.grafana_url is not None else None
            self.outbox = Outbox(
                self.store, str(settings.alertmanager_url), source, clock, self.teller.waiting
            )
        self._known = bearer(settings.breaker_token)
        self._worker = Worker()
        self._metrics = Metrics(
            self.record, self.mode, self.outbox.waiting if self.outbox is not None else None
        )

    def app(self, failing: Callable[[], list[str]] = list) -> Flask:
        """Make the WSGI application.

        Args:
            failing: names the background jobs that fail, for readiness.
        """
        deliveries = Deliveries(self.trips, self._worker, self._metrics)
        return create(
            deliveries,
            self._known,
            self._metrics,
            lambda: [*self.health.reasons(), *failing()],
            self._page,
        )

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT.

        Raises:
            SettingError: the address cannot be listened on.
        """
        jobs = self.jobs()
        try:
            serve(
                self.app(lambda: [reason for one in jobs for reason in one.reasons()]),
                self._settings.breaker_listen,
                threads=THREADS,
                known=self._known,
                started=lambda url: self._begin(jobs, url),
            )
        finally:
            deadline = time.monotonic() + STOP_WITHIN
            for one in jobs:
                one.stop(max(0.0, deadline - time.monotonic()))
            self.close()

    def jobs(self) -> list[Jobs]:
        """Make the background jobs, not yet running.

        Each in a thread of its own: notices wait for no database, and what is held does not wait
        for the database of the log table.
        """
        notices, holding, confirming = Jobs(), Jobs(), Jobs()
        if self.outbox is not None:
            notices.every(POST_EVERY, self.outbox.post)
        holding.every(CHECK_EVERY, self.health.check)
        holding.every(HOLD_EVERY, self.hold)
        holding.every(FORGET_EVERY, self.forget)
        confirming.every(CONFIRM_EVERY, self.confirmation.look)
        return [notices, holding, confirming]

    def hold(self) -> None:
        """Look at everything that is held.

        Raises:
            RecordError: the record cannot be read or written.
        """
        self.keeper.look_at_all(self._worker)
        for trip in self.record.incidents.writing():
            try:
                self._worker.submit(self._settle, trip.id).result()
            except DatabaseError:  # /-/ready says it, and the next delivery does
                return
            except NotVerifiedError as error:
                log.warning("trip %s: %s", trip.id, error)

    def _settle(self, trip_id: str) -> None:
        trip = self.record.incidents.get(trip_id)
        if trip is not None and trip.state is TripState.WRITING:  # still, now that it is its turn
            self.trips.settle(trip)

    def forget(self) -> None:
        """Delete what is older than the history.

        Raises:
            RecordError: the record cannot be written.
        """
        days = self._settings.breaker_history_days
        now = int(self._clock())
        self.record.forget(now - days * _DAY, now)

    def close(self) -> None:
        """End the work that is under way, and close what is open."""
        self._worker.shutdown(cancel_futures=True)
        if self.outbox is not None:
            self.outbox.close()
        if self._logs is not self.database:
            self._logs.close()
        self._parts.close()

    def _begin(self, jobs: list[Jobs], url: str) -> None:
        log.info("serving %s, mode %s, guarding %s", url, self.mode(), self.database.name)
        for one in jobs:
            one.start()

    def _page(self) -> Page:
        settings = self._settings
        url = settings.alertmanager_url
        facts = [
            ("Mode", str(self.mode())),
            ("Database", self.database.name),
            ("Held", ", ".join(f"{kind} {n}" for kind, n in self.record.held()) or "nothing"),
            ("Protected", ", ".join(_protected(settings)) or "nothing"),
            ("Trips allowed", f"{settings.breaker_max_trips_per_hour} an hour"),
            *((f"Without {kind}s", why) for kind, why in self.health.without.items()),
            ("Record", f"{self.store.path}, {settings.breaker_history_days} days"),
            ("Outcomes go to", f"{url.host}:{url.port}" if url is not None else "the record only"),
        ]
        return Page(
            "New API Monitor: breaker",
            "Disables a channel or an API key when an alert rule with such an action fires.",
            facts,
            [("/metrics", "metrics"), ("/-/ready", "ready"), ("/-/healthy", "healthy")],
        )


def _guards(settings: BreakerSettings) -> Guards:
    return Guards(
        Protected(
            channels=settings.breaker_protected_channels,
            api_keys=settings.breaker_protected_api_keys,
            groups=settings.breaker_protected_groups,
        ),
        trips_per_hour=settings.breaker_max_trips_per_hour,
        alert_age=settings.breaker_max_alert_age,
    )


def _protected(settings: BreakerSettings) -> list[str]:
    return [
        *(f"channel {name}" for name in settings.breaker_protected_channels),
        *(f"API key {name}" for name in settings.breaker_protected_api_keys),
        *(f"group {name}" for name in settings.breaker_protected_groups),
    ]


def _needed(settings: BreakerSettings) -> list[tuple[str, str]]:
    """Give the columns without which what is protected could not be told."""
    protected = {
        ("channels", "name"): settings.breaker_protected_channels,
        ("tokens", "name"): settings.breaker_protected_api_keys,
    }
    needed = [
        column for column, names in protected.items() if not all(name.isdigit() for name in names)
    ]
    return [*needed, ("channels", "group")] if settings.breaker_protected_groups else needed
