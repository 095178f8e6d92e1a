"""Pieces of PromQL that every dashboard uses.

Two exporters on one gateway count the same rows, and a restart can change the address of one. So
whatever is read is first reduced to its own labels by the maximum over instances, and only then
subtracted, summed or joined. For the same reason no dashboard filters by instance or job.

The exporter's counters never decrease and are exact, so that the difference of two samples is the
usage between them. Unlike increase() it reads two samples of a series instead of all, guesses
nothing at the edges, and takes no notice of a new address of the exporter. Ranges from a day on
read totals that are recorded every two minutes: Prometheus goes through all blocks of a query's
time for each of its series, and 200 channels of 10 models have many.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

from grafana.metrics import (
    COUNTED_CHANNELS,
    COUNTED_UNTIL,
    COUNTING_SINCE,
    LEVELS,
    REQUESTS,
    Counter,
    Histogram,
    Thing,
)

MIN_REQUESTS = 20
"""Below it a percentile says nothing (the default of min_requests in alerts.yml)."""

PAST = "past"
"""The hidden variable that matches every id while a part of the range was not recorded."""

GONE = "gone"
"""The hidden variable that holds the ids of channels whose series left within the range."""

CHOSEN = {"channel": 'channel_id=~"$channel"', "model": 'model=~"$model"'}
"""The matchers of the variables that choose a channel and a model."""

_TOTALS_OF = {(): "gateway", ("channel",): "channel", ("model",): "model"}
"""Of which level the totals are that tell what is chosen, by the variables that are not All."""
EXACT, EXACT_BEFORE = "exact", "exact_before"
"""The hidden variables that match everything where a range, and the one before it, is looked at by
the counters themselves: it is shorter than a day, or its totals were not recorded."""

_LATE = 300
"""Seconds, at most, from where counting begins to where Prometheus first sees it."""

_IDLE = 2 * 86400
"""Seconds, at most, for which nothing may have been counted at the start of a range's history: a
gateway without requests looks there as a Prometheus that was down."""


Chosen = tuple[str, ...]
"""Variables of CHOSEN; none: the whole gateway."""

Measure = Callable[["Window", tuple[str, ...], str], str]
"""Of a window, by labels, where label matchers hold."""


@dataclass(frozen=True)
class Window:
    """A stretch of time that a counter is looked at over.

    Attributes:
        length: as a duration.
        start: unix time, as PromQL: where counting began later, it began in this window.
        modifier: of every selector.
    """

    length: str
    start: str
    modifier: str = ""

    def end_of(self, selector: str) -> str:
        """Give a metric as it is at the end."""
        return f"{selector} {self.modifier}".rstrip()

    def start_of(self, selector: str) -> str:
        """Give a metric as it was at the start."""
        return self.end_of(f"{selector} offset {self.length}")


RANGE = Window("$__range", f"(time() - $__range_s - {_IDLE})")
"""The dashboard's time range, in an instant query."""
WHOLE = Window("$__range", f"($__from / 1000 - {_IDLE})", "@ end()")
"""The dashboard's time range, the same at every point of a range query."""
STEP = Window("$__interval", f"(time() - $__interval_ms / 1000 - {_LATE})")
"""From one point to the next: bars that adjoin add up to the total."""
HOUR = Window("1h", f"(time() - {3600 + _LATE})")
RECENT = Window("5m", f"(time() - {300 + _LATE})")
"""Now, for what is told by the minute."""


def last(hours: int) -> Window:
    """Give the window of the last hours."""
    return Window(f"{hours}h", f"(time() - {hours * 3600 + _LATE})")


def earlier(expr: str) -> str:
    """Give what an instant expression was one range earlier."""
    then = expr.replace(f"${EXACT}", f"${EXACT_BEFORE}")
    return f"last_over_time(({then})[1s:1s] offset $__range)"


def growth(counter: Counter, window: Window, by: tuple[str, ...] = (), where: str = "",
           chosen: Chosen = ()) -> str:  # fmt: skip
    """Give by how much a counter grew, summed by labels; the rest as each()."""
    return total(each(counter, window, where, by, chosen), by)


def each(counter: Counter, window: Window, where: str = "", by: tuple[str, ...] = (),
         chosen: Chosen = ()) -> str:  # fmt: skip
    """Give by how much each series of a counter grew, instances aside.

    Of the dashboard's range, from a day on, the recorded totals, which are few, where they
    have the labels that are asked for; else the counters themselves, to the moment.

    Args:
        counter: any.
        window: to look at.
        where: label matchers.
        by: labels that the result must have.
        chosen: variables that choose, besides.
    """
    matchers = both(where, *(CHOSEN[name] for name in chosen))
    exactly = _from_counter(counter, window, matchers)
    levels = [(used, _level(counter, by, where, used)) for used in _every(chosen)]
    if window not in {RANGE, WHOLE} or not any(level for _, level in levels):
        return exactly
    parts = []
    for used, level in levels:
        these = both(where, _gates(chosen, used), f'exact!~"${EXACT}"')
        read = _from_totals(counter, level, window, these) if level else None
        parts.append(read or _from_counter(counter, window, these))
    exactly = _from_counter(counter, window, both(matchers, f'exact=~"${EXACT}"'))
    return f"({' or '.join([*parts, exactly])})"


