"""Sums over log rows, by metric and label values. Neither SQL nor state here."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import TypeVar

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


def fold(events: Iterable[Event]) -> Totals:
    """Sum events up."""
    totals, uses, streams = Totals(), _Uses(), _Streams()
    for event in events:
        for reason in event.adjusted:
            totals.add("newapi_rows_adjusted_total", (reason,), 1)
        if event.type is _CONSUME:
            uses.add(event)
            streams.add(event)
        elif event.type is _ERROR:
            _error(totals, event)
        else:
            labels = (event.channel_id, event.model)
            totals.add("newapi_quota_refunded_total", labels, event.quota)
    uses.into(totals)
    streams.into(totals)
    return totals


class _Uses:
    """What completed requests used, by what they share: so each sum is touched once a page."""

    def __init__(self) -> None:
        self.models: dict[tuple[int, str, Source], list[int]] = {}
        self.callers: dict[tuple[int, int], list[int]] = {}
        """Of an API key and its user. Number, prompt, completion, quota, cached."""

    def add(self, event: Event) -> None:
        amounts = event.prompt, event.completion, event.quota, event.cached
        _use(self.models, (event.channel_id, event.model, event.source), *amounts)
        _use(self.callers, (event.api_key_id, event.user_id), *amounts)

    def into(self, totals: Totals) -> None:
        add = totals.add
        for (channel, model, source), use in self.models.items():
            number, prompt, completion, quota, cached = use
            add("newapi_requests_total", (channel, model, source.value), number)
            add("newapi_tokens_total", (channel, model, "prompt"), prompt)
            add("newapi_tokens_total", (channel, model, "completion"), completion)
            add("newapi_cached_tokens_total", (channel, model), cached)
            add("newapi_quota_total", (channel, model), quota)
        for caller, (number, prompt, completion, quota, _) in self.callers.items():
            for name, who in zip(("api_key", "user"), caller, strict=True):
                add(f"newapi_{name}_requests_total", (who,), number)
                add(f"newapi_{name}_tokens_total", (who, "prompt"), prompt)
                add(f"newapi_{name}_tokens_total", (who, "completion"), completion)
                add(f"newapi_{name}_quota_total", (who,), quota)


_Key = TypeVar("_Key", tuple[int, int], tuple[int, str, Source])


def _use(
    found: dict[_Key, list[int]], key: _Key, prompt: int, completion: int, quota: int, cached: int
) -> None:
    use = found.get(key)
    if use is None:
        found[key] = [1, prompt, completion, quota, cached]
        return
    use[0] += 1
    use[1] += prompt
    use[2] += completion
    use[3] += quota
    use[4] += cached


class _Streams:
    """How long completed requests took and how they ended, by what they share."""

    def __init__(self) -> None:
        self.broken: dict[Labels, int] = {}
        self.durations: dict[tuple[int, str, int], int] = {}
        self.first_tokens: dict[tuple[int, str, int], int] = {}
        """Numbers by milliseconds."""

    def add(self, event: Event) -> None:
        channel, model = event.channel_id, event.model
        if event.broken:
            labels = (channel, model, event.broken)
            self.broken[labels] = self.broken.get(labels, 0) + 1
        if event.source is not _TEST:
            took = (channel, model, event.duration_ms)
            self.durations[took] = self.durations.get(took, 0) + 1
            if event.first_token_ms:
                took = (channel, model, event.first_token_ms)
                self.first_tokens[took] = self.first_tokens.get(took, 0) + 1

    def into(self, totals: Totals) -> None:
        for labels, number in self.broken.items():
            totals.add("newapi_broken_streams_total", labels, number)
        _observe(totals, "newapi_request_duration_seconds", self.durations, DURATION_BOUNDS)
        _observe(
            totals, "newapi_time_to_first_token_seconds", self.first_tokens, FIRST_TOKEN_BOUNDS
        )


def _error(totals: Totals, event: Event) -> None:
    category = event.category.value if event.category is not None else ""
    labels = (event.channel_id, event.model, event.source.value, category)
    totals.add("newapi_request_errors_total", labels, 1)
    totals.add("newapi_api_key_errors_total", (event.api_key_id,), 1)
    totals.add("newapi_user_errors_total", (event.user_id,), 1)


def _observe(
    totals: Totals, metric: str, took: Mapping[tuple[int, str, int], int], bounds: tuple[int, ...]
) -> None:
    for (channel, model, milliseconds), number in took.items():
        index = bisect_left(bounds, milliseconds)
        totals.add(f"{metric}_bucket", (channel, model, index), number)
        totals.add(f"{metric}_sum", (channel, model), number * milliseconds)
