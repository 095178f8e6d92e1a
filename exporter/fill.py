"""Fills new windows and the present day with what was counted before, a piece at a time.

Why nothing is added twice or left out: when a fill begins, it notes the position and the gaps, its
boundary. Every row that is read from then on adds to these windows as it is counted. The fill adds
the rows that had been counted at the boundary: those up to its last id that are in none of its
gaps. A fill that was interrupted begins anew: only a finished one is noted.
"""

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from exporter.ledger import Ledger
from exporter.measures import ERRORS, FAILURES
from exporter.position import AHEAD, Gaps
from exporter.windows import Window
from newapi.events import read_event
from newapi.logs import LogTable
from newapi.rows import LogType

log = logging.getLogger(__name__)

LIMIT = 1000
"""Rows of one query. On SQLite the gateway cannot commit while it runs."""

REST = 30
"""Seconds until the next query after one that failed."""

_WIDEST = 6 * 3600
_FILLED, _ZONE = "filled", "days_zone"


@dataclass
class _Fill:
    windows: tuple[Window, ...]
    days: bool
    last_id: int
    gaps: Gaps
    reached: int
    """Unix seconds; what was created before is added."""
    end: int
    width: int = 600
    """Seconds of the next query."""
    resume: float = 0.0
    """Unix time before which nothing is asked."""

    @property
    def types(self) -> list[int]:
        """The types of log rows that are wanted."""
        failed = any(w.wants(ERRORS) or w.wants(FAILURES) for w in self.windows)
        return [LogType.CONSUME, LogType.ERROR] if failed else [LogType.CONSUME]

    def concerns(self, row_id: int) -> bool:
        return row_id <= self.last_id and row_id not in self.gaps


class Filler:
    """Keeps windows and the present day complete.

    Args:
        ledger: where they are.
        clock: gives unix seconds.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._filled: set[str] = set(json.loads(ledger.noted(_FILLED) or "[]"))
        self._days = ledger.noted(_ZONE) == ledger.calendar.zone.key
        self._windows: tuple[Window, ...] = ()
        self._fill: _Fill | None = None

    def complete(self, window: Window) -> bool:
        """Tell whether a window holds all of its period."""
        return window.key in self._filled

    def filled(self, window: Window) -> float:
        """Tell what part of a window is filled, from 0 to 1, by time."""
        if self.complete(window):
            return 1.0
        now, fill = self._clock(), self._fill
        first = window.first(now)
        if fill is None or window not in fill.windows or first >= now:
            return 0.0
        return min(max((fill.reached - first) / (now - first), 0.0), 0.999)

    @property
    def today_complete(self) -> bool:
        """Whether the present day holds everything since midnight."""
        return self._days

    @property
    def busy(self) -> bool:
        """Whether something is yet to be filled."""
        return self._fill is not None

    def plan(self, windows: Iterable[Window]) -> None:
        """Set the windows that rules look at, and begin to fill those that are new.

        A fill that is under way goes on where nothing was added to it.

        Raises:
            StateError: it cannot be saved.
        """
        wanted = {window.key: window for window in windows}
        filled = self._filled & wanted.keys()
        new = tuple(window for key, window in wanted.items() if key not in filled)
        fill = self._fill if self._fill is not None and self._fill.windows == new else None
        kept = [wanted[key] for key in filled] + list(new if fill is not None else ())
        notes = {_FILLED: json.dumps(sorted(filled))}
        self._ledger.watch(wanted.values(), keep=kept, notes=notes)
        self._windows, self._filled, self._fill = tuple(wanted.values()), filled, fill
        if fill is None:
            if not self._days:
                self._ledger.clear_days()
            self._fill = self._begin(new) if new or not self._days else None

    def begin_anew(self) -> None:
        """Fill what is not complete from the beginning.

        To be called where ids started again while a fill was under way, once the position is set
        back and before a row is counted: rows that are read from then on may have ids that the
        fill would take for those of rows that had been counted before it.

        Raises:
            StateError: it cannot be saved.
        """
        if self._fill is not None:
            self._fill = None
            self.plan(self._windows)

    def work(self, connection: Connection, table: LogTable, until: float) -> None:
        """Fill, until it is done or a moment (unix seconds) has come; one query at the least.

        After a query that failed it rests, and then asks for less.

        Raises:
            DatabaseError: the log table cannot be read.
            StateError: it cannot be saved.
        """
        while self._fill is not None and self._clock() >= self._fill.resume:
            self._query(connection, table, self._fill)
            if self._fill.reached >= self._fill.end:
                self._finish(self._fill)
            if self._clock() >= until:
                return

    def _begin(self, windows: tuple[Window, ...]) -> _Fill:
        now = self._clock()
        starts = [int(now), *(window.first(now) for window in windows)]
        if not self._days:
            starts.append(int(self._ledger.calendar.start(self._ledger.calendar_day())))
        position, gaps = self._ledger.position, self._ledger.gaps.copy()
        end = int(now) + AHEAD
        return _Fill(windows, not self._days, position.last_id, gaps, min(starts), end)

    def _query(self, connection: Connection, table: LogTable, fill: _Fill) -> None:
        end = min(fill.reached + fill.width, fill.end)
        width = end - fill.reached
        fill.width, fill.resume = max(width // 4, 1), self._clock() + REST  # should this one fail
        limit = LIMIT if width > 1 else 2**31
        rows = table.since(connection, fill.reached, end, fill.types, limit)
        fill.resume = 0.0
        if len(rows) >= limit:
            return
        read = (read_event(row, table.flavour) for row in rows if fill.concerns(row.id))
        events = [event for event in read if event is not None]
        self._ledger.fill(events, fill.windows, days=fill.days)
        fill.reached = end
        fill.width = min(width * 2, _WIDEST) if len(rows) < LIMIT // 4 else width

    def _finish(self, fill: _Fill) -> None:
        filled = self._filled | {window.key for window in fill.windows}
        notes = {_FILLED: json.dumps(sorted(filled)), _ZONE: self._ledger.calendar.zone.key}
        self._ledger.note(notes)
        self._filled, self._days, self._fill = filled, True, None
        log.info("%d windows of alert rules and the present day are complete", len(filled))