def _every(chosen: Chosen) -> list[Chosen]:
    """Give what of the variables may not be All, the fewest first."""
    return [used for n in range(len(chosen) + 1) for used in combinations(chosen, n)]


def _gates(chosen: Chosen, used: Chosen) -> str:
    """Give the matchers of the variables used, which hold only while just the others are All."""
    # No series has the label `all`: what is matched is the variable, which is ".*" for All.
    gates = (f'all{"!~" if name in used else "=~"}"${name}"' for name in chosen)
    return both(*(CHOSEN[name] for name in used), *gates)


def _level(counter: Counter, by: tuple[str, ...], where: str, used: Chosen) -> str | None:
    """Give the level whose totals have all labels that are asked for, with fewest series."""
    if counter.recorded_where not in where:
        return None
    asked = both(where, *(CHOSEN[name] for name in used))
    needed = {*by, *re.findall(r"(\w+)[=!]", asked)} - {*counter.kinds, "source"}
    return next((level for level in counter.levels if needed <= {*LEVELS[level]}), None)


def _from_totals(counter: Counter, level: str, window: Window, where: str) -> str:
    """Give by how much recorded totals grew over a range; nothing where they fell.

    Where the gateway's fell, EXACT has the counters read.
    """
    recorded = _selector(counter.recorded(level), where)
    now, before = window.end_of(recorded), window.start_of(recorded)
    seen = window.start_of(REQUESTS.recorded("gateway"))
    grown = f"{now} - ({before} or {now} * 0 and on () {seen})"
    if level in _SUMS:
        grown += f" + ({_left(counter, level, window, where)} or {now} * 0)"
    return f"({grown} >= 0)"


def _from_counter(counter: Counter, window: Window, where: str = "", *, past: bool = False) -> str:
    """Give the growth of each series, from the counter itself.

    A series that was not there at the start began at 0, if others were there or counting began
    later; else Prometheus has a hole there, and nothing is said. Where the exporter lost its
    state, what it counted since.

    Args:
        counter: any.
        window: to look at.
        where: label matchers.
        past: whether it is read only while a part of the range was not recorded.
    """
    gate = _GATE.format(counter.labels[0]) if past else ""
    selector = _selector(counter.name, where, gate)
    labels = _list(counter.labels)
    now = f"max by ({labels}) ({window.end_of(selector)})"
    before = f"max by ({labels}) ({window.start_of(selector)})"
    # At every point of a graph all of them would be read; what was scraped is told by `alive`.
    gated = past or window is STEP
    witness = _selector(REQUESTS.name, _GATE.format(REQUESTS.labels[0]) if gated else "")
    seen = f"count({window.start_of(witness)})"
    alive = "" if past else f" or max({window.start_of(COUNTED_UNTIL)})"
    began = f"max({window.end_of(COUNTING_SINCE)}) > {window.start}"
    return f"({now} - {before} >= 0 or {now} and on () ({seen}{alive} or {began}))"


def steps(counter: Counter, level: str, by: tuple[str, ...] = (), where: str = "") -> str:
    """Give by how much a counter grew from point to point of a range query.

    From the totals that Prometheus records every two minutes, since graphs read all samples of
    what they draw; from the counters themselves for the past that was read from the log table.

    Args:
        counter: one whose totals are recorded.
        level: of LEVELS.
        by: labels of the result, of those that are recorded.
        where: label matchers; of labels that are recorded.
    """
    labels = (*LEVELS[level], *counter.kinds)
    past = _from_counter(counter, STEP, both(where, counter.recorded_where), past=True)
    return total(f"{_recorded_steps(counter, level, where)} or {total(past, labels)}", by)


def chosen_steps(
    counter: Counter, chosen: Chosen, by: tuple[str, ...] = (), where: str = ""
) -> str:
    """Give by how much a counter grew from point to point, of what variables choose.

    From the fewest series that tell it: a sum over all of them where All is chosen.

    Args:
        counter: one whose totals are recorded.
        chosen: those variables of CHOSEN that the dashboard has, in that order.
        by: labels of the result, of the kinds of the counter.
        where: matchers of these labels.
    """
    parts = []
    for used in _every(chosen):
        these = both(where, _gates(chosen, used))
        parts.append(total(_recorded_steps(counter, _TOTALS_OF.get(used), these), counter.kinds))
    matchers = both(where, counter.recorded_where, *(CHOSEN[name] for name in chosen))
    past = total(_from_counter(counter, STEP, matchers, past=True), counter.kinds)
    # Behind all totals, and before the counter itself, which does not know where the past began.
    parts.insert(len(_TOTALS_OF), past)
    return total(" or ".join(parts), by)


