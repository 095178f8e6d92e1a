"""How far the log table has been read, and which ids were skipped on the way.

Why every row is counted once: an id is given when a transaction inserts, but its row is seen only
when that commits, so a row may appear below ids that were read already. All ids
between two rows that were read are therefore remembered as a gap and looked for until they appear
or 60 seconds have gone by since the gap was noticed. The last look comes after those 60 seconds,
however long nobody could look. A row is thus read either above `last_id` or out of a gap, and
leaves the gap in the same step; and each step is saved together with what it counted.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from exporter.entry import Entry

LOOKS = (2, 6, 14, 30, 61)
"""Ages of a gap, in seconds, at which it is looked for. A row may stay invisible for 60 seconds
after one with a higher id was seen; most appear within the first few."""

OLD = 600
"""Seconds; a gap below a row that is older than this is looked for once, at the last of these
ages: while a backlog is read there may be very many, and hardly any will ever fill."""

AHEAD = 3600
"""Seconds by which a row's time may lie after now: the clocks of a gateway's nodes differ. What is
further off is no time at all."""

SKEW = 60
"""Seconds by which the clocks of a gateway's nodes usually differ at most."""

TAIL = 200
"""Rows that are remembered by id and time, to tell the table that was read from another."""


_Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Gap:
    """Ids first..last that were not there when a higher one was, noticed at unix seconds."""

    first: int
    last: int
    noticed: float
    looked: float = 0.0
    """The age, in seconds, at which it was looked for last; not saved."""

    def due(self, now: float) -> bool:
        """Tell whether it is time to look again."""
        age = now - self.noticed
        return any(self.looked < look <= age for look in LOOKS)

    def expired(self, now: float) -> bool:
        """Tell whether a look at this moment is the last: the ids were rolled back or never."""
        return now - self.noticed >= LOOKS[-1]


@dataclass(frozen=True)
class Position:
    """All rows up to `last_id` have been counted but those in gaps."""

    last_id: int = 0
    last_created_at: int = 0
    """Unix seconds of the newest time that was read with these rows."""
    tail: _Pairs = ()
    """Id and created_at of all rows that were read from the first of these ids on, in order.
    Those above last_id are gone, or will be seen again: then they are not counted again."""
    marks: _Pairs = ()
    """Id and created_at of some rows further back, in order, ever further apart."""

    @property
    def anchor(self) -> tuple[int, int] | None:
        """The last row that was read; None where there is nothing to hold the table to."""
        return next((pair for pair in reversed(self.tail) if pair[0] == self.last_id), None)

    def past(self, rows: Sequence[Entry], now: float) -> "Position":
        """Give the position behind rows that were read above last_id, in order of id."""
        if not rows:
            return self
        tail = self._remembered(rows[-TAIL:])[-TAIL:]
        marks = _marks(self.marks, rows)
        return Position(rows[-1].id, self._newest(rows, now), tail, marks)

    def between(self, rows: Sequence[Entry], now: float) -> "Position":
        """Give the same position with rows remembered that were read out of gaps."""
        late = [row for row in rows if self.tail and row.id > self.tail[0][0]]
        tail = self._remembered(late)
        return replace(self, last_created_at=self._newest(rows, now), tail=tail)

    def _remembered(self, rows: Sequence[Entry]) -> _Pairs:
        pairs = dict(self.tail) | {row.id: row.created_at for row in rows}
        return tuple(sorted(pairs.items()))

    def _newest(self, rows: Sequence[Entry], now: float) -> int:
        """Give the newest time that was read; one far ahead of now is none."""
        end = now + AHEAD
        newest = max((row.created_at for row in rows if row.created_at < end), default=0)
        return max(self.last_created_at, newest)


@dataclass(frozen=True)
class Step:
    """A move to another position, with the gaps that come and go."""

    position: Position
    added: tuple[Gap, ...] = ()
    removed: tuple[Gap, ...] = ()


