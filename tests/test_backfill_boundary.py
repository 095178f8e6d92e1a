"""Where the past ends: the position and the gaps that live reading would have there."""

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, text

from demo.schema import create
from exporter.backfill import boundary
from exporter.backfill.boundary import Boundary
from exporter.position import Gaps
from newapi.database import Database
from newapi.dsn import parse_dsn
from newapi.logs import LogTable
from newapi.schema import inspect

NOW = 1_790_000_000.5


class Logs:
    """A log table whose rows a test chooses, by id and time."""

    def __init__(self, dsn: str) -> None:
        create(parse_dsn(dsn))
        self._database = Database(parse_dsn(dsn))
        self._engine = create_engine(parse_dsn(dsn))

    def write(self, rows: dict[int, float]) -> None:
        statement = text(
            "INSERT INTO logs (id, created_at, type, channel_id, model_name, quota)"
            " VALUES (:id, :at, 2, 1, 'm', 1)"
        )
        values = [{"id": row_id, "at": int(at)} for row_id, at in rows.items()]
        with self._engine.begin() as connection:
            connection.execute(statement, values)

    def boundary(self) -> Boundary:
        with self._database.connect() as connection:
            return boundary.find(connection, LogTable(inspect(connection)), lambda: NOW)

    def close(self) -> None:
        self._engine.dispose()
        self._database.close()


@pytest.fixture
def logs(gateway_url: str) -> Iterator[Logs]:
    logs = Logs(gateway_url)
    yield logs
    logs.close()


def test_an_empty_table_has_its_end_at_the_beginning(logs: Logs) -> None:
    found = logs.boundary()
    assert (found.position.last_id, found.gaps, found.moment) == (0, (), NOW)


def test_gaps_are_remembered_where_rows_are_fresh_alone(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boundary, "PIECE", 50)
    old = {n: NOW - 86_400 + n for n in range(1, 2000) if n % 10}
    fresh = {n: NOW - 300 + (n - 2000) / 10 for n in range(2000, 3000) if n % 7}
    logs.write(old | fresh)
    found = logs.boundary()
    gaps = Gaps(found.gaps)
    assert found.position.last_id == 2999
    assert found.position.anchor == (2999, int(fresh[2999]))
    assert all(n in gaps for n in range(2001, 2999) if n % 7 == 0)
    assert not any(n in gaps for n in old | fresh)
    assert len(gaps) < 200
    assert all(gap.noticed == NOW for gap in found.gaps)


@pytest.mark.parametrize("last", [10**6, 10**15])
def test_wide_gaps_are_passed_over(logs: Logs, last: int) -> None:
    logs.write(dict.fromkeys(range(1, 20), NOW - 7200) | {last - 5: NOW - 2, last: NOW - 1})
    started = time.monotonic()
    found = logs.boundary()
    assert time.monotonic() - started < 5
    assert found.position.last_id == last
    assert last - 6 in Gaps(found.gaps)
    assert 5 not in Gaps(found.gaps)


@pytest.mark.parametrize("skew", [-1800, -600, 60, 1800])
def test_a_gateway_with_another_clock_is_as_fresh(logs: Logs, skew: int) -> None:
    logs.write({n: NOW + skew - 500 + n for n in range(1, 500) if n != 250})
    found = logs.boundary()
    assert 250 in Gaps(found.gaps)
    assert found.moment == NOW


def test_a_row_without_a_time_does_not_make_the_whole_table_fresh(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boundary, "PIECE", 50)
    logs.write({n: NOW - 86_400 for n in range(1, 1000) if n != 5} | {1000: 0})
    assert 5 not in Gaps(logs.boundary().gaps)
