"""By how much counters grew, and what that tells.

The exporter's counters never decrease and are exact, so that the difference of two samples is the
usage between them. Unlike increase() it reads two samples of a series instead of all, guesses
nothing at the edges, and takes no notice of a new address of the exporter. Ranges from a day on
read totals that are recorded every two minutes: Prometheus goes through all blocks of a query's
time for each of its series, and 200 channels of 10 models have many.
"""

import re
from itertools import combinations

from grafana.metrics import (
    COUNTED_CHANNELS,
    COUNTED_UNTIL,
    COUNTING_SINCE,
    LEVELS,
    REQUESTS,
    Counter,
    Histogram,
)
from grafana.promql import (
    EXACT,
    EXACT_BEFORE,
    MIN_REQUESTS,
    RANGE,
    STEP,
    WHOLE,
    Window,
    both,
    listed,
    selector,
    total,
)

PAST = "past"
"""The hidden variable that matches every id while a part of the range was not recorded."""

GONE = "gone"
"""The hidden variable that holds the ids of channels whose series left within the range."""

CHOSEN = {"channel": 'channel_id=~"$channel"', "model": 'model=~"$model"'}
"""The matchers of the variables that choose a channel and a model."""

_TOTALS_OF = {(): "gateway", ("channel",): "channel", ("model",): "model"}
"""Of which level the totals are that tell what is chosen, by the variables that are not All."""

Chosen = tuple[str, ...]
"""Variables of CHOSEN; none: the whole gateway."""


def earlier(expr: str) -> str:
    """Give what an instant expression was one range earlier."""
    then = re.sub(rf"\${EXACT}\b", f"${EXACT_BEFORE}", expr)
    return f"last_over_time(({then})[1s:1s] offset $__range)"


def recorded(window: Window) -> str:
    """Tell of totals that they reach back; where they fell, state was lost or channels left."""
    now = REQUESTS.recorded("gateway")
    return f"({now} >= {window.start_of(now)})"


def growth(counter: Counter, window: Window, by: tuple[str, ...] = (), where: str = "",
           chosen: Chosen = ()) -> str:  # fmt: skip
    """Give by how much a counter grew, summed by labels; the rest as each()."""
    return total(each(counter, window, where, by, chosen), by)


def each(counter: Counter, window: Window, where: str = "", by: tuple[str, ...] = (),
         chosen: Chosen = ()) -> str:  # fmt: skip
    """Give by how much each series of a counter grew, instances aside.

    Of the dashboard's range, from a day on, and of the last hours, the recorded totals, which are
    few, where they have the labels that are asked for; else the counters themselves, to the moment.

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
    if not window.exact or not any(level for _, level in levels):
        return exactly
    parts = []
    for used, level in levels:
        these = both(where, _gates(chosen, used), f'exact!~"${window.exact}"')
        read = _from_totals(counter, level, window, these) if level else None
        parts.append(read or _from_counter(counter, window, these))
    exactly = _from_counter(counter, window, both(matchers, f'exact=~"${window.exact}"'))
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
    matched = _labels(both(where, *(CHOSEN[name] for name in used)))
    needed = {*by, *(matched - _labels(counter.recorded_where))} - {*counter.kinds}
    return next((level for level in counter.levels if needed <= {*LEVELS[level]}), None)


def _labels(where: str) -> set[str]:
    return set(re.findall(r"(\w+)[=!]", where))


def _from_totals(counter: Counter, level: str, window: Window, where: str) -> str:
    """Give by how much recorded totals grew over a window; nothing where they fell.

    Where the gateway's fell, its variable has the counters read; that of the last day also where
    the series of a channel left.
    """
    recorded = selector(counter.recorded(level), where)
    now, before = window.end_of(recorded), window.start_of(recorded)
    seen = window.start_of(REQUESTS.recorded("gateway"))
    grown = f"{now} - ({before} or {now} * 0 and on () {seen})"
    if level in _SUMS and window in {RANGE, WHOLE}:
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
    series = selector(counter.name, where, gate)
    labels = listed(counter.labels)
    now = f"max by ({labels}) ({window.end_of(series)})"
    before = f"max by ({labels}) ({window.start_of(series)})"
    # Of all of them a graph would read too much; what was scraped is told by `alive`. So would a
    # window at whose start a total was recorded.
    gated = past or window is STEP
    seldom = f'exact=~"${window.exact}"' if window.exact else ""
    witness = _GATE.format(REQUESTS.labels[0]) if gated else seldom
    seen = f"count({window.start_of(selector(REQUESTS.name, witness))})"
    if window.exact:
        seen += f" or max({window.start_of(REQUESTS.recorded('gateway'))})"
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


_GATE = f'{{0}}=~"${PAST}"'


def _recorded_steps(counter: Counter, level: str | None, where: str) -> str:
    """Give by how much recorded totals grew; nothing where they fell, for that is no usage.

    Without a level, by how much the counter itself did: for the few series of a channel's model.
    """
    if level is None:
        series = selector(counter.name, where, counter.recorded_where)
        now, before = (
            f"max by ({listed(counter.labels)}) ({at})"
            for at in (series, STEP.start_of(series))
        )  # fmt: skip
    else:
        now = selector(counter.recorded(level), where)
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
    series = selector(counter.name, where, counter.recorded_where, gone)
    then = f"{series} @ start()" if window is STEP else window.start_of(series)
    had = f"max by ({listed(counter.labels)}) ({then})"
    counted = selector(COUNTED_CHANNELS.format(level), gone)
    went = f"({window.start_of(counted)} unless {window.end_of(counted)})"
    left = f"{had} * on (channel_id) group_left () {went}"
    return total(left, (*LEVELS[level], *counter.kinds))


def _quantile(q: float, buckets: str, count: str, by: tuple[str, ...]) -> str:
    on = f"on ({listed(by)})"
    return f"histogram_quantile({q}, {buckets}) and {on} ({count}) >= {MIN_REQUESTS}"
