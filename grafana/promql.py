"""Pieces of PromQL that every dashboard uses.

Two exporters on one gateway count the same rows, and a restart can change the address of one. So
whatever is read is first reduced to its own labels by the maximum over instances, and only then
subtracted, summed or joined. For the same reason no dashboard filters by instance or job.
"""

from collections.abc import Callable
from dataclasses import dataclass

from grafana.metrics import (
    COUNTED_UNTIL,
    Thing,
)

MIN_REQUESTS = 20
"""Below it a percentile says nothing (the default of min_requests in alerts.yml)."""

EXACT, EXACT_BEFORE, EXACT_DAY = "exact", "exact_before", "exact_day"
"""The hidden variables that match everything where the range, the one before it, and the last day
are looked at by the counters themselves: totals that tell them were not recorded, or the range is
shorter than a day."""

_LATE = 300
"""Seconds, at most, from where counting begins to where Prometheus first sees it."""

_IDLE = 2 * 86400
"""Seconds, at most, for which nothing may have been counted at the start of a range's history: a
gateway without requests looks there as a Prometheus that was down."""

Measure = Callable[["Window", tuple[str, ...], str], str]
"""Of a window, by labels, where label matchers hold."""


@dataclass(frozen=True)
class Window:
    """A stretch of time that a counter is looked at over.

    Attributes:
        length: as a duration.
        start: unix time, as PromQL: where counting began later, it began in this window.
        modifier: of every selector.
        exact: the hidden variable that matches everything while it is looked at by the counters
            themselves, and not by recorded totals; none: always.
    """

    length: str
    start: str
    modifier: str = ""
    exact: str = ""

    def end_of(self, selector: str) -> str:
        """Give a metric as it is at the end."""
        return f"{selector} {self.modifier}".rstrip()

    def start_of(self, selector: str) -> str:
        """Give a metric as it was at the start."""
        return self.end_of(f"{selector} offset {self.length}")


RANGE = Window("$__range", f"(time() - $__range_s - {_IDLE})", exact=EXACT)
"""The dashboard's time range, in an instant query."""

WHOLE = Window("$__range", f"($__from / 1000 - {_IDLE})", "@ end()", EXACT)
"""The dashboard's time range, the same at every point of a range query."""

STEP = Window("$__interval", f"(time() - $__interval_ms / 1000 - {_LATE})")
"""From one point to the next: bars that adjoin add up to the total."""

RECENT = Window("5m", f"(time() - {300 + _LATE})")
"""Now, for what is told by the minute."""


def last(hours: int) -> Window:
    """Give the window of the last hours, of at most a day."""
    return Window(f"{hours}h", f"(time() - {hours * 3600 + _LATE})", exact=EXACT_DAY)


HOUR = last(1)


def total(expr: str, by: tuple[str, ...] = ()) -> str:
    """Sum by labels; without any, over everything."""
    return f"sum by ({listed(by)}) ({expr})" if by else f"sum({expr})"


def a_minute(measure: Measure, window: Window, where: str = "") -> str:
    """Give a measure by the minute."""
    return f"{measure(window, (), where)} / {window.length.removesuffix('m')}"


def both(*where: str) -> str:
    """Join label matchers; an empty one matches everything."""
    return ", ".join(part for part in where if part)


def or_zero(expr: str) -> str:
    """Give 0 where an expression without labels is empty, as long as an exporter is there."""
    return f"{expr} or max({COUNTED_UNTIL}) * 0"


def largest(n: int, expr: str) -> str:
    """Keep the n largest."""
    return f"topk({n}, {expr})"


def gauge(name: str, labels: tuple[str, ...], where: str = "") -> str:
    """Give a gauge, instances aside."""
    return f"max by ({listed(labels)}) ({selector(name, where)})"


def named(expr: str, thing: Thing, *more: str) -> str:
    """Add the names of things to series that carry their ids.

    At most one name an id, since two exporters may know a renamed thing by both names and a
    duplicate would fail the query. What has no name is kept, with "?" in its place.

    Args:
        expr: the series.
        thing: what they are of.
        more: labels of its _info metric that are wanted beside the names.
    """
    unnamed = expr
    for name in thing.names:
        unnamed = f'label_replace({unnamed}, "{name}", "?", "", "")'
    return f"{named_there(expr, thing, *more)} or on ({thing.id}) {unnamed}"


def named_there(expr: str, thing: Thing, *more: str) -> str:
    """Add names as named(), to series of things that all have one: these are read once only."""
    names = listed((*thing.names, *more))
    # As they are at the end: a graph would read all samples of all names.
    info = f"topk by ({thing.id}) (1, max by ({thing.id}, {names}) ({thing.info} @ end()))"
    return f"{expr} * on ({thing.id}) group_left ({names}) {info}"


def selector(name: str, *where: str) -> str:
    """Give the selector of a metric's series where label matchers hold."""
    matchers = both(*where)
    return f"{name}{{{matchers}}}" if matchers else name


def listed(labels: tuple[str, ...]) -> str:
    """Write label names one behind the other."""
    return ", ".join(labels)
