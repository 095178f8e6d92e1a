"""Counters stay the sums of what was committed, whatever happens to exporter and database."""

import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.pool import Pool

from demo.schema import create
from exporter.position import LOOKS
from newapi.database import Database, DatabaseError
from newapi.dsn import parse_dsn
from tests.oracle import differences, newapi_sums
from tests.programs import Exporter
from tests.servers import MariaDB, Postgres, Server
from tests.servers.process import wait_until
from tests.torture.scraper import Scraper
from tests.torture.writers import TRUTH, Crew, delete, prepare

SEED = 20_250_601


@dataclass(frozen=True)
class Plan:
    """What a run does to whom.

    Args:
        steps: in an order that the seed shuffles.
        pause: seconds between two steps, at most.
        hold: seconds for which a transaction stays open, at most.
    """

    steps: tuple[str, ...]
    pause: float
    hold: float


SHORT = Plan(
    ("kill", "kill", "kill", "kill", "restart", "crash", "clear some", "clear all"), 1.5, 2
)
LONG = Plan(
    ("kill",) * 60 + ("restart", "crash") * 10 + ("clear some", "clear all") * 5, 10, 20
)  # fmt: skip


class Torture:
    """One run against one database."""

    def __init__(self, dsn: str, server: Server | None, plan: Plan) -> None:
        self.dsn = dsn
        self.server = server
        self.plan = plan
        self.rng = random.Random(f"torture {SEED}")
        self.url = parse_dsn(dsn)
        self.database = Database(self.url, writable=True)
        self.exporter = Unawaited({"SQL_DSN": dsn, "POLL_INTERVAL": "1", "NEW_SERIES_HOLD": "1"})
        several = self.url.get_backend_name() != "sqlite"  # SQLite has one writer and one clock
        create(self.url)
        prepare(self.url)
        self.crew = Crew(self.url, SEED, 8, plan.hold if several else 0.05, 3 if several else 0)
        self.scraper = Scraper(f"{self.exporter.url}/metrics")
        self.deleted = 0
        self.cleared = 0
        self.deleting = threading.Lock()

    def run(self) -> None:
        with ExitStack() as stack:
            stack.callback(self.database.close)
            stack.enter_context(self.exporter)
            wait_until(self.exporter.ready, 20)
            stack.enter_context(self.scraper)
            with self._cleaner(), self.crew:
                for step in self._steps():
                    getattr(self, f"_{step.partition(' ')[0]}")(*step.split()[1:])
            self._equal()
            self._kill()
            self._equal()
        self._assert_enough_happened()
        assert self.scraper.faults == []
        assert len(self.scraper.beginnings) <= 1 + self.cleared
        unexpected = self.exporter.output.partition("Traceback")
        assert not unexpected[1], "".join(unexpected)[-5000:]

    def _steps(self) -> Iterator[str]:
        known = [step for step in self.plan.steps if self.server or step in OF_THE_EXPORTER]
        for step in self.rng.sample(known, len(known)):
            threading.Event().wait(self.rng.random() * self.plan.pause)
            yield step

    def _kill(self) -> None:
        """Kill the exporter at whatever it does, be it that it just starts."""
        assert self.exporter.running
        self.exporter.stop(crash=True)
        self.exporter.start()

    def _restart(self) -> None:
        self._again(crash=False)

    def _crash(self) -> None:
        self._again(crash=True)

    def _again(self, *, crash: bool) -> None:
        assert self.server is not None
        self.server.stop(crash=crash)
        self.server.start()

    def _clear(self, what: str) -> None:
        """Delete the newest rows, once they are counted; at times while the exporter is down."""
        self.crew.pause()
        self._equal()
        if down := self.rng.random() < 0.5:
            self.exporter.stop(crash=True)
        newest = f"(SELECT created_at FROM {TRUTH} ORDER BY id DESC LIMIT 1)"
        where = f" WHERE created_at <= {newest}" if what == "some" else ""
        with self.deleting:
            with self.database.begin() as connection:
                self.deleted += connection.execute(text(f"DELETE FROM logs{where}")).rowcount
            self.crew.settled(math.inf)  # where ids start again, these are to be those of new rows
        self.cleared += 1
        self.crew.resume()
        if down:
            threading.Event().wait(self.rng.random() * self.plan.pause)
            self.exporter.start()

    @contextmanager
    def _cleaner(self) -> Iterator[None]:
        """Delete old rows all the time, those that were surely counted."""
        stop, rng = threading.Event(), random.Random(f"cleaner {SEED}")
        counted_late = next(look for look in LOOKS if look > self.plan.hold + 1)
        database = Database(self.url, writable=True)

        def clean() -> None:
            while not stop.wait(rng.random()):
                self._clean(database, self.scraper.counted_until - counted_late)

        thread = threading.Thread(target=clean, name="cleaner")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            database.close()

    def _clean(self, database: Database, before: float) -> None:
        with self.deleting:
            ids = self.crew.settled(before)
            while ids:
                try:
                    self.deleted += delete(database, ids[:100])
                except DatabaseError:  # the server is away
                    time.sleep(0.05)
                else:
                    ids = ids[100:]

    def _equal(self) -> None:
        """Wait until every counter is what was committed, and hold it to that."""
        expected = newapi_sums(self.dsn, TRUTH)
        found: list[str] = ["not read yet"]

        def same() -> bool:
            try:
                found[:] = differences(self.exporter.metrics(), expected)
            except OSError:
                return False
            return not found

        try:
            wait_until(same, LOOKS[-1] + 20 if self.plan is LONG else 20)
        except TimeoutError:
            assert found == []
            raise

    def _assert_enough_happened(self) -> None:
        with self.database.connect() as connection:
            written: Any = connection.execute(text(f"SELECT COUNT(*) FROM {TRUTH}")).scalar()
        self.database.close()
        assert written > 200
        assert self.deleted > 100
        assert self.crew.rolled_back > 3
        assert self.scraper.pages > 10
        assert self.scraper.outages > 1
        if self.server is not None:
            assert self.crew.failed > 0


