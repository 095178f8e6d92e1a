"""Reads of the log table by the page, be it of many statements."""

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Connection

from exporter.position import Gap, time_of
from newapi.logs import IDS, PIECE, LogTable
from newapi.rows import LogRow

PAGE = 20_000
"""Rows that are counted and saved together: the more, the less often a sum is written."""

PAGE_BYTES = 8_000_000
"""Of `other`, beyond which a page ends: the longest by far of what a row holds."""


def read_page(
    connection: Connection, table: LogTable, row_id: int
) -> tuple[Sequence[LogRow], bool]:
    """Read rows above an id; tells whether the table ended with them."""
    rows: list[LogRow] = []
    size = 0
    while len(rows) < PAGE and size < PAGE_BYTES:
        piece = table.after(connection, row_id, PIECE)
        rows.extend(piece)
        if len(piece) < PIECE:
            return rows, True
        row_id = piece[-1].id
        size += sum(len(row.other) for row in piece if isinstance(row.other, str | bytes))
    return rows, False


def read_missing(
    connection: Connection, table: LogTable, gaps: Sequence[Gap]
) -> Iterator[list[LogRow]]:
    """Read the rows that are in gaps, in order of id: single ids by list, long gaps by range."""
    ids: list[int] = []
    for gap in gaps:
        first = gap.first
        if gap.last - first < IDS:
            ids.extend(range(first, gap.last + 1))
            continue
        while rows := table.within(connection, first, gap.last, PIECE):
            yield rows
            first = rows[-1].id + 1
    ids.sort()
    for start in range(0, len(ids), PAGE):
        yield table.among(connection, ids[start : start + PAGE])


class TableContents:
    """What the log table holds, as exporter/rewind.py asks for it.

    Args:
        connection: to it.
        table: it.
        end: unix seconds; what claims to be of then or later is no time.
    """

    def __init__(self, connection: Connection, table: LogTable, end: int) -> None:
        self._connection = connection
        self._table = table
        self._end = end

    def present(self, remembered: Mapping[int, int]) -> set[int]:
        """Give those of these ids whose row has this created_at (unix seconds)."""
        rows = self._table.among(self._connection, remembered)
        return {row.id for row in rows if remembered[row.id] == time_of(row)}

    def oldest(self) -> tuple[int, int]:
        """Give id and created_at of the row with the lowest id."""
        return self._table.oldest(self._connection)

    def first_since(self, time: int) -> int | None:
        """Give the lowest id of the rows that were created at or after a time; None without any."""
        return self._table.first_between(self._connection, time, self._end)
