"""What has been counted and saved. Only what is saved is shown."""

import threading
from collections.abc import Iterable, Mapping, Sequence

from exporter import totals as counting
from exporter import windows as windowing
from exporter.position import Position
from exporter.state import State, StateError
from exporter.totals import Labels, Totals
from exporter.windows import Buckets, Window
from newapi.events import Event


class Ledger:
    """Position, totals and windows of one gateway, loaded from a state and kept in it.

    A step first saves the sums that it changes, together with the position, and shows them only
    then: where saving fails the numbers stand still, and the same rows are read again.

    Raises:
        StateError: the state cannot be read.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._totals = Totals(state.sums())
        self._buckets = Buckets(state.cells())
        self._filled = state.windows()
        self._windows: tuple[Window, ...] = ()
        self.position = state.position()
        self.counting_since = state.counting_since()

    def begin(self, position: Position, now: float) -> None:
        """Set the starting point, once, at unix time `now`.

        Raises:
            StateError: it cannot be saved.
        """
        self._state.save(position, {}, {}, counting_since=now)
        self.position, self.counting_since = position, now

    def count(self, events: Sequence[Event], position: Position, now: float) -> None:
        """Count events, and go on to a position, at unix time `now`.

        Raises:
            StateError: nothing was counted, since it cannot be saved.
        """
        delta = counting.fold(events)
        filled = [window for window in self._windows if window.key in self._filled]
        cells = windowing.fold(events, filled, now)
        self._commit(position, delta, cells)

    def watch(self, windows: Iterable[Window]) -> list[Window]:
        """Set the windows that rules look at; gives those that still have to be filled.

        Raises:
            StateError: it cannot be saved.
        """
        self._windows = tuple({window.key: window for window in windows}.values())
        wanted = {window.key for window in self._windows}
        forgotten = self._filled - wanted
        if forgotten:
            self._commit(self.position, Totals(), {}, forgotten=forgotten)
            with self._lock:
                for key in forgotten:
                    self._buckets.forget(key)
            self._filled -= forgotten
        return [window for window in self._windows if window.key not in self._filled]

    def fill(self, window: Window, events: Iterable[Event], now: float) -> None:
        """Fill a new window with the events of its period that have been counted before.

        Raises:
            StateError: it cannot be saved.
        """
        cells = windowing.fold(events, [window], now)
        self._commit(self.position, Totals(), cells, filled=[window.key])
        self._filled.add(window.key)

    def expire(self, now: float) -> None:
        """Drop the buckets that have left their windows.

        Raises:
            StateError: it cannot be saved.
        """
        if self.counting_since is None:
            return
        with self._lock:
            edges = {window.key: self._buckets.expire(window, now) for window in self._windows}
        self._commit(self.position, Totals(), {}, expired=edges)

    def sums(self) -> dict[str, dict[Labels, int]]:
        """Give a copy of all sums, of one moment."""
        with self._lock:
            return {metric: dict(values) for metric, values in self._totals.sums.items()}

    def used(self, window: Window, now: float) -> dict[str, int] | None:
        """Give tokens by target in a window; None while it is not complete."""
        if window.key not in self._filled:
            return None
        with self._lock:
            return dict(self._buckets.used(window, now))

    def _commit(
        self,
        position: Position,
        delta: Totals,
        cells: Mapping[windowing.Cell, int],
        *,
        filled: Iterable[str] = (),
        forgotten: Iterable[str] = (),
        expired: Mapping[str, int] | None = None,
    ) -> None:
        if self.counting_since is None:
            raise StateError("counting has not begun")
        known = self._totals.sums
        self._state.save(
            position,
            {
                metric: {
                    labels: known.get(metric, {}).get(labels, 0) + amount
                    for labels, amount in values.items()
                }
                for metric, values in delta.sums.items()
            },
            {cell: self._buckets.get(cell) + amount for cell, amount in cells.items()},
            counting_since=self.counting_since,
            filled=filled,
            forgotten=forgotten,
            expired=expired,
        )
        with self._lock:
            self._totals.merge(delta)
            self._buckets.merge(cells)
            self.position = position
