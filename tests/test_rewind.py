"""Whatever happens to a log table, no row is counted twice, and none is missed that can be told."""

from collections.abc import Iterable, Mapping
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.entry import Entry
from exporter.position import TAIL, Position, advance
from exporter.rewind import resume

NOW = 1_800_000_000


class Table:
    """Rows by id: their time, and a name of their own, since ids and times may come again."""

    def __init__(self) -> None:
        self.rows: dict[int, tuple[int, int]] = {}
        self.made = 0
        self.now = NOW

    def write(self, count: int) -> None:
        self.now += 100
        for row_id in range(self.newest() + 1, self.newest() + 1 + count):
            self.made += 1
            self.rows[row_id] = (self.now, self.made)

    def newest(self) -> int:
        return max(self.rows, default=0)

    def drop(self, ids: Iterable[int]) -> dict[int, tuple[int, int]]:
        return {row_id: self.rows.pop(row_id) for row_id in list(ids)}

    def present(self, remembered: Mapping[int, int]) -> set[int]:
        return {n for n, at in remembered.items() if n in self.rows and self.rows[n][0] == at}

    def oldest(self) -> tuple[int, int]:
        return min((row_id, row[0]) for row_id, row in self.rows.items())

    def first_since(self, time: int) -> int | None:
        return min((n for n, (at, _) in self.rows.items() if at >= time), default=None)


class Reader:
    """Reads as the exporter does, but for gaps."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.position = Position()
        self.counted: list[int] = []

    def poll(self) -> None:
        anchor = self.position.anchor
        if anchor is not None and anchor[0] not in self.table.present(dict([anchor])):
            if not self.table.rows:
                return
            found = resume(self.position, self.table)
            if found is None:
                return
            self.position = found.position
        seen = dict(self.position.tail)
        ids = sorted(n for n in self.table.rows if n > self.position.last_id)
        rows = [Entry(n, self.table.rows[n][0]) for n in ids]
        self.counted += [self.table.rows[n][1] for n in ids if seen.get(n) != self.table.rows[n][0]]
        if rows:
            self.position = advance(self.position, rows, self.table.now).position


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_row_is_counted_twice_and_none_is_missed(data: st.DataObject) -> None:
    table = Table()
    reader = Reader(table)
    hidden: dict[int, tuple[int, int]] = {}
    for _ in range(data.draw(st.integers(2, 12))):
        table.write(data.draw(st.sampled_from([1, 7, TAIL // 2, TAIL, 5 * TAIL])))
        reader.poll()
        newest = table.newest()
        what = data.draw(st.sampled_from(["clean", "lose", "lose much", "lag", "empty", "nothing"]))
        if what == "clean":  # all that is old, as the gateway's own clean-up
            table.drop(range(min(table.rows), min(table.rows) + len(table.rows) // 2))
        elif what == "lose":
            table.drop(range(max(newest - TAIL // 2, 1), newest + 1) & table.rows.keys())
        elif what == "lose much":
            table.drop({n for n in table.rows if n > newest // 2})
        elif what == "lag":
            hidden = table.drop({n for n in table.rows if n > newest - 3 * TAIL})
            reader.poll()
            table.rows |= hidden
        elif what == "empty":
            table.drop(list(table.rows))
            table.now += 100
        reader.poll()
    reader.poll()
    table.write(1)
    reader.poll()
    assert len(reader.counted) == len(set(reader.counted)) == table.made


@given(st.lists(st.integers(1, 3 * TAIL), min_size=1, max_size=60))
def test_marks_reach_back_and_stay_few(steps: list[int]) -> None:
    position, last = Position(), 0
    for step in steps:
        rows = [Entry(n, NOW) for n in range(last + 1, last + step + 1)]
        position, last = advance(position, rows, NOW).position, last + step
    marks = [row_id for row_id, _ in position.marks]
    assert marks == sorted(marks)
    assert len(marks) <= 2 * last.bit_length()
    distances = [last - row_id for row_id in reversed(marks)]
    for nearer, further in pairwise(distances):
        assert further <= 8 * max(nearer, TAIL) + 6 * TAIL
