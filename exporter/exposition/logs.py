"""Metrics that come from the log table, and those that this gateway cannot have."""

from collections.abc import Iterator

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from exporter.catalogue import LOG_METRICS, Counter, Histogram
from exporter.exposition.samples import heads, series, values
from exporter.ledger import Ledger
from exporter.status import Status
from exporter.totals import Labels, Sums
from newapi.schema import Flavour, Schema

_NEEDS = {
    "newapi_cached_tokens_total": ("other",),
    "newapi_time_to_first_token_seconds": ("other", "is_stream"),
    "newapi_broken_streams_total": ("other",),
    "newapi_failed_requests_total": ("request_id",),
    "newapi_api_key_requests_total": ("token_id",),
    "newapi_api_key_errors_total": ("token_id",),
    "newapi_api_key_tokens_total": ("token_id",),
    "newapi_api_key_quota_total": ("token_id",),
}
"""Columns of logs without which a metric has nothing to say."""

_FAILURES = (
    "newapi_failed_requests_total",
    "newapi_request_errors_total",
    "newapi_api_key_errors_total",
    "newapi_user_errors_total",
)


_NONE_SEEN = "no failed attempt was ever logged; New API logs them only with ERROR_LOG_ENABLED=true"


def unavailable(schema: Schema, *, failures_seen: bool) -> dict[str, str]:
    """Give by metric why this gateway's log table cannot tell it, or has not told it yet."""
    reasons = {
        metric: f"column logs.{column} is missing or not granted"
        for metric, columns in _NEEDS.items()
        for column in columns
        if not schema.has("logs", column)
    }
    if schema.flavour is Flavour.ONE_API:
        reasons |= dict.fromkeys(_FAILURES, "One API logs no failed attempts")
    elif not failures_seen:
        reasons |= dict.fromkeys(_FAILURES, _NONE_SEEN)
    return reasons


def _missing(ledger: Ledger, status: Status) -> dict[str, str]:
    seen = bool(ledger.series().get("newapi_request_errors_total"))
    return unavailable(status.logs, failures_seen=seen) if status.logs is not None else {}


class UnavailableCollector(Collector):
    """Exposes which metrics this gateway cannot have."""

    def __init__(self, ledger: Ledger, status: Status) -> None:
        self._ledger = ledger
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """Give the one family."""
        gauge = GaugeMetricFamily(
            "newapi_metric_unavailable",
            "Metrics that this gateway cannot have, and why.",
            labels=("metric", "reason"),
        )
        for name, reason in _missing(self._ledger, self._status).items():
            gauge.add_metric([name, reason], 1)
        yield gauge


class LogText:
    """Writes the counters and histograms over the log table.

    prometheus-client, which writes all that is not many, formats the labels of every sample again
    at each scrape; here they are kept (docs/benchmarks.md).
    """

    def __init__(self, ledger: Ledger, status: Status) -> None:
        self._ledger = ledger
        self._status = status
        self._heads: dict[str, dict[Labels, tuple[str, ...]]] = {}
        """By metric and series."""

    def __call__(self, *, openmetrics: bool) -> str:
        """Give every family of one moment."""
        sums, missing = self._ledger.sums(), _missing(self._ledger, self._status)
        parts: list[str] = []
        for metric in LOG_METRICS:
            if metric.name not in missing:
                parts += self._family(metric, sums, openmetrics=openmetrics)
        return "".join(parts)

    def _family(
        self, metric: Counter | Histogram, sums: Sums, *, openmetrics: bool
    ) -> Iterator[str]:
        kind = "counter" if isinstance(metric, Counter) else "histogram"
        name = metric.name.removesuffix("_total") if openmetrics else metric.name
        yield f"# HELP {name} {metric.help}\n# TYPE {name} {kind}\n"
        known = self._heads.get(metric.name, {})
        kept: dict[Labels, tuple[str, ...]] = {}
        for labels in series(metric, sums):
            kept[labels] = before = known.get(labels) or heads(metric, labels)
            for head, value in zip(before, values(metric, labels, sums), strict=True):
                yield f"{head}{value}\n"
        self._heads[metric.name] = kept  # of two scrapes at the same time either will do
