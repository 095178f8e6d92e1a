"""What a series of a large gateway's history is made of: its labels, its values, its interval."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.tsdb.blocks import Labels, Shape
from tests.rule_history import SCRAPE

DAY = 86400

_PACES = [0.02 * 1.35**step for step in range(36)]
"""By how much counters grow a second; many series have the same."""

Rows = Iterator[tuple[Labels, Shape]]


@dataclass(frozen=True)
class Grown:
    """A count that grows by day faster than by night, or what is left of something by it."""

    pace: float
    sign: int = 1
    start: float = 0

    def __call__(self, moment: int) -> float:
        """Give its value."""
        wave = 0.6 * DAY / math.tau * math.sin(math.tau * (moment % DAY) / DAY)
        return self.start + self.sign * int(self.pace * (moment - 1_700_000_000 + wave))


@dataclass(frozen=True)
class Same:
    """A value that stays."""

    value: float

    def __call__(self, _: int) -> float:
        """Give it."""
        return self.value


@dataclass(frozen=True)
class Behind:
    """A moment, always so many seconds ago."""

    seconds: int

    def __call__(self, moment: int) -> float:
        """Give its value."""
        return float(moment - self.seconds)


def counter(pace: int, interval: int = SCRAPE) -> Shape:
    """Give a counter of one of the paces."""
    return Shape(Grown(_PACES[pace % len(_PACES)]), interval)


def constant(value: float) -> Shape:
    """Give a gauge that stays."""
    return Shape(Same(value), SCRAPE)


def behind(seconds: int) -> Shape:
    """Give a moment that is always so many seconds ago."""
    return Shape(Behind(seconds), SCRAPE)


def row(metric: str, shape: Shape, /, **labels: str) -> tuple[Labels, Shape]:
    """Give a series; what Prometheus records itself has no instance. Empty labels are none."""
    scraped = {"instance": "127.0.0.1:9847", "job": "newapi"} if ":" not in metric else {}
    there = {name: value for name, value in labels.items() if value}
    return tuple(sorted({"__name__": metric, **scraped, **there}.items())), shape


def remaining(pace: int) -> Shape:
    """Give what is left of something that is used at one of the paces."""
    return Shape(Grown(_PACES[pace + 18], -1, 1e12), SCRAPE)
