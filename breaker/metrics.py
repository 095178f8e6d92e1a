"""What the breaker says about itself to Prometheus; all but the durations comes from its record."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from breaker.decision import Reason, Release, Result
from breaker.holding import Undone
from breaker.mode import Mode
from breaker.record import Notification, Record
from newapi.database import Fault
from service.web import Exposition

SHOWN = 200
"""Notifications that are exported."""

_INFO = (
    "id", "alertname", "rule", "type", "scope", "target", "name", "severity", "action", "result",
    "reason",
)  # fmt: skip
"""Fields of a notification, beside its message."""

_LONGEST = 200
"""Characters of a message, at most: what is longer is cut."""

_REFUSED = set(Reason) - {Reason.UNVERIFIED}

KNOWN: tuple[tuple[str, str], ...] = (
    *((result, "") for result in (Result.RECORDED, Result.REPEATED, Result.TRIPPED)),
    (Result.WOULD_TRIP, ""),
    *((Result.REFUSED, reason) for reason in sorted(_REFUSED)),
    *((Result.FAILED, reason) for reason in (*Fault, Reason.UNVERIFIED)),
    *((Result.RELEASED, reason) for reason in Release),
    *((Result.SET_AGAIN, reason) for reason in Undone),
)
"""Each (result, reason) of a decision; they start at 0, so that the first one is an increase."""


class RecordCollector(Collector):
    """Turns the record into metrics at each scrape."""

    def __init__(
        self, record: Record, mode: Callable[[], Mode], waiting: Callable[[], int] | None
    ) -> None:
        self._record = record
        self._mode = mode
        self._waiting = waiting

    def describe(self) -> Iterator[Metric]:
        """Give nothing: a registry that is being made shall not read the record."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Give the metrics.

        Raises:
            RecordError: the record cannot be read.
        """
        yield self._modes()
        held = GaugeMetricFamily(
            "newapi_breaker_held",
            "1 for what the breaker disabled and holds.",
            labels=("kind", "id"),
        )
        for kind, number in self._record.held():
            held.add_metric((kind, str(number)), 1)
        yield held
        decisions = CounterMetricFamily(
            "newapi_breaker_decisions",
            "Alerts that were delivered, and what was done without one, by what it came to.",
            labels=("result", "reason"),
        )
        totals = dict.fromkeys(KNOWN, 0) | self._record.totals()
        for (result, reason), total in sorted(totals.items()):
            decisions.add_metric((result, reason), total)
        yield decisions
        if self._waiting is not None:
            yield GaugeMetricFamily(
                "newapi_breaker_notices_waiting",
                "Notices that Alertmanager has not taken yet.",
                value=self._waiting(),
            )
        yield from _notifications(self._record.notifications(SHOWN))

    def _modes(self) -> Metric:
        current = self._mode()
        modes = GaugeMetricFamily(
            "newapi_breaker_mode", "1 for the mode that the breaker is in.", labels=("mode",)
        )
        for mode in Mode:
            modes.add_metric((mode,), float(mode is current))
        return modes


def _notifications(notifications: list[Notification]) -> Iterator[Metric]:
    info = GaugeMetricFamily(
        "newapi_notification_info",
        f"The last {SHOWN} alerts that arrived.",
        labels=(*_INFO, "message"),
    )
    value = GaugeMetricFamily(
        "newapi_notification_value", "What the rule measured, in its unit.", labels=("id",)
    )
    threshold = GaugeMetricFamily(
        "newapi_notification_threshold", "What the rule allows, in its unit.", labels=("id",)
    )
    moment = GaugeMetricFamily(
        "newapi_notification_timestamp_seconds", "When the alert first arrived.", labels=("id",)
    )
    for notification in notifications:
        number = (str(notification.id),)
        fields = [str(getattr(notification, name)) for name in _INFO]
        info.add_metric([*fields, _message(notification)], 1)
        moment.add_metric(number, notification.first_seen)
        if notification.value is not None:
            value.add_metric(number, notification.value)
        if notification.threshold is not None:
            threshold.add_metric(number, notification.threshold)
    return iter((info, value, threshold, moment))


def _message(notification: Notification) -> str:
    """Give in one line what the alert says and what came of it."""
    text = " ".join(f"{notification.summary} {notification.detail}".split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


class Metrics:
    """The page /metrics.

    Attributes:
        duration: of decisions that look at the gateway's database, in seconds.
    """

    def __init__(
        self,
        record: Record,
        mode: Callable[[], Mode],
        waiting: Callable[[], int] | None = None,
    ) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(RecordCollector(record, mode, waiting))
        self.duration = Histogram(
            "newapi_breaker_decision_duration_seconds",
            "From the start of the work on an alert that asks for action to its record.",
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2, 5, 8),
            registry=self._registry,
        )

    def render(self, accept: str) -> Exposition:
        """Give the page in the format that an Accept header asks for.

        Raises:
            RecordError: the record cannot be read.
        """
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type
