"""Where the past ends and live reading goes on.

Live reading finds rows by id, the past is read by time, and both must agree on every row. The
boundary is therefore a position as live reading has it: a last id, and the gaps below it. A row
belongs to the past if its id is not above the last one and in no gap, whatever its time, and to
live reading otherwise. The ids that may still be in a transaction are those near the end: these
are read just as live reading reads them, so that its gaps are the same.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from exporter.entry import Entry, time_of
from exporter.position import AHEAD, OLD, Gap, Gaps, Position, advance
from newapi.logs import PIECE, LogTable


@dataclass(frozen=True)
class Boundary:
    """All rows up to a position but those in its gaps, as they were seen at a moment."""

    position: Position
    gaps: tuple[Gap, ...]
    moment: float
    """Unix seconds."""


def find(connection: Connection, table: LogTable, clock: Callable[[], float]) -> Boundary:
    """Find the end of the table, reading its last ten minutes by primary key."""
    position = Position(_settled(connection, table, clock()))
    gaps = Gaps()
    while rows := table.after(connection, position.last_id, PIECE):
        step = advance(position, [Entry(row.id, time_of(row)) for row in rows], clock())
        gaps.apply(step)
        position = step.position
        if len(rows) < PIECE:
            break
    return Boundary(position, gaps.all(), clock())


def _settled(connection: Connection, table: LogTable, now: float) -> int:
    """Give an id below which no row is missing that may still appear: all are too old.

    Walks back through ids, since a search by time for the lowest one makes PostgreSQL walk
    through the whole primary key from its beginning.
    """
    newest, created_at = table.newest(connection)
    # A gateway whose clock is behind ours is as fresh by its own; but not any time is one.
    fresh = max(min(now, created_at), now - AHEAD) - OLD
    last, width = newest, PIECE
    while last > 0:
        first = max(last - width + 1, 1)
        rows = table.within(connection, first, last, PIECE)
        if len(rows) == PIECE and width > PIECE:  # there may be more: look closer
            width = PIECE
            continue
        last = first - 1
        if rows and max(map(time_of, rows)) < fresh:
            break
        width = PIECE if rows else width * 2
    return last
