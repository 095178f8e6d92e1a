"""How many rows of a large log table the dashboards' SQL looks at: counted, not timed."""

import json
from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import Connection, text

from newapi.database import Database
from newapi.dsn import parse_dsn
from tests.bulk import drop_unread_indexes, fill
from tests.gateway import gateway_at
from tests.grafana_queries import dashboard, statements
from tests.grafana_queries import fill as filled
from tests.servers import MariaDB, Postgres

MILLION = 1_000_000
PER_SECOND = 2
START = 1_790_000_000
HOUR, WEEK = 3600, 7 * 86400
AT_ONCE = 500
"""Rows, at most, that are looked at for a page that needs no search."""

PAGES = {name: statements(dashboard("en", name)) for name in ("logs", "errors", "performance")}


class Logs:
    """A log table, and how many of its rows a statement makes the server look at."""

    def __init__(self, database: Database, rows: int) -> None:
        self.database = database
        self.rows = rows
        self.end = START + rows // PER_SECOND

    def examined(self, page: str, panel: str, length: int, **variables: str) -> int:
        sql = filled(PAGES[page][panel], self.end - length, self.end, **variables)
        with self.database.connect() as connection:
            mysql = self.database.dialect == "mysql"
            return (_by_handler if mysql else _by_plan)(connection, sql)


def _by_handler(connection: Connection, sql: str) -> int:
    """Rows and index entries that MariaDB's storage engine was asked for."""
    connection.exec_driver_sql("FLUSH STATUS")
    connection.exec_driver_sql(sql.replace("%", "%%")).all()
    status = "SHOW SESSION STATUS LIKE 'Handler_read_%%'"
    found = dict(tuple(row) for row in connection.exec_driver_sql(status))
    # The deleted ones are those of temporary tables that a sort makes.
    return sum(int(count) for name, count in found.items() if "deleted" not in name)


def _by_plan(connection: Connection, sql: str) -> int:
    """Rows of the log table that PostgreSQL read, those that it threw away too."""
    explain = "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) "
    found = connection.exec_driver_sql(explain + sql.replace("%", "%%")).scalar_one()
    [plan] = json.loads(found) if isinstance(found, str) else found
    return sum(_read(plan["Plan"]))


def _read(node: dict[str, object]) -> Iterator[int]:
    if node.get("Relation Name") == "logs":
        kinds = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
        a_loop = sum(float(str(node.get(kind, 0))) for kind in kinds)
        yield round(a_loop * float(str(node["Actual Loops"])))
    below = node.get("Plans", [])
    assert isinstance(below, list)
    for one in below:
        yield from _read(one)


@pytest.fixture(
    scope="module", params=[MILLION // 5, pytest.param(MILLION, marks=pytest.mark.torture)]
)
def rows(request: pytest.FixtureRequest) -> int:
    many: int = request.param
    return many


@pytest.fixture(scope="module", params=["mariadb", "postgres"])
def logs(request: pytest.FixtureRequest, rows: int) -> Iterator[Logs]:
    """With no index for panels but the one that gateways of any age have."""
    server: MariaDB | Postgres = request.getfixturevalue(request.param)
    dsn = server.create_database("plans")
    url = parse_dsn(dsn)
    with (
        gateway_at(dsn) as gateway,
        closing(Database(url, statement_timeout=120, writable=True)) as database,
    ):
        drop_unread_indexes(gateway)
        fill(database, rows, start=START, per_second=PER_SECOND)
        analyze = "ANALYZE TABLE logs" if database.dialect == "mysql" else "ANALYZE logs"
        with database.connect() as connection:
            connection.exec_driver_sql(analyze)
        yield Logs(database, rows)
    server.drop_database("plans")


def _assert_pages_are_read_from_their_place(logs: Logs) -> None:
    half = str(logs.end - logs.rows // PER_SECOND // 2)
    for place in ({}, {"page_time": half, "page_type": "2", "page_id": "1"}):
        assert logs.examined("logs", "Rows found", WEEK, **place) <= AT_ONCE


def test_pages_are_read_from_their_place(logs: Logs) -> None:
    _assert_pages_are_read_from_their_place(logs)


def test_a_search_ends_with_its_page(logs: Logs) -> None:
    """One row in 30 is of the channel: 50 of them lie within the last 1500."""
    assert logs.examined("logs", "Rows found", WEEK, channel="7") <= 1500 * 2 + AT_ONCE


def test_a_row_is_read_by_its_id(logs: Logs) -> None:
    row = str(logs.rows // 2)
    assert logs.examined("logs", "The whole row", WEEK, row=row) <= AT_ONCE


@pytest.mark.parametrize(
    ("page", "panel", "a_row"),
    [
        ("logs", "Found", 1),
        ("errors", "By status code", 1),
        ("errors", "Failures", 1),
        ("performance", "20 slowest requests", 2),  # its seconds are looked up by its id
    ],
)
def test_an_hour_reads_an_hour(logs: Logs, page: str, panel: str, a_row: int) -> None:
    hour = HOUR * PER_SECOND
    assert logs.examined(page, panel, HOUR) <= (a_row + 0.2) * hour + AT_ONCE


def test_the_index_of_newer_gateways_changes_nothing(logs: Logs) -> None:
    with logs.database.begin() as connection:
        connection.execute(text("CREATE INDEX idx_created_at_id ON logs (created_at, id)"))
    _assert_pages_are_read_from_their_place(logs)