OF_THE_EXPORTER = {"kill", "clear some", "clear all"}


class Unawaited(Exporter):
    """Started without waiting for it, so that it can be killed while it starts."""

    def ready(self) -> bool:
        return super().answers()

    def answers(self) -> bool:
        return True


def torture(request: pytest.FixtureRequest, dsn: str, plan: Plan) -> None:
    kind = parse_dsn(dsn).get_backend_name()
    fixture = {"mysql": "mariadb", "postgresql": "postgres"}.get(kind)
    server: Server | None = request.getfixturevalue(fixture) if fixture else None
    Torture(dsn, server, plan).run()


def test_counters_survive_kills_restarts_and_deletions(
    request: pytest.FixtureRequest, gateway_url: str
) -> None:
    torture(request, gateway_url, SHORT)


@pytest.mark.torture
def test_counters_survive_them_for_long(request: pytest.FixtureRequest, gateway_url: str) -> None:
    torture(request, gateway_url, LONG)


KILL = {
    "mariadb": ("SELECT connection_id()", "KILL {}"),
    "postgres": ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend({})"),
}


@pytest.mark.parametrize("kind", KILL)
def test_a_connection_that_dies_as_it_is_given_back_is_a_fault_and_no_loss(
    request: pytest.FixtureRequest, kind: str
) -> None:
    server: MariaDB | Postgres = request.getfixturevalue(kind)
    database = Database(parse_dsn(server.create_database("dying")))
    who, kill = KILL[kind]
    for _ in range(3):  # there are two connections
        with suppress(DatabaseError), database.connect() as connection:
            number = connection.execute(text(who)).scalar()
            with given_back(partial(server.execute, kill.format(number))):
                connection.close()
    with database.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    database.close()
    server.drop_database("dying")


@contextmanager
def given_back(happens: Callable[[], None]) -> Iterator[None]:
    """Have something happen in the moment in which a connection goes back to its pool."""

    def reset(*_: object) -> None:
        happens()

    event.listen(Pool, "reset", reset)
    try:
        yield
    finally:
        event.remove(Pool, "reset", reset)
