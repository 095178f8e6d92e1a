"""Metrics about the exporter itself."""

import time
from collections.abc import Callable, Iterator
from importlib.metadata import version

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from exporter.ledger import Ledger
from exporter.status import Status


class MonitorCollector(Collector):
    """Exposes how fresh, how complete and how loaded the exporter is."""

    def __init__(
        self, ledger: Ledger, status: Status, zone: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._ledger = ledger
        self._status = status
        self._zone = zone
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """Give every family of one moment."""
        status, counts = self._status, self._ledger.series()
        yield _value(
            "newapi_counting_since_timestamp_seconds",
            "Unix time at which counting began; changes where usage may have been missed.",
            self._ledger.counting_since or 0,
        )
        yield _value(
            "newapi_counted_until_timestamp_seconds",
            "Unix time; every log row that was visible then is counted.",
            status.counted_until,
        )
        yield _value(
            "newapi_log_newest_timestamp_seconds",
            "Unix time of the newest log row that was read.",
            max(status.newest_created_at, self._ledger.position.last_created_at),
        )
        yield _value(
            "newapi_error_log_seen",
            "1 where a failed attempt was ever read: the gateway logs errors.",
            int(bool(counts.get("newapi_request_errors_total"))),
        )
        yield _value(
            "newapi_exporter_last_poll_timestamp_seconds",
            "Unix time of the end of the last reading.",
            status.last_poll,
        )
        yield _value(
            "newapi_exporter_poll_duration_seconds",
            "Duration of the last reading.",
            status.poll_seconds,
        )
        yield _value("newapi_exporter_lag_rows", "Log ids yet to be read.", status.lag_rows)
        yield _value(
            "newapi_exporter_lag_seconds",
            "Seconds since the moment up to which everything is counted.",
            max(self._clock() - status.counted_until, 0) if status.counted_until else 0,
        )
        rows = CounterMetricFamily("newapi_exporter_rows_read_total", "Log rows read since start.")
        rows.add_metric([], status.rows_read)
        yield rows
        errors = CounterMetricFamily(
            "newapi_exporter_errors_total", "Failures since start by kind.", labels=("kind",)
        )
        for kind, count in list(status.errors.items()):
            errors.add_metric([kind], count)
        yield errors
        series = GaugeMetricFamily(
            "newapi_exporter_series", "Series over the log table, by metric.", labels=("metric",)
        )
        for metric, count in counts.items():
            series.add_metric([metric], count)
        yield series
        folded = CounterMetricFamily(
            "newapi_exporter_series_folded_total",
            "Additions since start to series named other, for want of room for new ones.",
            labels=("metric",),
        )
        for metric, count in list(self._ledger.folded.items()):
            folded.add_metric([metric], count)
        yield folded
        build = GaugeMetricFamily(
            "newapi_exporter_build_info", "Version, and the time zone of days.",
            labels=("version", "timezone"),
        )  # fmt: skip
        build.add_metric([version("newapi-monitor"), self._zone], 1)
        yield build


def _value(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)
