"""Fills new windows and the present day with what was counted before, a piece at a time.

Why nothing is added twice or left out: when a fill begins, it notes the position and the gaps, its
boundary. Every row that is read from then on adds to these windows as it is counted. The fill adds
the rows that had been counted at the boundary: those up to its last id that are in none of its
gaps. A fill that was interrupted begins anew: only what is complete is noted.

A fill goes back in time from the newest row, so that short windows are complete first.
"""

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from exporter.ledger import Ledger
from exporter.measures import ERRORS, FAILURES
from exporter.position import AHEAD, SKEW, Gaps
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


@dataclass(frozen=True)
class _Fill:
    windows: tuple[Window, ...]
    """Those that are not complete yet."""
    days: bool
    begun: float
    """Unix seconds."""
    last_id: int
    gaps: Gaps
    reached: int
    """Unix seconds; what was created since is added."""
    width: int = AHEAD + 600
    """Seconds of the next query."""

    @property
    def since(self) -> float:
        """The unix second since which everything is in the windows, be it counted or added."""
        return min(self.reached, self.begun + SKEW)

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
        self._fills: list[_Fill] = []
        self._unplanned = False
        """Whether what is under way is yet to be begun anew."""
        self._resume = 0.0
        """Unix time before which nothing is asked."""

    def complete(self, window: Window) -> bool:
        """Tell whether a window holds all of its period."""
        return window.key in self._filled

    def filled(self, window: Window) -> float:
        """Tell what part of a window is filled, from 0 to 1, by time."""
        if self.complete(window):
            return 1.0
        now = self._clock()
        first = window.first(now)
        fill = next((fill for fill in self._fills if window in fill.windows), None)
        if fill is None or first >= now:
            return 0.0
        return min(max((now - fill.since) / (now - first), 0.0), 0.999)

    @property
    def today_complete(self) -> bool:
        """Whether the present day holds everything since midnight."""
        return self._days

    @property
    def busy(self) -> bool:
        """Whether something is yet to be filled."""
        return bool(self._fills) or self._unplanned

    def plan(self, windows: Iterable[Window]) -> None:
        """Set the windows that rules look at, and begin to fill those that are new.

        Fills that are under way go on.

        Raises:
            StateError: it cannot be saved.
        """
        wanted = {window.key: window for window in windows}
        filled = self._filled & wanted.keys()
        fills = [
            replace(fill, windows=tuple(w for w in fill.windows if w.key in wanted))
            for fill in self._fills
        ]
        known = filled | {window.key for fill in fills for window in fill.windows}
        new = tuple(window for key, window in wanted.items() if key not in known)
        days = not self._days and not any(fill.days for fill in fills)
        kept = [window for key, window in wanted.items() if key in known]
        self._ledger.watch(wanted.values(), keep=kept, notes=self._notes(filled))
        if days:
            self._ledger.clear_days()
        if new or days:
            fills.append(self._begin(new, days=days))
        self._windows, self._filled, self._unplanned = tuple(wanted.values()), filled, False
        self._fills = [fill for fill in fills if fill.windows or fill.days]

    def begin_anew(self, *, all_of_it: bool = False) -> None:
        """Fill what is not complete from the beginning, or all of it.

        To be called where ids started again while a fill was under way, once the position is set
        back and before a row is counted: rows that are read from then on may have ids that the
        fill would take for those of rows that had been counted before it. All of it where the
        clock was set: what was dropped as old or left out as yet to come may count now.

        Raises:
            StateError: it cannot be saved; it is tried again before anything is filled.
        """
        if all_of_it:
            self._filled, self._days = set(), False
        elif not self._fills:
            return
        self._fills, self._unplanned = [], True
        self.plan(self._windows)

    def work(self, connection: Connection, table: LogTable, until: float) -> None:
        """Fill, until it is done or a moment (unix seconds) has come; one query at the least.

        After a query that failed it rests, and then asks for less.

        Raises:
            DatabaseError: the log table cannot be read.
            StateError: it cannot be saved.
        """
        if self._unplanned:
            self.plan(self._windows)
        self._note_complete()
        while self._fills and self._clock() >= self._resume:
            self._query(connection, table)
            self._note_complete()
            if self._clock() >= until:
                return

    def _begin(self, windows: tuple[Window, ...], *, days: bool) -> _Fill:
        now, position = self._clock(), self._ledger.position
        gaps = self._ledger.gaps.copy()
        return _Fill(windows, days, now, position.last_id, gaps, int(now) + AHEAD)

    def _query(self, connection: Connection, table: LogTable) -> None:
        """Add one more piece to the fill that is nearest to its end."""
        index, fill = min(enumerate(self._fills), key=lambda each: self._left(each[1]))
        start = max(fill.reached - fill.width, self._first(fill))
        width = fill.reached - start
        limit = LIMIT if width > 1 else 2**31
        less = replace(fill, width=max(width // 4, 1))
        self._fills[index], self._resume = less, self._clock() + REST  # should this one fail
        rows = table.since(connection, start, fill.reached, fill.types, limit)
        self._resume = 0.0
        if len(rows) >= limit:
            return
        read = (read_event(row, table.flavour) for row in rows if fill.concerns(row.id))
        events = [event for event in read if event is not None]
        self._ledger.fill(events, fill.windows, days=fill.days)
        more = min(width * 2, _WIDEST) if len(rows) < LIMIT // 4 else width
        self._fills[index] = replace(fill, reached=start, width=more)

    def _first(self, fill: _Fill) -> int:
        """Give the unix second from which on a fill adds rows."""
        now = self._clock()
        starts = [fill.reached - 1, *(window.first(now) for window in fill.windows)]
        return min([*starts, self._midnight()] if fill.days else starts)

    def _left(self, fill: _Fill) -> float:
        return fill.since - self._first(fill)

    def _midnight(self) -> int:
        return int(self._ledger.calendar.start(self._ledger.calendar_day()))

    def _note_complete(self) -> None:
        """Note the windows and the day that hold everything now."""
        now, fills, filled, days = self._clock(), list[_Fill](), set(self._filled), self._days
        for fill in self._fills:
            left = tuple(w for w in fill.windows if w.first(now) < fill.since)
            filled |= {window.key for window in fill.windows if window not in left}
            unfinished = fill.days and self._midnight() < fill.since
            days = days or (fill.days and not unfinished)
            if left or unfinished:
                fills.append(replace(fill, windows=left, days=unfinished))
        if filled == self._filled and days == self._days:
            return
        self._ledger.note(self._notes(filled, days=days))
        self._filled, self._days, self._fills = filled, days, fills
        if not fills:
            log.info("%d windows of alert rules and the present day are complete", len(filled))

    def _notes(self, filled: Iterable[str], *, days: bool | None = None) -> dict[str, str]:
        complete = self._days if days is None else days
        zone = self._ledger.calendar.zone.key if complete else ""
        return {_FILLED: json.dumps(sorted(filled)), _ZONE: zone}
