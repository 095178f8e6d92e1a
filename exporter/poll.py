"""Reads what is new in the log table, page by page, and has it counted."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence

from sqlalchemy import Connection

from exporter.entry import Entry
from exporter.fill import Filler
from exporter.ledger import Ledger
from exporter.pages import TableContents, read_missing, read_page
from exporter.position import AHEAD, Position, Step, advance
from exporter.rewind import resume
from exporter.settle import Settler
from exporter.state import StateError
from exporter.status import OwnFault, Status
from exporter.windows import Window
from newapi.database import Database, DatabaseError, Fault
from newapi.logs import LogTable
from newapi.schema import inspect
from service.log import OncePerMinute

log = logging.getLogger(__name__)

INSPECT_EVERY = 300
"""Seconds after which the columns are looked at again: the gateway may have been upgraded."""

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
        self._settler = Settler(ledger, clock)
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
            if self._status.can_tell:  # before, nobody can have seen the 0
                self._ledger.release()
        except DatabaseError as error:
            if error.fault is Fault.MISSING:
                self._table = None
            self._fail("log", error.fault.value, f"log table: {error}")
        except StateError as error:
            self._fail("state", OwnFault.STATE, f"state: {error}")
        else:
            self._status.works("log")
            self._status.works("state")
            self._status.caught_up = True
            if current:
                self._status.counted_until = started
                self._settle()
                if self._filler.busy:
                    self._beside(OwnFault.FILL, "windows of alert rules", self._fill)
        self._status.last_poll = self._clock()
        self._status.poll_seconds = self._status.last_poll - started

    def _settle(self) -> None:
        if self._settler.busy:
            self._beside(OwnFault.SETTLE, "failed requests", self._settler.work)

    def _fill(self, connection: Connection, table: LogTable) -> None:
        self._filler.work(connection, table, self._clock() + FILL_FOR)

    def _beside(
        self, kind: OwnFault, what: str, work: Callable[[Connection, LogTable], None]
    ) -> None:
        """Do what is not counting; what fails there keeps nothing from being counted."""
        if self._table is None:
            return
        try:
            with self._database.connect() as connection:
                work(connection, self._table)
        except DatabaseError as error:
            self._status.errors[kind] += 1
            self._said.warning(f"{what}: {error}", self._clock())
        except StateError as error:
            self._fail("state", OwnFault.STATE, f"state: {error}")

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
            self._ledger.begin(Position(row_id, min(created_at, int(self._clock())), tail))
            log.info("counting begins after log row %d", row_id)
        if self._windows is not None:  # before anything is counted, which adds to them
            self._filler.plan(self._windows)
            self._windows = None
        self._follow_clock()
        if not self._read_pages(connection, table):
            return False
        self._reread_gaps(connection, table)
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
        for rows in read_missing(connection, table, gaps):
            self._count(rows, ledger.gaps.found(ledger.position, rows, now))
        ledger.count((), ledger.gaps.looked(ledger.position, now))

    def _read_pages(self, connection: Connection, table: LogTable) -> bool:
        while True:
            now = self._clock()
            found = self._next(connection, table)
            if found is None:
                return False
            rows, ended = found
            if rows:
                step = advance(self._ledger.position, rows, now, backlog=not ended)
                self._count(rows, step)
            if ended:
                self._status.lag_rows = 0
                return True
            newest, _ = table.newest(connection)
            self._status.lag_rows = max(newest - self._ledger.position.last_id, 0)
            self._reread_gaps(connection, table)  # what a backlog brings would pile up
            self._settle()

    def _next(self, connection: Connection, table: LogTable) -> tuple[Sequence[Entry], bool] | None:
        """Read the next page, and tell whether the table ends with it.

        The last row that was read is read again, to see that it is there. Where it is not, rows
        were deleted behind us, ids have started again, or a replica is yet to get what was
        counted: None.
        """
        position = self._ledger.position
        anchor = position.anchor
        after = position.last_id - (anchor is not None)
        rows, ended = read_page(connection, table, after)
        found = anchor is None or bool(rows and (rows[0].id, rows[0].created_at) == anchor)
        if self._continued and not found:
            # What was deleted while nobody looked may never have been counted, and a state from
            # a backup may know less than was shown before: say that counting begins anew.
            log.warning("log row %d, the last that was counted, is gone", position.last_id)
            self._ledger.begin(position)
        self._continued = False
        if found:
            return rows[anchor is not None :], ended
        if not self._find_again(connection, table, position):
            return None
        return read_page(connection, table, self._ledger.position.last_id)

    def _find_again(self, connection: Connection, table: LogTable, position: Position) -> bool:
        """Go back to where ids started again, if they did; tells whether reading can go on."""
        newest, _ = table.newest(connection)
        if newest == 0:
            return True
        found = resume(position, TableContents(connection, table, int(self._clock()) + AHEAD))
        if found is None:
            self._said.warning(
                f"log table: ends at row {newest}, before row {position.last_id}, which was"
                " counted: waiting for a replica that lags, or for newer rows",
                self._clock(),
            )
            return False
        again = found.position
        if again.last_id == position.last_id:
            return True
        log.warning(
            "the log table was emptied or restored: going on after row %d, not %d",
            again.last_id, position.last_id,
        )  # fmt: skip
        if not found.exact:
            self._ledger.begin(position)
        gaps = self._ledger.gaps.all()
        removed = tuple(gap for gap in gaps if not again.tail or gap.first > again.last_id)
        self._ledger.count((), Step(again, removed=removed))
        self._filler.begin_anew()
        return True

    def _count(self, rows: Sequence[Entry], step: Step) -> None:
        if not rows:
            return
        first = rows[0].id
        seen = {row_id: time for row_id, time in self._ledger.position.tail if row_id >= first}
        fresh = [row for row in rows if seen.get(row.id) != row.created_at] if seen else rows
        self._ledger.count([row.event for row in fresh if row.event is not None], step)
        status = self._status
        status.rows_read += len(fresh)
        status.newest_created_at = max(status.newest_created_at, step.position.last_created_at)

    def _fail(self, part: str, kind: str, message: str) -> None:
        self._status.failed(part, kind, message)
        self._said.warning(message, self._clock())
