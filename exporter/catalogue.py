"""The metrics that come from the log table: names, labels, meaning. Their sums are in totals.py."""

from dataclasses import dataclass

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from exporter.totals import DURATION_BOUNDS, FIRST_TOKEN_BOUNDS, Labels, Sums

_CHANNEL_MODEL = ("channel_id", "model")


@dataclass(frozen=True)
class Counter:
    """A counter over the log table."""

    name: str
    labels: tuple[str, ...]
    help: str

    def family(self, sums: Sums) -> Metric:
        """Give the family of samples that these sums make."""
        family = CounterMetricFamily(self.name, self.help, labels=self.labels)
        for labels, value in sums.get(self.name, {}).items():
            family.add_metric([str(label) for label in labels], value)
        return family


@dataclass(frozen=True)
class Histogram:
    """A histogram over the log table; its sums are kept in milliseconds, shown in seconds."""

    name: str
    labels: tuple[str, ...]
    help: str
    bounds: tuple[int, ...]
    """Upper bounds in milliseconds."""

    def family(self, sums: Sums) -> Metric:
        """Give the family of samples that these sums make."""
        family = HistogramMetricFamily(self.name, self.help, labels=self.labels)
        counts: dict[Labels, list[int]] = {}
        for (*labels, index), count in sums.get(f"{self.name}_bucket", {}).items():
            row = counts.setdefault(tuple(labels), [0] * (len(self.bounds) + 1))
            row[int(index)] += count
        milliseconds = sums.get(f"{self.name}_sum", {})
        bounds = [str(bound / 1000) for bound in self.bounds] + ["+Inf"]
        for key, row in counts.items():
            buckets, seen = [], 0
            for bound, count in zip(bounds, row, strict=True):
                seen += count
                buckets.append((bound, seen))
            family.add_metric(
                [str(label) for label in key], buckets, milliseconds.get(key, 0) / 1000
            )
        return family


def _by(subject: str, label: str, name: str) -> tuple[Counter, ...]:
    """Declare the four counters that API keys and users have alike."""
    return (
        Counter(f"newapi_{name}_requests_total", (label,), f"Completed requests by {subject}."),
        Counter(f"newapi_{name}_errors_total", (label,), f"Failed attempts by {subject}."),
        Counter(f"newapi_{name}_tokens_total", (label, "direction"), f"LLM tokens by {subject}."),
        Counter(f"newapi_{name}_quota_total", (label,), f"Quota charged by {subject}."),
    )


LOG_METRICS: tuple[Counter | Histogram, ...] = (
    Counter(
        "newapi_requests_total",
        (*_CHANNEL_MODEL, "source"),
        "Completed requests (log type 2).",
    ),
    Counter(
        "newapi_request_errors_total",
        (*_CHANNEL_MODEL, "source", "category"),
        "Failed attempts (log type 5).",
    ),
    Counter("newapi_tokens_total", (*_CHANNEL_MODEL, "direction"), "LLM tokens."),
    Counter(
        "newapi_cached_tokens_total", _CHANNEL_MODEL, "Prompt tokens that were served from cache."
    ),
    Counter("newapi_quota_total", _CHANNEL_MODEL, "Quota charged (log type 2)."),
    Counter("newapi_quota_refunded_total", _CHANNEL_MODEL, "Quota given back (log type 6)."),
    Histogram(
        "newapi_request_duration_seconds",
        _CHANNEL_MODEL,
        "Duration of completed requests, channel tests excluded.",
        DURATION_BOUNDS,
    ),
    Histogram(
        "newapi_time_to_first_token_seconds",
        _CHANNEL_MODEL,
        "Time to the first token of streams that got one, channel tests excluded.",
        FIRST_TOKEN_BOUNDS,
    ),
    Counter(
        "newapi_broken_streams_total",
        (*_CHANNEL_MODEL, "reason"),
        "Streams that ended wrongly.",
    ),
    Counter(
        "newapi_failed_requests_total",
        ("model",),
        "Requests of which no attempt succeeded, counted 15 minutes after the last attempt.",
    ),
    *_by("API key", "api_key_id", "api_key"),
    *_by("user", "user_id", "user"),
    Counter(
        "newapi_rows_adjusted_total",
        ("reason",),
        "Values that could not be counted as they stood: negative, absurd, unreadable.",
    ),
)
