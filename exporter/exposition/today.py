"""Metrics of the natural day: what was used since midnight."""

from collections.abc import Iterator

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from exporter.exposition.logs import unavailable
from exporter.fill import Filler
from exporter.ledger import Ledger
from exporter.status import Status
from exporter.today import MEASURES, METRICS

_TEXTS = {
    "tokens": "LLM tokens since midnight.",
    "quota": "Quota charged since midnight.",
    "requests": "Completed requests since midnight.",
}


class TodayCollector(Collector):
    """Exposes the sums of the present day."""

    def __init__(self, ledger: Ledger, filler: Filler, status: Status) -> None:
        self._ledger = ledger
        self._filler = filler
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """Give every family of one moment."""
        schema = self._status.logs
        missing = unavailable(schema, failures_seen=True) if schema is not None else {}
        sums = self._ledger.today()
        for template, labels in METRICS.items():
            for measure in MEASURES:
                name = template.format(measure)
                if name.startswith("newapi_api_key") and "newapi_api_key_requests_total" in missing:
                    continue
                family = GaugeMetricFamily(name, _TEXTS[measure], labels=labels)
                for key, value in sums.get(name, {}).items():
                    family.add_metric([str(part) for part in key], value)
                yield family
        yield GaugeMetricFamily(
            "newapi_today_complete",
            "1 where the sums of today hold everything since midnight.",
            value=int(self._filler.today_complete),
        )
