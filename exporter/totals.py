"""Sums over log rows, by metric and label values. Neither SQL nor state here."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping

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
    totals = Totals()
    for event in events:
        for reason in event.adjusted:
            totals.add("newapi_rows_adjusted_total", (reason,), 1)
        if event.type is LogType.CONSUME:
            _request(totals, event)
        elif event.type is LogType.ERROR:
            _error(totals, event)
        else:
            labels = (event.channel_id, event.model)
            totals.add("newapi_quota_refunded_total", labels, event.quota)
    return totals


def _request(totals: Totals, event: Event) -> None:
    channel, model = event.channel_id, event.model
    add = totals.add
    add("newapi_requests_total", (channel, model, event.source.value), 1)
    add("newapi_tokens_total", (channel, model, "prompt"), event.prompt)
    add("newapi_tokens_total", (channel, model, "completion"), event.completion)
    add("newapi_cached_tokens_total", (channel, model), event.cached)
    add("newapi_quota_total", (channel, model), event.quota)
    for name, who in (("api_key", event.api_key_id), ("user", event.user_id)):
        add(f"newapi_{name}_requests_total", (who,), 1)
        add(f"newapi_{name}_tokens_total", (who, "prompt"), event.prompt)
        add(f"newapi_{name}_tokens_total", (who, "completion"), event.completion)
        add(f"newapi_{name}_quota_total", (who,), event.quota)
    if event.broken:
        add("newapi_broken_streams_total", (channel, model, event.broken), 1)
    if event.source is not Source.TEST:
        _observe(
            totals, "newapi_request_duration_seconds", (channel, model), event.duration_ms,
            DURATION_BOUNDS,
        )  # fmt: skip
        if event.first_token_ms:
            _observe(
                totals, "newapi_time_to_first_token_seconds", (channel, model),
                event.first_token_ms, FIRST_TOKEN_BOUNDS,
            )  # fmt: skip


def _error(totals: Totals, event: Event) -> None:
    category = event.category.value if event.category is not None else ""
    labels = (event.channel_id, event.model, event.source.value, category)
    totals.add("newapi_request_errors_total", labels, 1)
    totals.add("newapi_api_key_errors_total", (event.api_key_id,), 1)
    totals.add("newapi_user_errors_total", (event.user_id,), 1)


def _observe(
    totals: Totals, metric: str, labels: tuple[int, str], value: int, bounds: tuple[int, ...]
) -> None:
    totals.add(f"{metric}_bucket", (*labels, bisect_left(bounds, value)), 1)
    totals.add(f"{metric}_sum", labels, value)
