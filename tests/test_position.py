"""How far the log table has been read: every row counted once, whatever the order of commits."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.entry import Entry, read_entries
from exporter.position import AHEAD, LOOKS, OLD, TAIL, Gap, Gaps, Position, advance
from newapi.rows import LogRow
from newapi.schema import Flavour
from tests.follower import NOON, Follower

NOW = 1_800_000_000
PATIENCE = LOOKS[-1]


def rows(*ids: int, at: object = NOW) -> list[Entry]:
    return read_entries([LogRow(n, at, *([None] * 13)) for n in ids], Flavour.NEW_API)


class Reader:
    """A position with its gaps, moved on as the ledger does."""

    def __init__(self, last_id: int = 0) -> None:
        self.position = Position(last_id, NOW)
        self.gaps = Gaps()

    def advance(self, *ids: int, at: object = NOW, now: float = NOW) -> None:
        step = advance(self.position, rows(*ids, at=at), now)
        self.position = step.position
        self.gaps.apply(step)

    def found(self, *ids: int, now: float = NOW) -> None:
        step = self.gaps.found(self.position, rows(*ids), now)
        self.position = step.position
        self.gaps.apply(step)

    def looked(self, now: float) -> None:
        self.gaps.apply(self.gaps.looked(self.position, now))

    def ranges(self) -> list[tuple[int, int]]:
        return sorted((gap.first, gap.last) for gap in self.gaps.all())


def test_ids_that_were_skipped_are_looked_for_until_they_appear() -> None:
    reader = Reader(10)
    reader.advance(11, 14, 15, 20)
    assert reader.position.last_id == 20
    assert reader.ranges() == [(12, 13), (16, 19)]
    reader.found(17)
    assert reader.ranges() == [(12, 13), (16, 16), (18, 19)]
    reader.found(12, 13, 16)
    assert reader.ranges() == [(18, 19)]
    assert reader.position.last_id == 20


def test_what_is_not_in_a_gap_cannot_be_found() -> None:
    reader = Reader(10)
    reader.advance(12)
    reader.found(9, 10, 12, 13)
    assert reader.ranges() == [(11, 11)]


def test_a_gap_is_given_up_after_its_patience_and_not_before() -> None:
    reader = Reader(10)
    reader.advance(12)
    for age in range(PATIENCE):
        reader.looked(NOW + age)
        assert reader.ranges() == [(11, 11)]
    reader.looked(NOW + PATIENCE)
    assert reader.ranges() == []


def test_a_gap_is_looked_for_now_and_then() -> None:
    reader = Reader(10)
    reader.advance(12)
    looks = []
    for age in range(PATIENCE + 1):
        if reader.gaps.due(NOW + age):
            looks.append(age)
            reader.looked(NOW + age)
    assert tuple(looks) == LOOKS


def test_a_gap_below_an_old_row_is_looked_for_once_at_the_end() -> None:
    reader = Reader(10)
    reader.advance(12, at=NOW - OLD - 1)
    assert not reader.gaps.due(NOW + PATIENCE - 1)
    assert reader.gaps.due(NOW + PATIENCE)


def test_a_gap_that_was_saved_is_looked_for_even_if_its_time_is_over() -> None:
    gaps = Gaps([Gap(1, 3, NOW)])
    assert gaps.due(NOW + 1_000_000)
    assert 2 in gaps
    assert 4 not in gaps


@pytest.mark.parametrize("at", [None, "yesterday", b"x", NOW + AHEAD])
def test_a_row_without_a_time_of_use_is_passed(at: object) -> None:
    step = advance(Position(10, NOW), rows(11, at=at), NOW)
    assert (step.position.last_id, step.position.last_created_at) == (11, NOW)


def test_the_last_rows_are_remembered_with_those_that_came_late() -> None:
    reader = Reader()
    reader.advance(*range(2, TAIL + 102))
    assert reader.position.tail[0] == (102, NOW)
    reader.advance(500, at=NOW + 1)
    reader.found(400)
    assert reader.position.anchor == (500, NOW + 1)
    assert (400, NOW) in reader.position.tail
    reader.found(1)
    assert reader.position.tail[0][0] > 1


def test_nothing_read_changes_nothing() -> None:
    position = Position(10, NOW)
    step = advance(position, [], NOW)
    assert step.position is position
    assert step.added == step.removed == ()


@given(st.sets(st.integers(1, 40)), st.sets(st.integers(1, 40)))
def test_a_row_is_either_counted_or_looked_for(first: set[int], late: set[int]) -> None:
    reader = Reader()
    reader.advance(*sorted(first))
    found = {n for n in late if n not in first and n < reader.position.last_id}
    reader.found(*found)
    for number in range(1, 42):
        below = number <= reader.position.last_id
        counted = below and number not in reader.gaps
        assert counted == (below and (number in first or number in found))
    in_gaps = [n for first_id, last in reader.ranges() for n in range(first_id, last + 1)]
    assert len(in_gaps) == len(set(in_gaps))


class _Table(Reader):
    """A log table whose transactions commit in an order of their own, and its reader."""

    def __init__(self) -> None:
        super().__init__()
        self.visible: set[int] = set()
        self.counted: Counter[int] = Counter()

    def poll(self, now: float, page: int) -> None:
        """Read as the poller does: the gaps first, then page by page."""
        wanted = [n for gap in self.gaps.due(now) for n in range(gap.first, gap.last + 1)]
        found = sorted(self.visible.intersection(wanted))
        self.counted.update(found)
        self.found(*found, now=now)
        self.looked(now)
        while True:
            above = sorted(n for n in self.visible if n > self.position.last_id)[:page]
            self.counted.update(above)
            self.advance(*above, at=int(now), now=now)
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
    assert table.ranges() == []


def test_gaps_without_end_stay_cheap() -> None:
    """Three nodes of Galera leave two ids of three unused, for ever."""
    reader = Reader()
    for page in range(10):
        reader.advance(*range(page * 3000 + 3, (page + 1) * 3000 + 3, 3), now=NOW + page * 10)
        reader.looked(NOW + page * 10)
    assert len(reader.gaps) == 7000
    reader.looked(NOW + 91 + PATIENCE)
    assert len(reader.gaps) == 0


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[Follower]:
    follower = Follower(f"sqlite:///{tmp_path}/one-api.db", tmp_path / "state")
    yield follower
    follower.close()


def test_a_replica_that_lags_behind_makes_nothing_count_twice(follower: Follower) -> None:
    """A read endpoint leads to one replica and then to another, which has not got so far."""
    follower.write({"id": 1})
    follower.poll()
    rows = [{"id": number, "created_at": NOON + number} for number in range(2, 21)]
    follower.write(*rows)
    follower.poll(30)
    assert follower.sum() == 19
    for seen in (15, 3):
        follower.execute(f"DELETE FROM logs WHERE id > {seen}")
        follower.poll(2)
        follower.write(*rows[seen - 1 :])
        follower.poll(2)
    assert follower.sum() == 19
    follower.write({"id": 21})
    follower.restart()
    follower.poll(100)
    assert follower.sum() == 20


def test_rows_that_took_the_place_of_lost_ones_are_counted(follower: Follower) -> None:
    """A primary crashed and lost its last rows for good; their ids are given again."""
    follower.write({"id": 1})
    follower.poll()
    follower.write(*({"id": number} for number in range(2, 21)))
    follower.poll(2)
    follower.execute("DELETE FROM logs WHERE id > 15")
    follower.poll(2)
    follower.write(*({"id": number} for number in range(16, 31)))
    follower.poll(2)
    assert follower.sum() == 19 + 15


def test_a_late_row_is_still_found_after_the_last_rows_were_lost(follower: Follower) -> None:
    follower.write({"id": 1})
    follower.poll()
    follower.write(*({"id": number} for number in (2, 4, 5, 6)))
    follower.poll(2)
    follower.execute("DELETE FROM logs WHERE id = 6")
    follower.poll(2)
    follower.write({"id": 3})
    follower.poll(30)
    assert follower.sum() == 5
