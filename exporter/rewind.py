"""Where to go on when the last row that was counted is not in the log table any more.

Four things look like this. Rows were deleted behind us: what comes has higher ids. Ids started
again: the table was emptied, and all that it holds is new. The newest rows were lost, as by a
backup or by a primary that failed over, and their ids are given again. Or a replica lags, and is
yet to get them. Rows are told by id and time: what is remembered and still there was counted.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple, Protocol

from exporter.position import SKEW, Position


class Contents(Protocol):
    """What a log table that is not empty holds now."""

    def present(self, remembered: Mapping[int, int]) -> set[int]:
        """Give those of these ids whose row has this created_at (unix seconds)."""

    def oldest(self) -> tuple[int, int]:
        """Give id and created_at of the row with the lowest id."""

    def first_since(self, time: int) -> int | None:
        """Give the lowest id of the rows that were created at or after a time; None without any."""


class Resume(NamedTuple):
    """Where to go on."""

    position: Position
    """With the rows that were counted and may be seen again, also above its last id."""
    exact: bool
    """Whether no row can have been missed or counted twice; else it was told by time."""


def resume(position: Position, contents: Contents) -> Resume | None:
    """Tell where to go on; None where nothing is there yet that was not counted.

    Where a row of the tail is left, all rows up to it were counted. Where none is and there is no
    old row either, the table was emptied. Else what was lost reaches further back than the tail:
    rows that were not counted are those created since the newest that was, and they lie above
    every mark that is left. While there is none, there is nothing to count, and waiting is right,
    be it for a replica.
    """
    present = contents.present(dict(position.marks) | dict(position.tail))
    marks = tuple(mark for mark in position.marks if mark[0] in present)
    counted = [row_id for row_id, _ in position.tail if row_id in present]
    if counted:
        return Resume(replace(position, last_id=max(counted), marks=marks), exact=True)
    first: int | None
    first, since = contents.oldest()
    emptied = since >= position.last_created_at - SKEW and not present
    if not emptied:
        first = contents.first_since(position.last_created_at + 1)
    if first is None:
        return None
    last_id = max([min(first - 1, position.last_id), *present])
    exact = emptied or last_id == position.last_id
    return Resume(replace(position, last_id=last_id, tail=(), marks=marks), exact)
