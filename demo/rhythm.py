"""The daily rhythm: how busy the gateway is at a moment, and moments spread accordingly."""

from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate

UTC_OFFSET = 8 * 3600
"""Seconds that the users' clocks are ahead of UTC: China."""

_HOURS = (
    0.55, 0.35, 0.22, 0.16, 0.14, 0.16, 0.25, 0.45, 0.85, 1.35, 1.60, 1.55,
    1.10, 1.25, 1.60, 1.70, 1.65, 1.50, 1.20, 1.15, 1.30, 1.35, 1.15, 0.80,
)  # fmt: skip
_MEAN = sum(_HOURS) / 24
_WEEKEND = 0.6
_STEP = 600


def activity(moment: float, offset: int = UTC_OFFSET) -> float:
    """Tell how busy it is at a moment, as a multiple of an average weekday's mean.

    Args:
        moment: unix seconds.
        offset: of the users' clocks to UTC, in seconds.
    """
    local = moment + offset
    hour, part = divmod(local % 86400 / 3600, 1)
    level = _HOURS[int(hour)] * (1 - part) + _HOURS[(int(hour) + 1) % 24] * part
    weekday = (local // 86400 + 3) % 7  # 1970-01-01 was a Thursday; 0 = Monday
    return level / _MEAN * (_WEEKEND if weekday >= 5 else 1)


def spread(start: float, end: float) -> Callable[[float], float]:
    """Give a function from a part (0 to 1) of all requests to the moment by which it is reached.

    Args:
        start: unix seconds.
        end: unix seconds, later than start.

    Raises:
        ValueError: end is not later than start.
    """
    if end <= start:
        raise ValueError("the end is not later than the start")
    steps = max(2, int((end - start) / _STEP))
    width = (end - start) / steps
    totals = list(accumulate(activity(start + (n + 0.5) * width) for n in range(steps)))
    whole = totals[-1]

    def moment(part: float) -> float:
        wanted = part * whole
        step = min(bisect_right(totals, wanted), steps - 1)
        before = totals[step - 1] if step else 0.0
        return start + (step + (wanted - before) / (totals[step] - before)) * width

    return moment