def advance(
    position: Position, rows: Sequence[Entry], now: float, *, backlog: bool = False
) -> Step:
    """Go on past rows that were read above last_id, in order of id, at unix time `now`.

    In a backlog many more follow: what is below an old row there is looked for now or never.
    """
    gaps = []
    previous = position.last_id
    complete = rows and rows[-1].id - previous == len(rows)
    for row in () if complete else rows:
        if row.id > previous + 1:
            old = now - row.created_at > OLD
            noticed = now - LOOKS[-1] if old and backlog else now
            gaps.append(Gap(previous + 1, row.id - 1, noticed, LOOKS[-2] if old else 0.0))
        previous = row.id
    return Step(position.past(rows, now), added=tuple(gaps))


class Gaps:
    """The gaps that are looked for, none touching another."""

    def __init__(self, gaps: Iterable[Gap] = ()) -> None:
        self._by_first = {gap.first: gap for gap in gaps}
        self._sorted: list[int] | None = None

    def __len__(self) -> int:
        return len(self._by_first)

    def __contains__(self, row_id: int) -> bool:
        return self._around(row_id) is not None

    def all(self) -> tuple[Gap, ...]:
        """Give all gaps."""
        return tuple(self._by_first.values())

    def due(self, now: float) -> list[Gap]:
        """Give the gaps that it is time to look for."""
        return [gap for gap in self._by_first.values() if gap.due(now)]

    def found(self, position: Position, rows: Sequence[Entry], now: float) -> Step:
        """Take ids out of their gaps, since their rows were read at unix time `now`."""
        pieces: dict[Gap, list[Gap]] = {}
        for row in sorted(rows, key=lambda row: row.id):
            whole = self._around(row.id)
            if whole is not None:
                rest = pieces.get(whole, [whole])
                pieces[whole] = [piece for gap in rest for piece in _without(gap, row.id)]
        left = tuple(piece for rest in pieces.values() for piece in rest)
        return Step(position.between(rows, now), added=left, removed=tuple(pieces))

    def looked(self, position: Position, now: float) -> Step:
        """Note that the gaps that were due have been looked for; the expired ones go."""
        due = self.due(now)
        for gap in due:
            if not gap.expired(now):
                self._by_first[gap.first] = replace(gap, looked=now - gap.noticed)
        return Step(position, removed=tuple(gap for gap in due if gap.expired(now)))

    def apply(self, step: Step) -> None:
        """Carry out what a step, once saved, says of the gaps."""
        self._sorted = None
        for gap in step.removed:
            del self._by_first[gap.first]
        for gap in step.added:
            self._by_first[gap.first] = gap

    def shift(self, seconds: float) -> None:
        """Take over a clock that was set: what was noticed keeps its age."""
        moved = (replace(gap, noticed=gap.noticed + seconds) for gap in self._by_first.values())
        self._by_first = {gap.first: gap for gap in moved}

    def copy(self) -> "Gaps":
        """Give the same gaps once more."""
        return Gaps(self._by_first.values())

    def _around(self, row_id: int) -> Gap | None:
        if self._sorted is None:
            self._sorted = sorted(self._by_first)
        index = bisect_right(self._sorted, row_id) - 1
        if index < 0:
            return None
        gap = self._by_first[self._sorted[index]]
        return gap if row_id <= gap.last else None


def _without(gap: Gap, row_id: int) -> list[Gap]:
    if not gap.first <= row_id <= gap.last:
        return [gap]
    pieces = (replace(gap, last=row_id - 1), replace(gap, first=row_id + 1))
    return [piece for piece in pieces if piece.first <= piece.last]


def _marks(marks: Sequence[tuple[int, int]], rows: Sequence[Entry]) -> _Pairs:
    """Add marks among rows that were read; keep two for each power of two of the distance."""
    back = [TAIL << power for power in range(len(rows).bit_length()) if TAIL << power < len(rows)]
    some = (rows[0], *(rows[-n] for n in back))
    found = [*marks, *((row.id, row.created_at) for row in some)]
    groups: dict[int, list[tuple[int, int]]] = {}
    for mark in sorted(found):
        groups.setdefault((max(rows[-1].id - mark[0], 0) // TAIL).bit_length(), []).append(mark)
    return tuple(sorted({mark for group in groups.values() for mark in (group[0], group[-1])}))
