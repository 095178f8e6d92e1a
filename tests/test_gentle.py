"""The gateway's database hardly notices the exporter: plans, rows examined, locks, memory."""

import itertools
import json
import re
import sqlite3
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import pytest
from sqlalchemy import Connection, CursorResult, Engine, event, text
from sqlalchemy import inspect as look_at

from exporter.backfill import boundary, past
from exporter.failed import SETTLE_AFTER
from exporter.spans import Rolling
from exporter.windows import Window
from newapi.database import Database
from newapi.dsn import parse_dsn
from newapi.logs import LogTable
from newapi.rows import LogRow, LogType
from newapi.schema import inspect
from tests.bulk import MANAGE, OTHER, drop_unread_indexes, fill
from tests.follower import NOON, REQUEST, Follower
from tests.gateway import gateway_at
from tests.programs import Exporter, Program, Series
from tests.servers import MariaDB, Postgres
from tests.servers.process import wait_until

PRIMARY, CREATED_AT, REQUEST_ID = "primary key", "created_at", "request_id"
WHOLE = "whole table"
END = "first or last row"
"""By the primary key, from either end."""

SIZES = (10_000, 100_000)
"""Rows of the log tables that are compared."""

MILLION = 1_000_000
AT_ONCE = 1000
"""Rows of one answer at most: until it is read, nobody can commit on SQLite."""

ALLOWED = 200 * 2**20
"""Bytes of memory."""

PATIENCE = 240
"""Seconds that reading a million rows may take on a machine that is busy with other things."""

NONE: Series = frozenset()
RULE = """
rules:
  - {name: All, type: token_usage, channel: "*", period: 24h, threshold: 1000000000}
"""

READS = {
    "after": PRIMARY,
    "within": PRIMARY,
    "among": PRIMARY,
    "newest": PRIMARY,
    "oldest": PRIMARY,
    "since": CREATED_AT,
    "first_between": CREATED_AT,
    "succeeded": REQUEST_ID,
    "failed_after": REQUEST_ID,
}
"""What each way of reading the log table goes by."""


@dataclass(frozen=True)
class Statement:
    """A statement on the log table as it was carried out, and the function that asked for it."""

    asked_by: str
    sql: str
    parameters: Any

    @property
    def of_an_end(self) -> bool:
        """Whether it asks for the first row or the last."""
        return "ORDER BY id" in self.sql and "WHERE" not in self.sql


@contextmanager
def overheard() -> Iterator[list[Statement]]:
    """Gives all statements on the log table that this process carries out meanwhile."""
    found: list[Statement] = []

    def hear(_: Connection, _cursor: Any, sql: str, parameters: Any, *_more: Any) -> None:
        frame, asked_by = sys._getframe(), ""
        while frame.f_back is not None:
            where, _dot, name = frame.f_code.co_qualname.rpartition(".")
            asked_by = name if where == LogTable.__name__ else asked_by
            frame = frame.f_back
        if asked_by:
            found.append(Statement(asked_by, sql, parameters))

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", hear)


def read_in_every_way(url: str, folder: Path, rows: int) -> list[Statement]:
    """Have the exporter read a log table of so many old rows, and everything that may befall it."""
    follower = Follower(url, folder, windows=[Window("channel", ("*",), Rolling(3600))])
    fill(follower.database, rows, start=NOON - 90 * 86400, per_second=1)
    follower.write(*({"id": rows + n, "created_at": NOON - 60} for n in range(1, 51)))
    failures = [{"id": rows + 60 + n, "type": 5, "request_id": f"r{n}"} for n in range(501)]
    with overheard() as statements:
        follower.poll()
        follower.write(*failures, {"id": rows + 5000})
        follower.poll(2)
        follower.poll(2)  # looks into the gaps
        follower.poll(SETTLE_AFTER)
        follower.execute(f"DELETE FROM logs WHERE id > {rows + 20}")
        follower.now += 2
        follower.write(*({"id": rows + 21 + n} for n in range(500)))
        follower.poll()  # looks for where to go on
        _read_the_past(follower.database, follower.clock)
    follower.close()
    return statements


