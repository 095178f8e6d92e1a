"""The running exporter: its parts, its background jobs, its HTTP face."""

import gc
import logging
import time
from importlib.metadata import version

from exporter.account import Account
from exporter.exposition.alerts import AlertCollector
from exporter.exposition.inventory import InventoryCollector
from exporter.exposition.logs import LogText, UnavailableCollector
from exporter.exposition.monitor import MonitorCollector
from exporter.exposition.pages import page
from exporter.exposition.targets import TargetText
from exporter.exposition.today import TodayCollector
from exporter.fill import Filler
from exporter.ledger import Ledger
from exporter.poll import Poller
from exporter.readings import Readings
from exporter.rulebook import Rulebook
from exporter.settings import ExporterSettings
from exporter.state import State, StateError
from exporter.status import OwnFault, Status
from exporter.stock import Stock
from exporter.windows import Window
from newapi.database import Database
from service.jobs import Jobs
from service.settings import SettingError
from service.web import Exposition, Page, create_app, serve

log = logging.getLogger(__name__)

COLLECT_EVERY = 50_000
"""New objects after which Python looks for cycles. A page of rows makes many, none in a cycle: at
its usual 700 (Python 3.11) a third of the time of catching up went into looking."""

EXPIRE_EVERY = 60
"""Seconds between clean-ups of the windows."""


class Exporter:
    """All parts of one exporter, not yet running.

    Raises:
        SettingError: the state folder cannot be used, or a DSN cannot be read.
    """

    def __init__(self, settings: ExporterSettings) -> None:
        timeout = settings.db_statement_timeout
        self.database = Database(settings.gateway(), statement_timeout=timeout)
        self.logs = self.database
        if settings.log_database() != settings.gateway():
            self.logs = Database(settings.log_database(), statement_timeout=timeout)
        try:
            self.state = State(settings.exporter_state)
            self.ledger = Ledger(
                self.state,
                settings.tz,
                settings.new_series_hold,
                settings.max_series_per_metric,
                time.time,
            )
        except StateError as error:
            raise SettingError(f"EXPORTER_STATE: {error}") from None
        apart = self.logs is not self.database
        self.accounts = [Account(self.database, holds_logs=not apart, holds_inventory=True)]
        if apart:
            self.accounts.append(Account(self.logs, holds_logs=True, holds_inventory=False))
        self.status = Status()
        self.rulebook = Rulebook(
            settings.alerts_file, settings.exporter_state / "alerts.yml", self.status, settings.tz
        )
        self.stock = Stock(self.database, self.logs, self.ledger, self.status, time.time)
        self.filler = Filler(self.ledger, time.time)
        self.poller = Poller(self.logs, self.ledger, self.filler, self.status, time.time)
        self._settings = settings

    def poll(self) -> None:
        """Follow the rules, then the log table."""
        if self.rulebook.refresh():
            rules, zone = self.rulebook.rules, self.rulebook.zone
            self.poller.follow(Window.of(rule, zone) for rule in rules if rule.has_window)
            self.stock.seen.follow(rules, time.time())
        self.poller.poll()

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT.

        Raises:
            SettingError: the address cannot be listened on.
        """
        settings = self._settings
        gc.set_threshold(COLLECT_EVERY, *gc.get_threshold()[1:])
        render = page(
            UnavailableCollector(self.ledger, self.status),
            TodayCollector(self.ledger, self.filler, self.status),
            InventoryCollector(self.stock, self.ledger),
            MonitorCollector(self.ledger, self.status, settings.tz.key),
            text=LogText(self.ledger, self.status),
        )
        readings = Readings(self.ledger, self.filler, self.stock, time.time)
        render_alerts = page(
            AlertCollector(self.rulebook, readings, self.status, self.stock, time.time),
            text=TargetText(self.rulebook, readings),
        )

        def metrics(accept: str) -> Exposition | None:
            return render(accept) if self.status.can_tell else None

        def alerts(accept: str) -> Exposition | None:
            return render_alerts(accept) if self.status.can_tell else None

        jobs = Jobs()
        app = create_app(
            lambda: [*self.status.reasons(), *jobs.reasons()],
            self._page,
            {"/metrics": metrics, "/metrics/alerts": alerts},
        )
        jobs.every(settings.poll_interval, self.poll)
        jobs.every(settings.poll_interval, self.stock.read)
        jobs.every(EXPIRE_EVERY, self._expire)
        jobs.every(EXPIRE_EVERY, self._look_at_accounts)
        try:
            serve(
                app, settings.exporter_listen, threads=8, started=lambda url: self._begin(jobs, url)
            )
        finally:
            jobs.stop()
            self.state.close()

    def _begin(self, jobs: Jobs, url: str) -> None:
        settings = self._settings
        log.info("serving %s, reading %s, days in %s", url, self.logs.name, settings.tz.key)
        if settings.backfill_days and self.ledger.counting_since is None:
            log.warning(
                "BACKFILL_DAYS=%d is not read by serve: counting begins with the next row;"
                " for history stop now and run newapi-exporter backfill first",
                settings.backfill_days,
            )
        jobs.start()

    def _look_at_accounts(self) -> None:
        for account in self.accounts:
            account.look()

    def _expire(self) -> None:
        try:
            self.ledger.expire()
        except StateError as error:
            self.status.failed("state", OwnFault.STATE, f"state: {error}")

    def _page(self) -> Page:
        schema, inventory = self.status.logs, self.stock.inventory
        facts = [
            ("Gateway", schema.flavour.value if schema is not None else "not read yet"),
            ("Database", self.database.name),
            ("Log database", self.logs.name),
            ("Log rows read since start", f"{self.status.rows_read:,}"),
            ("Everything counted until", _moment(self.status.counted_until)),
            ("Counting since", _moment(self.ledger.counting_since or 0)),
            ("Channels", str(len(inventory.channels)) if inventory is not None else "not read yet"),
            ("Alert rules", f"{len(self.rulebook.rules)} in {self.rulebook.path}"),
            *(
                [("Mistake in the alert rules", problem)]
                if (problem := self.rulebook.problem)
                else ()
            ),
            ("Time zone of days", self._settings.tz.key),
            ("Version", version("newapi-monitor")),
        ]
        return Page(
            "New API Monitor: exporter",
            "Turns the gateway's log table into exact counters for Prometheus.",
            facts,
            [
                ("/metrics", "metrics"),
                ("/metrics/alerts", "series that alerts rest on"),
                ("/-/ready", "ready"),
                ("/-/healthy", "healthy"),
            ],
        )


def _moment(seconds: float) -> str:
    if not seconds:
        return "not yet"
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
