"""Sums over log rows, by metric and label values. Neither SQL nor state here."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from newapi.events import Event
from newapi.rows import LogType, Source

Labels = tuple[int | str, ...]
"""Label values of a sum, in the order of the metric's labels."""
Sums = Mapping[str, Mapping[Labels, int]]
"""By metric, then by label values. A histogram has two: `_bucket`, whose last label is the index
of the bucket (counts are not cumulative), and `_sum`, in milliseconds."""

DURATION_BOUNDS = tuple(s * 1000 for s in (1, 2, 3, 5, 8, 13, 20, 30, 60, 120, 300))
FIRST_TOKEN_BOUNDS = (250, 500, *(s * 1000 for s in (1, 2, 3, 5, 8, 13, 20, 30, 60)))
"""Upper bounds of the buckets, milliseconds."""

_DURATION = "newapi_request_duration_seconds"
_TTFT = "newapi_time_to_first_token_seconds"

# Bound once: to look up a member of an enum takes longer than to add a number.
_CONSUME, _ERROR, _TEST = LogType.CONSUME, LogType.ERROR, Source.TEST


class Totals:
    """Sums that only grow. Adding the totals of two sets of rows gives those of both together."""

    def __init__(self, sums: Sums | None = None) -> None:
        self.sums: dict[str, dict[Labels, int]] = {
            metric: dict(values) for metric, values in (sums or {}).items()
        }

    def add(self, metric: str, labels: Labels, amount: int) -> None:
        """Add to one sum; it begins to exist with 0."""
        values = self.sums.setdefault(metric, {})
        values[labels] = values.get(labels, 0) + amount

    def merge(self, other: "Totals") -> None:
        """Add all sums of another."""
        for metric, values in other.sums.items():
            mine = self.sums.setdefault(metric, {})
            for labels, amount in values.items():
                mine[labels] = mine.get(labels, 0) + amount


@dataclass(slots=True)
class _Use:
    """What completed requests that share something used: so each sum is touched once a page."""

    number: int = 0
    prompt: int = 0
    completion: int = 0
    quota: int = 0


@dataclass(slots=True)
class _Course(_Use):
    """How they went, too: numbers by milliseconds, and by how streams ended wrongly."""

    cached: int = 0
    durations: dict[int, int] = field(default_factory=dict)
    first_tokens: dict[int, int] = field(default_factory=dict)
    broken: dict[str, int] = field(default_factory=dict)


_Models = dict[tuple[int, str, Source], _Course]
_Callers = dict[tuple[int, int], _Use]
"""By API key and its user."""


def fold(events: Iterable[Event]) -> Totals:
    """Sum events up."""
    totals = Totals()
    models: _Models = {}
    callers: _Callers = {}
    for event in events:
        for reason in event.adjusted:
            totals.add("newapi_rows_adjusted_total", (reason,), 1)
        if event.type is not _CONSUME:
            _other(totals, event)
            continue
        # Not by methods: a call takes as long as three sums, and this is done for every row.
        prompt, completion, quota = event.prompt, event.completion, event.quota
        pair = event.channel_id, event.model, event.source
        course = models.get(pair)
        if course is None:
            course = models[pair] = _Course()
        course.number += 1
        course.prompt += prompt
        course.completion += completion
        course.quota += quota
        course.cached += event.cached
        durations, duration = course.durations, event.duration_ms
        durations[duration] = durations.get(duration, 0) + 1
        if first_token := event.first_token_ms:
            first_tokens = course.first_tokens
            first_tokens[first_token] = first_tokens.get(first_token, 0) + 1
        if broken := event.broken:
            course.broken[broken] = course.broken.get(broken, 0) + 1
        caller = event.api_key_id, event.user_id
        use = callers.get(caller)
        if use is None:
            use = callers[caller] = _Use()
        use.number += 1
        use.prompt += prompt
        use.completion += completion
        use.quota += quota
    _add_models(totals, models)
    _add_callers(totals, callers)
    return totals


def _other(totals: Totals, event: Event) -> None:
    """Add a failed attempt or a refund."""
    if event.type is _ERROR:
        category = event.category.value if event.category is not None else ""
        labels = (event.channel_id, event.model, event.source.value, category)
        totals.add("newapi_request_errors_total", labels, 1)
        totals.add("newapi_api_key_errors_total", (event.api_key_id,), 1)
        totals.add("newapi_user_errors_total", (event.user_id,), 1)
    else:
        pair = (event.channel_id, event.model)
        totals.add("newapi_quota_refunded_total", pair, event.quota)


def _add_models(totals: Totals, models: _Models) -> None:
    add = totals.add
    for (channel, model, source), course in models.items():
        pair = channel, model
        add("newapi_requests_total", (*pair, source.value), course.number)
        add("newapi_tokens_total", (*pair, "prompt"), course.prompt)
        add("newapi_tokens_total", (*pair, "completion"), course.completion)
        add("newapi_cached_tokens_total", pair, course.cached)
        add("newapi_quota_total", pair, course.quota)
        for reason, number in course.broken.items():
            add("newapi_broken_streams_total", (*pair, reason), number)
        if source is not _TEST:
            durations, first_tokens = course.durations, course.first_tokens
            _observe(totals, _DURATION, pair, durations, DURATION_BOUNDS)
            _observe(totals, _TTFT, pair, first_tokens, FIRST_TOKEN_BOUNDS)


def _add_callers(totals: Totals, callers: _Callers) -> None:
    add = totals.add
    for caller, use in callers.items():
        for name, who in zip(("api_key", "user"), caller, strict=True):
            add(f"newapi_{name}_requests_total", (who,), use.number)
            add(f"newapi_{name}_tokens_total", (who, "prompt"), use.prompt)
            add(f"newapi_{name}_tokens_total", (who, "completion"), use.completion)
            add(f"newapi_{name}_quota_total", (who,), use.quota)


def _observe(
    totals: Totals, metric: str, pair: Labels, took: Mapping[int, int], bounds: tuple[int, ...]
) -> None:
    for milliseconds, number in took.items():
        index = bisect_left(bounds, milliseconds)
        totals.add(f"{metric}_bucket", (*pair, index), number)
        totals.add(f"{metric}_sum", pair, number * milliseconds)