def _read_the_past(database: Database, clock: Callable[[], float]) -> None:
    with database.connect() as connection:
        table = LogTable(inspect(connection))
        end = boundary.find(connection, table, clock)

        def read(start: int, end: int, limit: int) -> list[LogRow]:
            return table.since(connection, start, end, list(LogType), limit)

        for _ in past.pieces(read, NOON - 7200, int(end.moment)):
            pass


class Plans:
    """What a database makes of a statement.

    Args:
        connection: to it.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        indexes = look_at(connection).get_indexes("logs")
        self._columns = {index["name"]: index["column_names"][0] for index in indexes}

    def analyze(self) -> None:
        """Do what servers do by themselves in time, and SQLite never does."""
        if self._connection.dialect.name != "sqlite":
            table = "TABLE logs" if self._connection.dialect.name == "mysql" else "logs"
            self._connection.execute(text(f"ANALYZE {table}"))

    def paths(self, statement: Statement) -> set[str | None]:
        """Give what rows are found by: the primary key, the first column of an index, or WHOLE."""
        find = {"mysql": self._mysql, "postgresql": self._postgresql, "sqlite": self._sqlite}
        return set(find[self._connection.dialect.name](statement))

    def given(self, statement: Statement) -> int:
        """Count the rows of the answer."""
        return len(self._run("", statement).fetchall())

    def examined(self, statement: Statement) -> int:
        """Count the rows that are looked at; SQLite counts the steps of its machine."""
        count = {
            "mysql": self._handler_reads, "postgresql": self._actual_rows, "sqlite": self._steps,
        }  # fmt: skip
        return count[self._connection.dialect.name](statement)

    def _mysql(self, statement: Statement) -> Iterator[str | None]:
        for row in self._run("EXPLAIN ", statement).mappings():
            if row["type"] in {"ALL", "index"}:
                yield END if statement.of_an_end else WHOLE
            elif row["key"] is not None:  # else it knows that there is nothing to read
                yield PRIMARY if row["key"] == "PRIMARY" else self._columns[row["key"]]

    def _handler_reads(self, statement: Statement) -> int:
        self._connection.exec_driver_sql("FLUSH STATUS")
        self._run("", statement).fetchall()
        status = self._connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read_%%'")
        return sum(int(value) for _, value in status)

    def _postgresql(self, statement: Statement) -> Iterator[str | None]:
        for node in self._nodes(statement):
            if name := node.get("Index Name"):
                yield PRIMARY if name == "logs_pkey" else self._columns[name]
            elif node["Node Type"].endswith("Seq Scan"):
                yield WHOLE

    def _actual_rows(self, statement: Statement) -> int:
        counts = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
        nodes = [node for node in self._nodes(statement) if "Relation Name" in node]
        return sum(int(node.get(count, 0)) for node in nodes for count in counts)

    def _nodes(self, statement: Statement) -> list[dict[str, Any]]:
        told = self._run("EXPLAIN (ANALYZE, FORMAT JSON) ", statement).scalar_one()
        nodes = [told[0]["Plan"]]
        for node in nodes:
            nodes.extend(node.get("Plans", ()))
        return nodes

    def _sqlite(self, statement: Statement) -> Iterator[str | None]:
        for *_, step in self._run("EXPLAIN QUERY PLAN ", statement):
            if index := re.search(r" INDEX (\w+)", step):
                yield self._columns[index[1]]
            elif step.startswith("SCAN"):
                yield END if statement.of_an_end else WHOLE
            else:
                yield PRIMARY

    def _steps(self, statement: Statement) -> int:
        driver: Any = self._connection.connection.driver_connection
        steps = itertools.count()
        cursor = driver.cursor()
        driver.set_progress_handler(lambda: next(steps) < 0, 1)
        cursor.execute(statement.sql, statement.parameters).fetchall()
        driver.set_progress_handler(None, 0)
        return next(steps)

    def _run(self, before: str, statement: Statement) -> CursorResult[Any]:
        return self._connection.exec_driver_sql(before + statement.sql, statement.parameters)


@pytest.fixture
def gateway_urls(request: pytest.FixtureRequest, gateway_url: str, tmp_path: Path) -> list[str]:
    """The DSNs of two fresh, empty databases of one kind."""
    if gateway_url.startswith("sqlite"):
        return [gateway_url, f"sqlite:///{tmp_path}/second.db"]
    server = request.getfixturevalue("mariadb" if gateway_url.startswith("mysql") else "postgres")
    server.drop_database("second")
    return [gateway_url, server.create_database("second")]


def test_what_is_examined_does_not_grow_with_the_log_table(
    gateway_urls: list[str], tmp_path: Path
) -> None:
    examined = []
    for url, rows in zip(gateway_urls, SIZES, strict=True):
        statements = read_in_every_way(url, tmp_path / f"state-{rows}", rows)
        assert {statement.asked_by for statement in statements} == READS.keys()
        database = Database(parse_dsn(url), statement_timeout=60)
        with database.connect() as connection:
            plans = Plans(connection)
            for statement in statements:  # as after a pg_upgrade, which leaves no statistics
                assert plans.paths(statement) <= {READS[statement.asked_by], END}, statement
            plans.analyze()
            for statement in statements:
                assert plans.paths(statement) <= {READS[statement.asked_by], END}, statement
                assert plans.given(statement) <= AT_ONCE, statement
            counts: Counter[str] = Counter()
            for statement in statements:
                counts[statement.asked_by] += plans.examined(statement)
        database.close()
        examined.append(counts)
    few, many = examined
    assert {name: n for name, n in many.items() if n > few[name]} == {}


class Writer:
    """A gateway that writes log rows to SQLite, each in a transaction of its own.

    Where a commit finds the file locked, it waits for as long as a commit takes, and tries again:
    these are its lock waits.
    """

    def __init__(self, path: Path) -> None:
        self.rows = 0
        self.commits: list[float] = []
        """Seconds that each commit took, once it was not locked out."""
        self.waited: list[int] = []
        """The lock waits of each commit that was locked out."""
        self._database = sqlite3.connect(
            path, isolation_level=None, timeout=0, check_same_thread=False
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write, name="gateway")

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: len(self.commits) > 200)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._database.close()

    @property
    def usual(self) -> float:
        """Seconds that a commit takes."""
        return statistics.median(self.commits[-1000:])

    def lock_waits(self) -> list[int]:
        """Give the lock waits of all commits since the last call that were locked out, in order."""
        waited, self.waited = self.waited, []
        return sorted(waited)

    def _write(self) -> None:
        columns = ", ".join(REQUEST)
        row = f"INSERT INTO logs (created_at, {columns}) VALUES (?{', ?' * len(REQUEST)})"
        while not self._stop.wait(0.002):
            self._database.execute("BEGIN IMMEDIATE")
            self._database.execute(row, [int(time.time()), *REQUEST.values()])
            self._commit()
            self.rows += 1

    def _commit(self) -> None:
        waits = 0
        while True:
            tried = time.perf_counter()
            try:
                self._database.execute("COMMIT")
            except sqlite3.OperationalError:  # locked
                waits += 1
                time.sleep(self.usual if self.commits else 0.001)
                continue
            self.commits.append(time.perf_counter() - tried)
            if waits:
                self.waited.append(waits)
            return


@pytest.mark.timeout(600)
@pytest.mark.parametrize("many", [MILLION // 5, pytest.param(MILLION, marks=pytest.mark.torture)])
def test_a_writer_on_sqlite_waits_for_no_longer_than_a_commit_takes(
    tmp_path: Path, many: int
) -> None:
    file, alerts = tmp_path / "one-api.db", tmp_path / "alerts.yml"
    file.touch()
    settings = {"SQLITE_PATH": str(file), "ALERTS_FILE": str(alerts), "POLL_INTERVAL": "1"}
    now, requests = int(time.time()), many // 20
    with (
        gateway_at(f"sqlite:///{file}") as database,
        Exporter(settings, "/-/healthy") as exporter,
    ):
        drop_unread_indexes(database)
        wait_until(lambda: exporter.get("/-/ready").ok)
        exporter.stop()
        fill(database, many - requests, start=now - 7200, kind=MANAGE)
        fill(database, requests, start=now - 3600, first=many - requests + 1)
        with Writer(file) as gateway:
            exporter.start()
            wait_until(lambda: exporter.get("/-/ready").ok, PATIENCE)
            assert exporter.metrics()["newapi_exporter_rows_read_total"][NONE] > many
            catching_up = gateway.lock_waits()
            _assert_short(catching_up)
            assert peak_memory(exporter) < ALLOWED

            alerts.write_text(RULE)
            # Each question makes it render a page.
            wait_until(lambda: _window_is_complete(exporter), PATIENCE)
            filling = gateway.lock_waits()
            _assert_short(filling)
        assert len(catching_up) + len(filling) >= many // 200_000  # they did meet
        with database.connect() as connection:
            counts = "SELECT COUNT(*), SUM(CASE WHEN type = 2 THEN 1 ELSE 0 END) FROM logs"
            rows, completed = connection.execute(text(counts)).one()
        assert rows == many + gateway.rows
        wait_until(lambda: sum(exporter.metrics()["newapi_requests_total"].values()) == completed)


def _assert_short(waits: list[int]) -> None:
    """Hold that a commit that finds the file locked waits once, where there are enough of them to
    tell that from a machine that gives the exporter no time just then."""
    assert len(waits) <= 20 or statistics.median(waits) == 1, Counter(waits)


def _window_is_complete(exporter: Exporter) -> bool:
    exporter.metrics()
    complete = exporter.metrics("/metrics/alerts").get("newapi_alert_rule_window_filled_ratio", {})
    return set(complete.values()) == {1.0}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["postgres", pytest.param("mariadb", marks=pytest.mark.torture)])
def test_a_poll_that_finds_a_million_rows_needs_little_memory(
    request: pytest.FixtureRequest, kind: str
) -> None:
    server: MariaDB | Postgres = request.getfixturevalue(kind)
    dsn = server.create_database("million")
    with (
        gateway_at(dsn) as gateway,
        closing(Database(parse_dsn(dsn), statement_timeout=120, writable=True)) as database,
        Exporter({"SQL_DSN": dsn}, "/-/healthy") as exporter,
    ):
        drop_unread_indexes(gateway)
        wait_until(lambda: exporter.get("/-/ready").ok)
        exporter.stop()
        before = int(time.time()) - 7200
        rows = _fill_with_everything(database, before)
        exporter.start()
        wait_until(lambda: exporter.get("/-/ready").ok, PATIENCE)
        assert exporter.metrics()["newapi_exporter_rows_read_total"][NONE] == rows
        assert peak_memory(exporter) < ALLOWED
    server.drop_database("million")


def _fill_with_everything(database: Database, start: int) -> int:
    """Write a million old rows: of no use, failed, with gaps between them, and long ones."""
    parts = (
        Rows(MILLION // 2, kind=MANAGE),
        Rows(MILLION // 5, kind=LogType.ERROR),
        Rows(MILLION // 5, apart=3),
        Rows(MILLION // 20, other=json.dumps({"cache_tokens": 5, "po": "x" * 8000})),
    )
    first = 1
    for part in parts:
        fill(
            database,
            part.number,
            start=start,
            first=first,
            kind=part.kind,
            other=part.other,
            apart=part.apart,
        )
        first += part.number * part.apart
    return sum(part.number for part in parts)


class Rows(NamedTuple):
    """Some rows of a backlog."""

    number: int
    kind: int = LogType.CONSUME
    other: str = OTHER
    apart: int = 1


def peak_memory(program: Program) -> int:
    """Give the most bytes of memory that a process has had."""
    status = Path(f"/proc/{program.pid}/status").read_text()
    found = re.search(r"VmHWM:\s*(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024
