"""Reads the past of the log table in pieces of time, and sums it up between points of the grid."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from exporter.backfill.grid import STEP
from exporter.departed import Subject
from exporter.failed import Failure, failures
from exporter.totals import Totals, fold
from newapi.database import DatabaseError, Fault
from newapi.events import Event
from newapi.rows import LogRow

LIMIT = 1000
"""Rows of one query. On SQLite a reader that lingers makes the gateway lose a row."""

NARROW = 600
WIDEST = 6 * 3600
"""Seconds of the first query, and at most."""

FOREVER = 2**63 - 1
"""Later than any created_at."""

Read = Callable[[int, int, int], list[LogRow]]
"""Gives at most so many rows with start <= created_at < end: (start, end, limit)."""


def pieces(
    read: Read, start: int, end: int, widest: int = WIDEST
) -> Iterator[tuple[int, list[LogRow]]]:
    """Give all rows with start <= created_at < end, in no order within a piece.

    Each piece is as wide as the limit of rows allows; one second is read as a whole.

    Yields:
        The unix second before which everything has been given, and a piece of the rows.

    Raises:
        DatabaseError: the log table cannot be read.
    """
    width = NARROW
    while start < end:
        until = min(start + width, end)
        narrow = until - start <= 1
        limit = 2**31 if narrow else LIMIT
        try:
            rows = read(start, until, limit)
        except DatabaseError as error:
            if narrow or error.fault is not Fault.TIMEOUT:
                raise
            width = max((until - start) // 4, 1)
            continue
        if len(rows) >= limit:
            width = max((until - start) // 4, 1)
            continue
        yield until, rows
        start = until
        if len(rows) < LIMIT // 4:
            width = min(width * 2, widest)


@dataclass
class Interval:
    """What the rows between two points of the grid add."""

    delta: Totals = field(default_factory=Totals)
    failures: dict[str, Failure] = field(default_factory=dict)
    used: dict[Subject, int] = field(default_factory=dict)
    """The last use, unix seconds, of channels, API keys and users."""
    rows: int = 0

    def add(self, events: Iterable[Event]) -> None:
        """Add events, in any order."""
        some = list(events)
        self.delta.merge(fold(some))
        for request_id, failure in failures(some, FOREVER).items():
            known = self.failures.get(request_id)
            if known is None or known.created_at <= failure.created_at:
                self.failures[request_id] = failure
        for event in some:
            for subject in (
                ("channel", event.channel_id),
                ("api_key", event.api_key_id),
                ("user", event.user_id),
            ):
                self.used[subject] = max(event.created_at, self.used.get(subject, 0))
        self.rows += len(some)


def intervals(
    events: Iterable[tuple[int, list[Event]]], reached: int, last: int
) -> Iterator[Interval]:
    """Sum up what lies between the points of the grid.

    Args:
        events: in pieces of time, each with the second before which everything has been given.
        reached: the point after which the first interval begins.
        last: the last point. What was created from there on makes the final interval.

    Yields:
        One interval for each point after `reached`, then the final one.
    """
    current, final = 0, (last - reached) // STEP
    interval = Interval()
    for until, piece in events:
        groups: dict[int, list[Event]] = {}
        for event in piece:
            groups.setdefault(min((event.created_at - reached) // STEP, final), []).append(event)
        for index in sorted(groups):
            while current < index:
                yield interval
                current, interval = current + 1, Interval()
            interval.add(groups[index])
        while current < min((until - reached) // STEP, final):
            yield interval
            current, interval = current + 1, Interval()
    while current <= final:
        yield interval
        current, interval = current + 1, Interval()
