"""Pieces of PromQL that every dashboard uses.

Two exporters on one gateway count the same rows, and a restart can change the address of one. So
whatever is read is first reduced to its own labels by the maximum over instances, and only then
summed or joined. For the same reason no dashboard filters by instance or job.
"""

from collections.abc import Callable
from dataclasses import dataclass

from grafana.metrics import COUNTED_UNTIL, Counter, Histogram, Thing

MIN_REQUESTS = 20
"""Below it a percentile says nothing (the default of min_requests in alerts.yml)."""


@dataclass(frozen=True)
class Window:
    """A stretch of time that a counter is looked at over."""

    length: str
    modifier: str = ""

    def of(self, selector: str) -> str:
        """Give the range selector of a metric over this window."""
        return f"{selector}[{self.length}] {self.modifier}".rstrip()


RANGE = Window("$__range")
"""The dashboard's time range, in an instant query."""
BEFORE = Window("$__range", "offset $__range")
"""The period of the same length before it."""
WHOLE = Window("$__range", "@ end()")
"""The dashboard's time range, the same at every point of a range query."""
STEP = Window("$__interval")
"""From one bar to the next: bars that adjoin add up to the total, as $__rate_interval's do not."""
RATE = Window("$__rate_interval")
"""For rates and percentiles over time."""
HOUR = Window("1h")
RECENT = Window("5m")
"""Now, for what is told by the minute."""
RECENT_BEFORE = Window("5m", "offset $__range")
"""The same, a period earlier."""


def growth(counter: Counter, window: Window, by: tuple[str, ...] = (), where: str = "") -> str:
    """Give by how much a counter grew, summed by labels."""
    return total(each(counter, window, where), by)


def each(counter: Counter, window: Window, where: str = "") -> str:
    """Give by how much each series of a counter grew, instances aside."""
    selector = f"{counter.name}{{{where}}}" if where else counter.name
    return f"max by ({_list(counter.labels)}) (increase({window.of(selector)}))"


def total(expr: str, by: tuple[str, ...] = ()) -> str:
    """Sum by labels; without any, over everything."""
    return f"sum by ({_list(by)}) ({expr})" if by else f"sum({expr})"


def quantile(q: float, histogram: Histogram, window: Window, by: tuple[str, ...] = ()) -> str:
    """Give a quantile of a histogram in seconds; nothing where there were too few requests."""
    buckets = growth(histogram.buckets, window, (*by, "le"))
    enough = f"{growth(histogram.count, window, by)} >= {MIN_REQUESTS}"
    return f"histogram_quantile({q}, {buckets}) and {enough}"


def change(now: str, before: str) -> str:
    """Give the change against before as a ratio; nothing where there was nothing before."""
    return f"{now} / ({before} > 0) - 1"


def a_minute(measure: Callable[[Window], str], window: Window) -> str:
    """Give a measure by the minute."""
    return f"{measure(window)} / {window.length.removesuffix('m')}"


def or_zero(expr: str) -> str:
    """Give 0 where an expression without labels is empty, as long as an exporter is there."""
    return f"{expr} or max({COUNTED_UNTIL}) * 0"


def largest(n: int, expr: str) -> str:
    """Keep the n largest."""
    return f"topk({n}, {expr})"


def named(expr: str, thing: Thing) -> str:
    """Add the names of things to series that carry their ids.

    At most one name an id, since two exporters may know a renamed thing by both names and a
    duplicate would fail the query. What has no name is kept, with "?" in its place.
    """
    names = _list(thing.names)
    info = f"topk by ({thing.id}) (1, max by ({thing.id}, {names}) ({thing.info}))"
    unnamed = expr
    for name in thing.names:
        unnamed = f'label_replace({unnamed}, "{name}", "?", "", "")'
    return f"{expr} * on ({thing.id}) group_left ({names}) {info} or on ({thing.id}) {unnamed}"


def _list(labels: tuple[str, ...]) -> str:
    return ", ".join(labels)
