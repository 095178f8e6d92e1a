"""How far the log table has been read, and which ids were skipped on the way.

Why every row is counted once: an id is given when a transaction inserts, but its row is seen only
when that commits, so a row may appear below ids that were read already (newapi.md 5). All ids
between two rows that were read are therefore remembered as a gap, and looked for until they
appear or 60 s have gone by. A row is thus read either above `last_id` or out of a gap, and leaves
the gap in the same step: never twice. Position and totals are saved together.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from newapi.rows import LogRow

PATIENCE = 60
"""Seconds for which a row may stay invisible after one with a higher id was seen."""

SETTLED = 600
"""Seconds; a gap below a row older than this is not waited for: its time passed long ago, however
far the clocks of the gateway's nodes are apart."""


@dataclass(frozen=True)
class Gap:
    """Ids first..last that were not there when a higher one was, noticed at unix seconds."""

    first: int
    last: int
    noticed: float


@dataclass(frozen=True)
class Position:
    """All rows up to `last_id` have been counted but those in the gaps."""

    last_id: int = 0
    last_created_at: int = 0
    gaps: tuple[Gap, ...] = ()
    """In order of id."""

    def advance(self, rows: Sequence[LogRow], now: float) -> "Position":
        """Go on past rows that were read above last_id, in order of id."""
        if not rows:
            return self
        gaps = list(self.gaps)
        previous = self.last_id
        for row in rows:
            if row.id > previous + 1 and now - _time(row) < SETTLED:
                gaps.append(Gap(previous + 1, row.id - 1, now))
            previous = row.id
        return Position(previous, _time(rows[-1]), tuple(gaps))

    def found(self, ids: Iterable[int]) -> "Position":
        """Take ids out of the gaps, since their rows were read."""
        taken = sorted(ids)
        return replace(self, gaps=tuple(p for gap in self.gaps for p in _without(gap, taken)))

    def expire(self, now: float) -> "Position":
        """Drop the gaps that have been looked for long enough: they were rolled back."""
        kept = tuple(gap for gap in self.gaps if now - gap.noticed <= PATIENCE)
        return self if len(kept) == len(self.gaps) else replace(self, gaps=kept)

    def counted(self, row_id: int) -> bool:
        """Tell whether the row of this id has been counted, if there is one."""
        above = bisect_right(self.gaps, row_id, key=lambda gap: gap.first)
        return row_id <= self.last_id and (above == 0 or self.gaps[above - 1].last < row_id)


def _without(gap: Gap, taken: Sequence[int]) -> list[Gap]:
    """Give what is left of a gap; `taken` is in order."""
    pieces, first = [], gap.first
    for row_id in taken[bisect_left(taken, gap.first) : bisect_right(taken, gap.last)]:
        pieces.append(Gap(first, row_id - 1, gap.noticed))
        first = row_id + 1
    pieces.append(Gap(first, gap.last, gap.noticed) if first > gap.first else gap)
    return [piece for piece in pieces if piece.first <= piece.last]


def _time(row: LogRow) -> int:
    return row.created_at if isinstance(row.created_at, int) else 0
