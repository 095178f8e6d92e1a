"""Reads what is new in the log table, page by page, and has it counted."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from sqlalchemy import Connection

from exporter.failed import due as due_failures
from exporter.fill import Filler
from exporter.ledger import Ledger
from exporter.position import Gap, Position, Step, advance, time_of
from exporter.state import StateError
from exporter.status import Status
from exporter.windows import Window
from newapi.database import Database, DatabaseError, Fault
from newapi.events import Event, read_event
from newapi.logs import PIECE, LogTable
from newapi.rows import LogRow
from newapi.schema import inspect
from service.log import OncePerMinute

log = logging.getLogger(__name__)

PAGE = 20_000
"""Rows that are counted and saved together: the more, the less often a sum is written."""

IDS = 100
"""Ids looked up by one statement. From 200 on, MySQL and MariaDB guess by the average of the index
(eq_range_index_dive_limit) and may read the whole table: in one that was upgraded nearly all rows
have the request id ''."""

INSPECT_EVERY = 300
"""Seconds after which the columns are looked at again: the gateway may have been upgraded."""

SKEW = 60
"""Seconds by which the clocks of a gateway's nodes may differ."""

JUMP = 10
"""Seconds by which the clock and the time that went by part when somebody sets the clock, or wakes
the machine up. Less makes a late row wait somewhat less, or more."""

FILL_FOR = 0.5
"""Seconds of a poll that may go into filling windows."""


