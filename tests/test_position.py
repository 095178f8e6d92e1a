"""How far the log table has been read: every row counted once, whatever the order of commits."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.position import PATIENCE, SETTLED, Gap, Position
from newapi.rows import LogRow

NOW = 1_800_000_000


def rows(*ids: int, at: object = NOW) -> list[LogRow]:
    return [LogRow(number, at, *([None] * 12)) for number in ids]


def test_ids_that_were_skipped_are_looked_for_until_they_appear() -> None:
    position = Position(10, NOW).advance(rows(11, 14, 15, 20), NOW)
    assert (position.last_id, position.last_created_at) == (20, NOW)
    assert [(gap.first, gap.last) for gap in position.gaps] == [(12, 13), (16, 19)]
    position = position.found([17])
    assert [(gap.first, gap.last) for gap in position.gaps] == [(12, 13), (16, 16), (18, 19)]
    position = position.found([12, 13, 16])
    assert [(gap.first, gap.last) for gap in position.gaps] == [(18, 19)]
    assert position.last_id == 20


def test_what_is_not_in_a_gap_cannot_be_found() -> None:
    position = Position(10, NOW, (Gap(5, 6, NOW),))
    assert position.found([4, 7, 10]) == position


def test_a_gap_is_given_up_after_its_patience_and_not_before() -> None:
    position = Position(10, NOW).advance(rows(12), NOW)
    assert position.expire(NOW + PATIENCE) is position
    assert position.expire(NOW + PATIENCE + 1).gaps == ()


def test_a_gap_below_an_old_row_is_not_waited_for() -> None:
    old = rows(20, at=NOW - SETTLED)
    assert Position(10).advance(old, NOW) == Position(20, NOW - SETTLED)
    assert Position(10).advance(rows(20, at=NOW - SETTLED + 1), NOW).gaps != ()


@pytest.mark.parametrize("at", [None, "yesterday", b"x"])
def test_a_row_without_a_time_is_passed(at: object) -> None:
    assert Position(10, NOW).advance(rows(11, at=at), NOW) == Position(11, 0)


def test_nothing_read_changes_nothing() -> None:
    position = Position(10, NOW, (Gap(5, 6, NOW),))
    assert position.advance([], NOW) is position


@given(st.sets(st.integers(1, 40)), st.sets(st.integers(1, 40)))
def test_a_row_is_either_counted_or_looked_for(first: set[int], late: set[int]) -> None:
    position = Position(0, 0).advance(rows(*sorted(first)), NOW)
    found = {number for number in late if number not in first and number < position.last_id}
    position = position.found(found)
    for number in range(1, 42):
        below = number <= position.last_id
        assert position.counted(number) == (below and (number in first or number in found))
    in_gaps = [n for gap in position.gaps for n in range(gap.first, gap.last + 1)]
    assert len(in_gaps) == len(set(in_gaps))
    assert list(position.gaps) == sorted(position.gaps, key=lambda gap: gap.first)


class _Table:
    """A log table whose transactions commit in an order of their own, and its reader."""

    def __init__(self) -> None:
        self.visible: set[int] = set()
        self.position = Position()
        self.counted: Counter[int] = Counter()

    def poll(self, now: float, page: int) -> None:
        """Read as the poller does: the gaps first, then page by page."""
        wanted = [n for gap in self.position.gaps for n in range(gap.first, gap.last + 1)]
        found = sorted(self.visible.intersection(wanted))
        self.counted.update(found)
        self.position = self.position.found(found).expire(now)
        while True:
            above = sorted(n for n in self.visible if n > self.position.last_id)[:page]
            self.counted.update(above)
            self.position = self.position.advance(rows(*above, at=int(now)), now)
            if len(above) < page:
                return


ARRIVALS = st.lists(
    st.tuples(st.integers(0, 3), st.none() | st.integers(0, PATIENCE - 1)), min_size=1, max_size=40
)
"""By id: seconds after the id before, and seconds to its commit; None = rolled back."""


@settings(max_examples=200)
@given(ARRIVALS, st.integers(1, 7), st.integers(1, 20), st.sets(st.integers(0, 200), max_size=30))
def test_each_row_is_counted_once_whatever_the_order_of_commits(
    arrivals: list[tuple[int, int | None]], page: int, every: int, asleep: set[int]
) -> None:
    """A row commits up to a minute after its id was given; the reader sleeps now and then."""
    table, begun = _Table(), NOW
    commits: dict[int, list[int]] = {}
    for number, (pause, delay) in enumerate(arrivals, 1):
        begun += pause
        if delay is not None:
            commits.setdefault(begun + delay, []).append(number)
    for now in range(NOW, begun + 3 * PATIENCE):
        table.visible.update(commits.get(now, ()))
        if now % every == 0 and now - NOW not in asleep:
            table.poll(now, page)
    table.poll(begun + 3 * PATIENCE, page)
    committed = {number for numbers in commits.values() for number in numbers}
    assert table.counted == Counter(committed)
    assert table.position.gaps == ()


def test_gaps_without_end_stay_cheap() -> None:
    """Three nodes of Galera leave two ids of three unused, for ever."""
    position = Position()
    for page in range(10):
        numbers = range(page * 3000 + 3, (page + 1) * 3000 + 3, 3)
        position = position.advance(rows(*numbers, at=NOW), NOW + page * 10)
        position = position.expire(NOW + page * 10)
    assert len(position.gaps) == 7000
    assert position.expire(NOW + 91 + PATIENCE).gaps == ()
