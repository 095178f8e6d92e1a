"""Reading the past: every row once, in small queries, summed up between the right points."""

import random

import pytest

from exporter.backfill import past
from exporter.backfill.grid import STEP
from newapi.database import DatabaseError, Fault
from newapi.events import read_event
from newapi.rows import LogRow
from newapi.schema import Flavour

START = 1_790_000_000 // 3600 * 3600
DAY = 86400


class Table:
    """Rows by time; a query over more than `bearable` rows runs into its time limit."""

    def __init__(self, times: list[int], bearable: int = 2**31) -> None:
        self.rows = [row(number + 1, time) for number, time in enumerate(times)]
        self.bearable = bearable
        self.sizes: list[int] = []

    def read(self, start: int, end: int, limit: int) -> list[LogRow]:
        found = [row for row in self.rows if start <= row.created_at < end]
        if len(found) > self.bearable and end - start > 1:
            raise DatabaseError(Fault.TIMEOUT, "took too long")
        self.sizes.append(min(len(found), limit))
        return found[:limit]


def row(row_id: int, created_at: int, kind: int = 2, request: str = "") -> LogRow:
    return LogRow(row_id, created_at, kind, 1, 2, 3, 10, 5, 7, 1, False, "m", "key", request, "{}")


def test_every_row_comes_once_whatever_the_bursts() -> None:
    rng = random.Random(1)
    times = [START + rng.randrange(10 * DAY) for _ in range(3000)]
    times += [START + 5 * DAY + rng.randrange(120) for _ in range(20_000)]
    times += [START + 7 * DAY] * (past.LIMIT + 50)  # more in one second than a query may give
    table = Table(times)
    reached, ids = START, []
    for until, rows in past.pieces(table.read, START, START + 10 * DAY):
        assert all(reached <= row.created_at < until for row in rows)
        reached = until
        ids += [row.id for row in rows]
    assert reached == START + 10 * DAY
    assert sorted(ids) == [row.id for row in table.rows]
    assert sorted(table.sizes)[-2] <= past.LIMIT
    assert len(table.sizes) < 400


def test_a_query_that_takes_too_long_is_made_smaller() -> None:
    table = Table([START + n for n in range(4000)], bearable=100)
    found = [row for _, rows in past.pieces(table.read, START, START + DAY) for row in rows]
    assert len(found) == 4000


def test_other_faults_end_the_reading() -> None:
    def read(*_: int) -> list[LogRow]:
        raise DatabaseError(Fault.UNREACHABLE, "gone")

    with pytest.raises(DatabaseError, match="gone"):
        list(past.pieces(read, START, START + DAY))


def test_times_far_ahead_are_found_in_few_queries() -> None:
    table = Table([START + 5, START + 10**6, 1_790_000_000_000, 2**62])
    found = [
        row.id
        for _, rows in past.pieces(table.read, START, past.FOREVER, widest=past.FOREVER)
        for row in rows
    ]
    assert found == [1, 2, 3, 4]
    assert len(table.sizes) < 100


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_rows_fall_between_the_points_that_sql_would_say(size: int) -> None:
    rng = random.Random(size)
    last = START + 50 * STEP
    times = [*sorted(START + rng.randrange(52 * STEP) for _ in range(200)), last + 10**6]
    rows = [row(number, time) for number, time in enumerate(times)]
    pieces = [rows[n : n + size] for n in range(0, len(rows), size)]
    events = [
        (
            int(piece[-1].created_at),
            [event for r in piece if (event := read_event(r, Flavour.NEW_API))],
        )
        for piece in pieces
    ]
    found = list(past.intervals(events, START, last))
    assert [interval.rows for interval in found] == [
        sum(START + n * STEP <= t < START + (n + 1) * STEP for t in times) for n in range(50)
    ] + [sum(t >= last for t in times)]
    counts = [i.delta.sums.get("newapi_requests_total", {}) for i in found]
    assert [sum(values.values()) for values in counts] == [i.rows for i in found]


def test_an_interval_remembers_last_failures_and_last_uses() -> None:
    rows = [
        row(1, START + 9, 5, "a"),
        row(2, START + 3, 5, "a"),
        row(3, START + 5, 2, "b"),
    ]
    events = [event for r in rows if (event := read_event(r, Flavour.NEW_API))]
    (interval, final) = past.intervals([(START + 20, events)], START, START + STEP)
    assert interval.failures["a"].created_at == START + 9
    assert interval.used == {
        ("channel", 1): START + 9,
        ("api_key", 3): START + 9,
        ("user", 2): START + 9,
    }
    assert final.rows == 0
