"""Reads what is new in the log table, page by page, and has it counted."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence

from sqlalchemy import Connection

from exporter.ledger import Ledger
from exporter.position import Gap, Position
from exporter.state import StateError
from exporter.status import Status
from exporter.windows import Window
from newapi.database import Database, DatabaseError, Fault
from newapi.events import Event, read_event
from newapi.logs import LogTable
from newapi.rows import LogRow, LogType
from newapi.schema import inspect
from service.log import OncePerMinute

log = logging.getLogger(__name__)

PAGE = 5000
"""Rows of one read. On SQLite a reader that lingers makes the gateway lose a row."""

IDS = 500
"""Ids looked up by one statement."""

INSPECT_EVERY = 300
"""Seconds after which the columns are looked at again: the gateway may have been upgraded."""


class Poller:
    """Follows the log table of one gateway.

    Args:
        database: where the log table is.
        ledger: where rows are counted.
        status: what is told how it goes.
        clock: gives unix seconds.
    """

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        status: Status,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._status = status
        self._clock = clock
        self._said = OncePerMinute(log)
        self._table: LogTable | None = None
        self._inspected = float("-inf")

    def poll(self) -> None:
        """Read up to the end of the table; what fails is noted and tried again next time."""
        started = self._clock()
        try:
            with self._database.connect() as connection:
                table = self._inspect(connection, started)
                if self._ledger.counting_since is None:
                    self._begin(connection, table, started)
                self._reread_gaps(connection, table)
                self._read_pages(connection, table)
        except DatabaseError as error:
            if error.fault is Fault.MISSING:
                self._table = None
            self._fail("log", error.fault.value, f"log table: {error}")
        except StateError as error:
            self._fail("state", "state", f"state: {error}")
        else:
            self._status.works("log")
            self._status.works("state")
            self._status.caught_up = True
            self._status.counted_until = started
        self._status.last_poll = self._clock()
        self._status.poll_seconds = self._status.last_poll - started

    def fill(self, windows: Sequence[Window]) -> None:
        """Fill new windows from the log table, an hour of it at a time.

        Raises:
            DatabaseError: the log table cannot be read.
            StateError: a window cannot be saved.
        """
        for window in windows:
            now = self._clock()
            with self._database.connect() as connection:
                table = self._inspect(connection, now)
                events = self._past(connection, table, window.edge(now), int(now) + 1)
                self._ledger.fill(window, events, now)

    def _past(
        self, connection: Connection, table: LogTable, start: int, end: int
    ) -> Iterator[Event]:
        """Give the requests of a time that have been counted: the others are yet to be read."""
        position = self._ledger.position
        for begin in range(start, end, 3600):
            rows = table.since(connection, begin, min(begin + 3600, end), [LogType.CONSUME])
            yield from _events([row for row in rows if position.counted(row.id)], table)

    def _inspect(self, connection: Connection, now: float) -> LogTable:
        if self._table is None or now - self._inspected >= INSPECT_EVERY:
            self._table, self._inspected = LogTable(inspect(connection)), now
        return self._table

    def _begin(self, connection: Connection, table: LogTable, now: float) -> None:
        row_id, created_at = table.newest(connection)
        self._ledger.begin(Position(row_id, created_at), now)
        log.info("counting begins after log row %d", row_id)

    def _reread_gaps(self, connection: Connection, table: LogTable) -> None:
        """Look once more for the rows of ids that were skipped."""
        gaps = self._ledger.position.gaps
        if not gaps:
            return
        now = self._clock()
        for rows in _missing(connection, table, gaps):
            if rows:
                self._count(rows, table, self._ledger.position.found(row.id for row in rows))
        position = self._ledger.position.expire(now)
        if position != self._ledger.position:
            self._ledger.count((), position, now)

    def _read_pages(self, connection: Connection, table: LogTable) -> None:
        while True:
            position, now = self._ledger.position, self._clock()
            rows = table.after(connection, position.last_id, PAGE)
            if rows:
                self._count(rows, table, position.advance(rows, now))
            elif self._went_back(connection, table):
                continue
            if len(rows) < PAGE:
                self._status.lag_rows = 0
                return
            newest, _ = table.newest(connection)
            self._status.lag_rows = max(newest - self._ledger.position.last_id, 0)

    def _went_back(self, connection: Connection, table: LogTable) -> bool:
        """Tell whether ids started again below the position, and go back to where they did."""
        position = self._ledger.position
        newest, _ = table.newest(connection)
        if newest >= position.last_id:
            return False
        first = table.first_after(connection, position.last_created_at)
        last_id = newest if first is None else first - 1
        log.warning(
            "the newest log row is %d and was %d: the table was emptied or restored; going on"
            " after row %d", newest, position.last_id, last_id,
        )  # fmt: skip
        self._ledger.count((), Position(last_id, position.last_created_at), self._clock())
        return first is not None

    def _count(self, rows: Sequence[LogRow], table: LogTable, position: Position) -> None:
        self._ledger.count(list(_events(rows, table)), position, self._clock())
        status = self._status
        status.rows_read += len(rows)
        times = [row.created_at for row in rows if isinstance(row.created_at, int)]
        status.newest_created_at = max([status.newest_created_at, *times])

    def _fail(self, part: str, kind: str, message: str) -> None:
        self._status.failed(part, kind, message)
        self._said.warning(message, self._clock())


def _events(rows: Sequence[LogRow], table: LogTable) -> Iterator[Event]:
    for row in rows:
        event = read_event(row, table.flavour)
        if event is not None:
            yield event


def _missing(
    connection: Connection, table: LogTable, gaps: Sequence[Gap]
) -> Iterator[list[LogRow]]:
    """Read the rows that are in gaps: single ids by list, long gaps by range."""
    ids: list[int] = []
    for gap in gaps:
        if gap.last - gap.first < IDS:
            ids.extend(range(gap.first, gap.last + 1))
        else:
            yield table.within(connection, gap.first, gap.last)
    for start in range(0, len(ids), IDS):
        yield table.among(connection, ids[start : start + IDS])
