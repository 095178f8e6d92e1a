"""Reads of the log table by the page, be it of many statements."""

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Connection

from exporter.entry import Entry, read_entries, time_of
from exporter.position import Gap
from newapi.logs import IDS, PIECE, LogTable

PAGE = 50_000
"""Rows that are counted and saved together: the more, the less often a sum is written."""


def read_page(connection: Connection, table: LogTable, row_id: int) -> tuple[Sequence[Entry], bool]:
    """Read rows above an id; tells whether the table ended with them."""
    entries: list[Entry] = []
    while len(entries) < PAGE:
        piece = table.after(connection, row_id, PIECE)
        entries += read_entries(piece, table.flavour)
        if len(piece) < PIECE:
            return entries, True
        row_id = piece[-1].id
    return entries, False


def read_missing(
    connection: Connection, table: LogTable, gaps: Sequence[Gap]
) -> Iterator[list[Entry]]:
    """Read the rows that are in gaps, in order of id: single ids by list, long gaps by range."""
    ids: list[int] = []
    for gap in gaps:
        first = gap.first
        if gap.last - first < IDS:
            ids.extend(range(first, gap.last + 1))
            continue
        while rows := table.within(connection, first, gap.last, PIECE):
            yield read_entries(rows, table.flavour)
            first = rows[-1].id + 1
    ids.sort()
    for start in range(0, len(ids), PAGE):
        some = ids[start : start + PAGE]
        pieces = (some[at : at + PIECE] for at in range(0, len(some), PIECE))
        yield [
            entry
            for piece in pieces
            for entry in read_entries(table.among(connection, piece), table.flavour)
        ]


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
