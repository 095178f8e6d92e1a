"""Metrics that come from the log table, and those that this gateway cannot have."""

from collections.abc import Iterator

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from exporter.catalogue import LOG_METRICS
from exporter.ledger import Ledger
from exporter.status import Status
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


class LogCollector(Collector):
    """Exposes the counters and histograms over the log table."""

    def __init__(self, ledger: Ledger, status: Status) -> None:
        self._ledger = ledger
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """Give every family of one moment."""
        schema = self._status.logs
        sums = self._ledger.sums()
        seen = bool(sums.get("newapi_request_errors_total"))
        missing = unavailable(schema, failures_seen=seen) if schema is not None else {}
        for metric in LOG_METRICS:
            if metric.name not in missing:
                yield metric.family(sums)
        gauge = GaugeMetricFamily(
            "newapi_metric_unavailable",
            "Metrics that this gateway cannot have, and why.",
            labels=("metric", "reason"),
        )
        for name, reason in missing.items():
            gauge.add_metric([name, reason], 1)
        yield gauge