class Poller:
    """Follows the log table of one gateway.

    Args:
        database: where the log table is.
        ledger: where rows are counted.
        filler: fills new windows.
        status: what is told how it goes.
        clock: gives unix seconds.
        steady: gives seconds that only go by, whatever the clock is set to.
    """

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        filler: Filler,
        status: Status,
        clock: Callable[[], float],
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._filler = filler
        self._status = status
        self._clock = clock
        self._steady = steady
        self._offset = clock() - steady()
        self._said = OncePerMinute(log)
        self._table: LogTable | None = None
        self._inspected = float("-inf")
        self._windows: list[Window] | None = None
        self._continued = ledger.counting_since is not None
        """Whether this is the first poll after a restart."""

    def follow(self, windows: Iterable[Window]) -> None:
        """Set the windows that rules look at, from the next poll on."""
        self._windows = list(windows)

    def poll(self) -> None:
        """Read up to the end of the table; what fails is noted and tried again next time."""
        started = self._clock()
        try:
            with self._database.connect() as connection:
                current = self._read(connection, self._inspect(connection, started))
            self._ledger.release()
        except DatabaseError as error:
            if error.fault is Fault.MISSING:
                self._table = None
            self._fail("log", error.fault.value, f"log table: {error}")
        except StateError as error:
            self._fail("state", "state", f"state: {error}")
        else:
            self._status.works("log")
            self._status.works("state")
            if not self._status.caught_up:
                self._ledger.exposed()
            self._status.caught_up = True
            if current:
                self._status.counted_until = started
                self._fill()
        self._status.last_poll = self._clock()
        self._status.poll_seconds = self._status.last_poll - started

    def _fill(self) -> None:
        """Fill windows; what fails there keeps nothing from being counted."""
        if not self._filler.busy or self._table is None:
            return
        try:
            with self._database.connect() as connection:
                self._filler.work(connection, self._table, self._clock() + FILL_FOR)
        except DatabaseError as error:
            self._status.errors["fill"] += 1
            self._said.warning(f"windows of alert rules: {error}", self._clock())
        except StateError as error:
            self._fail("state", "state", f"state: {error}")

    def _inspect(self, connection: Connection, now: float) -> LogTable:
        if self._table is None or now - self._inspected >= INSPECT_EVERY:
            schema = inspect(connection)
            self._table, self._inspected = LogTable(schema), now
            self._status.logs = schema
        return self._table

    def _read(self, connection: Connection, table: LogTable) -> bool:
        """Count what is new; False where the table ends before what was counted."""
        if self._ledger.counting_since is None:
            row_id, created_at = table.newest(connection)
            tail = ((row_id, created_at),) if row_id else ()
            self._ledger.begin(Position(row_id, created_at, tail))
            log.info("counting begins after log row %d", row_id)
        if self._windows is not None:  # before anything is counted, which adds to them
            self._filler.plan(self._windows)
            self._windows = None
        self._follow_clock()
        if not self._read_pages(connection, table):
            return False
        self._reread_gaps(connection, table)
        self._settle(connection, table)
        return True

    def _follow_clock(self) -> None:
        """Mend what goes by the clock where that was set."""
        offset = self._clock() - self._steady()
        jump, self._offset = offset - self._offset, offset
        if abs(jump) < JUMP:
            return
        log.warning(
            "the clock was set by %+.0f s: windows of alert rules and the day are filled anew", jump
        )
        self._ledger.shift(jump)
        self._filler.begin_anew(all_of_it=True)

    def _reread_gaps(self, connection: Connection, table: LogTable) -> None:
        """Look once more for the rows of ids that were skipped."""
        ledger, now = self._ledger, self._clock()
        gaps = ledger.gaps.due(now)
        if not gaps:
            return
        for rows in _missing(connection, table, gaps):
            self._count(rows, table, ledger.gaps.found(ledger.position, rows, now))
        ledger.count((), ledger.gaps.looked(ledger.position, now))

    def _read_pages(self, connection: Connection, table: LogTable) -> bool:
        while True:
            now = self._clock()
            rows = self._next(connection, table)
            if rows is None:
                return False
            if rows:
                self._count(rows, table, advance(self._ledger.position, rows, now))
            if len(rows) < PAGE:
                self._status.lag_rows = 0
                return True
            newest, _ = table.newest(connection)
            self._status.lag_rows = max(newest - self._ledger.position.last_id, 0)

    def _next(self, connection: Connection, table: LogTable) -> list[LogRow] | None:
        """Read the next page; the last row that was read is read again, to see that it is there.

        Where it is not, rows were deleted behind us, ids have started again, or a replica is yet
        to get what was counted: None.
        """
        position = self._ledger.position
        anchor, continued, self._continued = position.anchor, self._continued, False
        if anchor is None:
            return table.after(connection, position.last_id, PAGE)
        rows = table.after(connection, position.last_id - 1, PAGE + 1)
        if rows and (rows[0].id, time_of(rows[0])) == anchor:
            return rows[1:]
        if continued:
            # What was deleted while nobody looked may never have been counted, and a state from
            # a backup may know less than was shown before: say that counting begins anew.
            log.warning("log row %d, the last that was counted, is gone", position.last_id)
            self._ledger.begin(position)
        if not self._find_again(connection, table, position):
            return None
        return table.after(connection, self._ledger.position.last_id, PAGE)

    def _find_again(self, connection: Connection, table: LogTable, position: Position) -> bool:
        """Go back to where ids started again, if they did.

        What was counted and is still there are rows of the tail. Where none is left and there is
        no old row either, the table was emptied, and all that it holds is new. Else a backup from
        before the tail was restored, or we are talking to a replica that lags: rows that were not
        counted are those created since the newest that was, so that while there is none, there
        is nothing to count, and waiting is right in both.

        Returns:
            Whether reading can go on.
        """
        newest, _ = table.newest(connection)
        if newest == 0:
            return True
        tail = dict(position.tail)
        present = table.among(connection, tail)
        counted = [row.id for row in present if tail[row.id] == time_of(row)]
        if counted:
            last_id = max(counted)
        else:
            first: int | None
            first, since = table.oldest(connection)
            if since < position.last_created_at - SKEW:
                first = table.first_since(connection, position.last_created_at + 1)
            if first is None:
                self._said.warning(
                    f"log table: ends at row {newest}, before row {position.last_id}, which was"
                    " counted: waiting for a replica that lags, or for newer rows",
                    self._clock(),
                )
                return False
            last_id = min(first - 1, position.last_id)
        if last_id != position.last_id:
            log.warning(
                "the log table was emptied or restored: going on after row %d, not %d",
                last_id, position.last_id,
            )  # fmt: skip
            again = Position(last_id, position.last_created_at, position.tail if counted else ())
            gaps = self._ledger.gaps.all()
            removed = tuple(gap for gap in gaps if not counted or gap.first > last_id)
            self._ledger.count((), Step(again, removed=removed))
            self._filler.begin_anew()
        return True

    def _settle(self, connection: Connection, table: LogTable) -> None:
        """Count the requests of which no attempt succeeded, once that is sure."""
        due = due_failures(self._ledger.pending(), self._clock())
        for start in range(0, len(due), IDS):
            some = due[start : start + IDS]
            ids = [failure.request_id for failure in some]
            won = table.succeeded(connection, ids) if table.tells_requests else set()
            self._ledger.settle(some, won)

    def _count(self, rows: Sequence[LogRow], table: LogTable, step: Step) -> None:
        if not rows:
            return
        first = rows[0].id
        seen = {row_id: time for row_id, time in self._ledger.position.tail if row_id >= first}
        fresh = [row for row in rows if seen.get(row.id) != time_of(row)] if seen else rows
        self._ledger.count(_events(fresh, table), step)
        status = self._status
        status.rows_read += len(fresh)
        status.newest_created_at = max(status.newest_created_at, *map(time_of, rows))

    def _fail(self, part: str, kind: str, message: str) -> None:
        self._status.failed(part, kind, message)
        self._said.warning(message, self._clock())


def _events(rows: Sequence[LogRow], table: LogTable) -> list[Event]:
    read = (read_event(row, table.flavour) for row in rows)
    return [event for event in read if event is not None]


def _missing(
    connection: Connection, table: LogTable, gaps: Sequence[Gap]
) -> Iterator[list[LogRow]]:
    """Read the rows that are in gaps: single ids by list, long gaps by range."""
    ids: list[int] = []
    for gap in gaps:
        first = gap.first
        if gap.last - first < IDS:
            ids.extend(range(first, gap.last + 1))
            continue
        while rows := table.within(connection, first, gap.last, PIECE):
            yield rows
            first = rows[-1].id + 1
    for start in range(0, len(ids), IDS):
        yield table.among(connection, ids[start : start + IDS])
