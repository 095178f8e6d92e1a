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
from exporter.position import AHEAD, Gaps
from exporter.windows import Window
from newapi.events import read_event
from newapi.logs import LogTable
from newapi.rows import LogType

log = logging.getLogger(__name__)

LIMIT = 20_000
"""Rows of one query."""

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
        self._fill: _Fill | None = None

    def complete(self, window: Window) -> bool:
        """Tell whether a window holds all of its period."""
        return window.key in self._filled

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

        Raises:
            StateError: it cannot be saved.
        """
        wanted = {window.key: window for window in windows}
        self._filled &= wanted.keys()
        kept = [wanted[key] for key in self._filled]
        notes = {_FILLED: json.dumps(sorted(self._filled))}
        self._ledger.watch(wanted.values(), keep=kept, notes=notes)
        if not self._days:
            self._ledger.clear_days()
        new = tuple(window for key, window in wanted.items() if key not in self._filled)
        self._fill = self._begin(new) if new or not self._days else None

    def work(self, connection: Connection, table: LogTable, until: float) -> None:
        """Fill, until it is done or a moment (unix seconds) has come; one query at the least.

        Raises:
            DatabaseError: the log table cannot be read.
            StateError: it cannot be saved.
        """
        while self._fill is not None:
            self._query(connection, table, self._fill)
            if self._fill.reached >= self._fill.end:
                self._finish(self._fill)
            if self._clock() >= until:
                return

    def _begin(self, windows: tuple[Window, ...]) -> _Fill:
        now = self._clock()
        starts = [window.edge(now) for window in windows]
        if not self._days:
            starts.append(int(self._ledger.calendar.start(self._ledger.calendar_day())))
        position, gaps = self._ledger.position, self._ledger.gaps.copy()
        end = int(now) + AHEAD
        return _Fill(windows, not self._days, position.last_id, gaps, min(starts), end)

    def _query(self, connection: Connection, table: LogTable, fill: _Fill) -> None:
        end = min(fill.reached + fill.width, fill.end)
        narrow = end - fill.reached <= 1
        limit = 2**31 if narrow else LIMIT
        rows = table.since(connection, fill.reached, end, [LogType.CONSUME], limit)
        if len(rows) >= LIMIT and not narrow:
            fill.width = max((end - fill.reached) // 4, 1)
            return
        read = (read_event(row, table.flavour) for row in rows if fill.concerns(row.id))
        events = [event for event in read if event is not None]
        self._ledger.fill(events, fill.windows, days=fill.days)
        fill.reached = end
        if len(rows) < LIMIT // 4:
            fill.width = min(fill.width * 2, _WIDEST)

    def _finish(self, fill: _Fill) -> None:
        filled = self._filled | {window.key for window in fill.windows}
        notes = {_FILLED: json.dumps(sorted(filled)), _ZONE: self._ledger.calendar.zone.key}
        self._ledger.note(notes)
        self._filled, self._days, self._fill = filled, True, None
        log.info("%d windows of alert rules and the present day are complete", len(filled))
