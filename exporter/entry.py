"""A row of the log table as far as it is counted; what else it holds is let go at once."""

from collections.abc import Iterable

import msgspec

from newapi.events import Event, read_event
from newapi.rows import LogRow
from newapi.schema import Flavour


class Entry(msgspec.Struct, frozen=True, gc=False):
    """Where a row stands, and what it says."""

    id: int
    created_at: int
    """Unix seconds; 0 where the row holds no time."""
    event: Event | None = None
    """None where nothing of it is counted."""


def read_entries(rows: Iterable[LogRow], flavour: Flavour) -> list[Entry]:
    """Read log rows, in their order."""
    return [Entry(row.id, time_of(row), read_event(row, flavour)) for row in rows]


def time_of(row: LogRow) -> int:
    """Give a row's created_at, unix seconds; 0 where it holds none."""
    created_at = row.created_at
    return created_at if type(created_at) is int else 0
