"""The moments at which the past is sampled.

Samples lie on a grid of four minutes that contains every full hour, so that PromQL, which looks
back five minutes, finds one at any time. The value at a moment t is the sum over the rows with
created_at < t: the value at t2 less the value at t1 is then what SQL finds with
created_at >= t1 AND created_at < t2, to the row. An instant query at a full hour takes the sample
that lies there in every version, so a difference of two (x - x offset 1h) is exact.

Ranges differ: x[1h] at a full hour holds the sample at its left edge in Prometheus 2, and not in
Prometheus 3. Each full hour therefore has a second sample a millisecond later, with the same
value: increase(x[1h]) then begins there and is right in both (in Prometheus 3, which extrapolates
over that millisecond, to 3 parts in 10 million).
"""

from collections.abc import Iterable
from dataclasses import dataclass

STEP = 240
"""Seconds between two points."""

HOUR = 3600

MARK = b"\0"
"""Stands for a sample's name, labels and value."""


@dataclass(frozen=True)
class Grid:
    """The points from `start` on, a full hour, to the last one a second or more before `moment`.

    The last sample of all lies at `moment` itself: the boundary to what is scraped.
    """

    start: int
    moment: float
    """Unix seconds."""

    @classmethod
    def over(cls, days: int, moment: float) -> "Grid":
        """Give the grid of so many days before a moment, from a full hour on."""
        return cls(int(moment - days * 24 * HOUR) // HOUR * HOUR, moment)

    @property
    def last(self) -> int:
        """The last point."""
        return self.start + int(self.moment - 1 - self.start) // STEP * STEP


def template(points: Iterable[float]) -> tuple[bytes, list[int]]:
    """Give the lines of these points, MARK in place of all but the time.

    Returns:
        The lines, and for each point the offset of its first line; the end comes last.
    """
    parts: list[bytes] = []
    offsets = [0]
    for point in points:
        if point % 1:
            lines = b"%s %.3f\n" % (MARK, point)
        elif point % HOUR:
            lines = b"%s %d\n" % (MARK, point)
        else:
            lines = b"%s %d\n%s %d.001\n" % (MARK, point, MARK, point)
        parts.append(lines)
        offsets.append(offsets[-1] + len(lines))
    return b"".join(parts), offsets
