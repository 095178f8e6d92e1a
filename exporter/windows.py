"""What was used in the time before now, for alert rules, by the log row's own time.

A window is a fixed number of buckets for each target, a sixtieth of the period wide and laid on
multiples of that width since 1970. It counts the buckets that lie within the period as a whole
and the one that is being filled: so it is exact at the edges of the buckets, and never shows more
than was used in the period.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from exporter.position import AHEAD
from exporter.rules import EVERY, PERIODS, Rule
from newapi.events import Event
from newapi.rows import LogType

BUCKETS = 60

Cell = tuple[str, str, int]
"""A window's key, a target, the start of a bucket in unix seconds."""


@dataclass(frozen=True)
class Window:
    """What one or more rules look at: targets of a scope, over a period of seconds."""

    scope: str
    targets: tuple[str, ...]
    period: int

    @classmethod
    def of(cls, rule: Rule) -> "Window":
        """Give the window that a rule looks at."""
        return cls(rule.scope, rule.targets, PERIODS[rule.period])

    @property
    def key(self) -> str:
        """What names it in the state: the same window of another rule has the same."""
        return f"{self.scope}|{self.period}|{json.dumps(self.targets)}"

    @property
    def width(self) -> int:
        """Seconds of a bucket."""
        return self.period // BUCKETS

    def edge(self, now: float) -> int:
        """Give the unix second at which the window begins: the first edge not before its time."""
        return -(-(int(now) - self.period) // self.width) * self.width

    def target(self, event: Event) -> str | None:
        """Name the target that an event counts for; None where it counts for none."""
        if self.scope == "gateway":
            return "gateway"
        target = str(_FIELDS[self.scope](event))
        return target if self.targets == (EVERY,) or target in self.targets else None


_FIELDS = {
    "channel": lambda event: event.channel_id,
    "model": lambda event: event.model,
    "api_key": lambda event: event.api_key_id,
    "user": lambda event: event.user_id,
}


def fold(events: Iterable[Event], windows: Iterable[Window], now: float) -> dict[Cell, int]:
    """Sum up the tokens of completed requests by window, target and bucket."""
    cells: dict[Cell, int] = {}
    edges = [(window, window.key, window.width, window.edge(now)) for window in windows]
    for event in events:
        tokens = event.prompt + event.completion
        if event.type is not LogType.CONSUME or not tokens:
            continue
        for window, key, width, edge in edges:
            if not edge <= event.created_at < now + AHEAD:
                continue
            target = window.target(event)
            if target is not None:
                cell = (key, target, event.created_at // width * width)
                cells[cell] = cells.get(cell, 0) + tokens
    return cells


class Buckets:
    """The cells of all windows, and what they add up to now."""

    def __init__(self, cells: Mapping[Cell, int] | None = None) -> None:
        self._cells: dict[str, dict[str, dict[int, int]]] = {}
        self.merge(cells or {})

    def merge(self, cells: Mapping[Cell, int]) -> None:
        """Add to the buckets."""
        for (key, target, start), amount in cells.items():
            buckets = self._cells.setdefault(key, {}).setdefault(target, {})
            buckets[start] = buckets.get(start, 0) + amount

    def get(self, cell: Cell) -> int:
        """Give what a bucket holds, 0 where there is none."""
        key, target, start = cell
        return self._cells.get(key, {}).get(target, {}).get(start, 0)

    def used(self, window: Window, now: float) -> Iterator[tuple[str, int]]:
        """Give each target that was ever seen in a window and what it used in it until now."""
        self.expire(window, now)
        for target, buckets in self._cells.get(window.key, {}).items():
            yield target, sum(buckets.values())

    def forget_but(self, windows: Iterable[str]) -> None:
        """Drop all windows but those of these keys."""
        kept = set(windows)
        self._cells = {key: cells for key, cells in self._cells.items() if key in kept}

    def expire(self, window: Window, now: float) -> int:
        """Drop the buckets before the window; gives the edge before which none is left."""
        edge = window.edge(now)
        for buckets in self._cells.get(window.key, {}).values():
            if buckets and min(buckets) < edge:
                for start in [start for start in buckets if start < edge]:
                    del buckets[start]
        return edge