def total(expr: str, by: tuple[str, ...] = ()) -> str:
    """Sum by labels; without any, over everything."""
    return f"sum by ({_list(by)}) ({expr})" if by else f"sum({expr})"


def quantile(q: float, histogram: Histogram, window: Window, by: tuple[str, ...] = (),
             where: str = "", chosen: Chosen = ()) -> str:  # fmt: skip
    """Give a quantile of a histogram in seconds; nothing where there were too few requests."""
    buckets = growth(histogram.buckets, window, (*by, "le"), where, chosen)
    return _quantile(q, buckets, _count(histogram, window, by, where, chosen), by)


def quantile_steps(q: float, histogram: Histogram, chosen: Chosen) -> str:
    """Give a quantile from point to point of a range query, of what variables choose."""
    buckets = chosen_steps(histogram.buckets, chosen, ("le",))
    count = chosen_steps(histogram.buckets, chosen, (), 'le="+Inf"')
    return _quantile(q, buckets, count, ())


def mean(histogram: Histogram, window: Window, by: tuple[str, ...] = (), where: str = "",
         chosen: Chosen = ()) -> str:  # fmt: skip
    """Give the mean of a histogram in seconds; nothing where there was nothing."""
    seconds = growth(histogram.sum, window, by, where, chosen)
    return f"{seconds} / ({_count(histogram, window, by, where, chosen)} > 0)"


def _count(
    histogram: Histogram, window: Window, by: tuple[str, ...], where: str, chosen: Chosen
) -> str:
    return growth(histogram.buckets, window, by, both(where, 'le="+Inf"'), chosen)


def change(now: str) -> str:
    """Give the change against the period before as a ratio; nothing if there was nothing then."""
    return f"({now}) / ({earlier(now)} > 0) - 1"


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
    return f"max by ({_list(labels)}) ({_selector(name, where)})"


def named(expr: str, thing: Thing, *more: str) -> str:
    """Add the names of things to series that carry their ids.

    At most one name an id, since two exporters may know a renamed thing by both names and a
    duplicate would fail the query. What has no name is kept, with "?" in its place.

    Args:
        expr: the series.
        thing: what they are of.
        more: labels of its _info metric that are wanted beside the names.
    """
    names = _list((*thing.names, *more))
    info = f"topk by ({thing.id}) (1, max by ({thing.id}, {names}) ({thing.info}))"
    unnamed = expr
    for name in thing.names:
        unnamed = f'label_replace({unnamed}, "{name}", "?", "", "")'
    return f"{expr} * on ({thing.id}) group_left ({names}) {info} or on ({thing.id}) {unnamed}"


_GATE = f'{{0}}=~"${PAST}"'


def _recorded_steps(counter: Counter, level: str | None, where: str) -> str:
    """Give by how much recorded totals grew; nothing where they fell, for that is no usage.

    Without a level, by how much the counter itself did: for the few series of a channel's model.
    """
    if level is None:
        selector = _selector(counter.name, where, counter.recorded_where)
        now, before = (
            f"max by ({_list(counter.labels)}) ({at})"
            for at in (selector, STEP.start_of(selector))
        )  # fmt: skip
    else:
        now = _selector(counter.recorded(level), where)
        before = STEP.start_of(now)
    seen = STEP.start_of(REQUESTS.recorded("gateway"))
    left = _left(counter, level, STEP, where) if level in _SUMS else ""
    left = f" + ({left} or {now} * 0)" if left else ""
    return f"({now} - ({before} or {now} * 0 and on () {seen}){left} >= 0)"


_SUMS = ("gateway", "model")
"""The levels whose totals are sums over channels: they fall when the series of one leave."""


def _left(counter: Counter, level: str, window: Window, where: str) -> str:
    """Give what totals lost in a window with the channels whose series left.

    They had long stood still by then, so that any of their samples tells.
    """
    gone = f'channel_id=~"${GONE}"'
    selector = _selector(counter.name, where, counter.recorded_where, gone)
    then = f"{selector} @ start()" if window is STEP else window.start_of(selector)
    had = f"max by ({_list(counter.labels)}) ({then})"
    counted = _selector(COUNTED_CHANNELS.format(level), gone)
    went = f"({window.start_of(counted)} unless {window.end_of(counted)})"
    left = f"{had} * on (channel_id) group_left () {went}"
    return total(left, (*LEVELS[level], *counter.kinds))


def _quantile(q: float, buckets: str, count: str, by: tuple[str, ...]) -> str:
    on = f"on ({_list(by)})"
    return f"histogram_quantile({q}, {buckets}) and {on} ({count}) >= {MIN_REQUESTS}"


def _selector(name: str, *where: str) -> str:
    matchers = both(*where)
    return f"{name}{{{matchers}}}" if matchers else name


def _list(labels: tuple[str, ...]) -> str:
    return ", ".join(labels)
