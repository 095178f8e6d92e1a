"""The series that alerts rest on: rules as they stand, and how fresh the data are.

What the targets of rules show is in targets.py. docs/alert-series.md is the contract of both:
names, labels, units, and how they are compared.
"""

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from exporter.exposition.inventory import switches
from exporter.readings import Readings
from exporter.rulebook import Rulebook
from exporter.rules.period import Range
from exporter.rules.rule import Rule
from exporter.status import Status
from exporter.stock import Stock

RULE_LABELS = (
    "rule", "type", "scope", "period", "statistic", "projected", "currency", "action", "severity",
    "notify", "repeat", "each", "release_after", "override_for",
)  # fmt: skip

LEFT_BEHIND = 2 * 3600
"""Seconds for which a rule that was removed or changed shows that it does not count any more."""

Labels = tuple[str, ...]


class AlertCollector(Collector):
    """Exposes the rules in force.

    Args:
        rulebook: the rules.
        readings: their thresholds, and when they count.
        status: how the exporter is doing.
        stock: the inventory and the gateway's options.
        clock: gives unix seconds.
    """

    def __init__(
        self,
        rulebook: Rulebook,
        readings: Readings,
        status: Status,
        stock: Stock,
        clock: Callable[[], float],
    ) -> None:
        self._rulebook = rulebook
        self._readings = readings
        self._status = status
        self._stock = stock
        self._clock = clock
        self._left: dict[Labels, float] = {}
        """By the labels of a rule the unix time until which they are shown."""
        self._lock = threading.Lock()

    def collect(self) -> Iterator[Metric]:
        """Give every family of one moment."""
        rules, zone = self._rulebook.rules, self._rulebook.zone
        yield from self._rules(rules)
        yield self._active(rules, zone)
        yield from self._of_time(rules, zone)
        now = datetime.fromtimestamp(self._clock(), zone)
        yield _gauge(
            "newapi_timezone_offset_seconds",
            "By how much the rules' time zone is ahead of UTC now.",
            (now.utcoffset() or timedelta()).total_seconds(),
        )
        yield _gauge(
            "newapi_counted_until_timestamp_seconds",
            "Unix time; every log row that was visible then is counted.",
            self._status.counted_until,
        )
        yield _gauge(
            "newapi_inventory_read_timestamp_seconds",
            "Unix time at which channels, API keys, users and options were last read.",
            self._stock.read_at,
        )
        if self._stock.options is not None:
            yield switches(self._stock.options, ["LogConsumeEnabled"])
        yield _gauge("newapi_alert_rules", "Rules in force.", len(rules))
        yield _gauge(
            "newapi_alert_rules_last_reload_successful",
            "1 where the rules in force are those of the file, 0 where the file has a mistake.",
            int(self._rulebook.good),
        )

    def _rules(self, rules: tuple[Rule, ...]) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "newapi_alert_rule",
            "The threshold of each rule, in the unit of what it is compared with.",
            labels=RULE_LABELS,
        )
        fewest = GaugeMetricFamily(
            "newapi_alert_rule_min_requests",
            "The number of requests below which a rule says nothing.",
            labels=("rule",),
        )
        money = GaugeMetricFamily(
            "newapi_alert_rule_quota_per_unit",
            "Quota units to one unit of the rule's currency.",
            labels=("rule",),
        )
        for rule in rules:
            threshold, unit = self._readings.threshold(rule), self._readings.quota_per_unit(rule)
            if threshold is not None:
                family.add_metric(rule_labels(rule), threshold)
            if rule.type in {"error_rate", "latency", "request_spike"}:
                fewest.add_metric([rule.name], rule.min_requests)
            if unit:
                money.add_metric([rule.name], unit)
        yield from (family, fewest, money)

    def _active(self, rules: tuple[Rule, ...], zone: ZoneInfo) -> Metric:
        active = GaugeMetricFamily(
            "newapi_alert_rule_active",
            "1 while a rule counts; 0 also for two hours after it was removed or changed.",
            labels=RULE_LABELS,
        )
        now = self._clock()
        present = {rule_labels(rule): int(self._readings.active(rule, zone)) for rule in rules}
        with self._lock:
            self._left = {labels: end for labels, end in self._left.items() if now < end}
            left = dict.fromkeys(self._left, 0)
            self._left |= dict.fromkeys(present, now + LEFT_BEHIND)
        for labels, value in (left | present).items():
            active.add_metric(labels, value)
        return active

    def _of_time(self, rules: tuple[Rule, ...], zone: ZoneInfo) -> Iterator[Metric]:
        filled = GaugeMetricFamily(
            "newapi_alert_rule_window_filled_ratio",
            "The part of a rule's window that is filled from the log table, 1 when complete.",
            labels=("rule",),
        )
        over = GaugeMetricFamily(
            "newapi_alert_rule_over",
            "1 where a rule's range has ended, 0 before.",
            labels=("rule",),
        )
        for rule in rules:
            if rule.has_window:
                filled.add_metric([rule.name], self._readings.filled(rule, zone))
            if isinstance(rule.period, Range) and rule.period.end is not None:
                over.add_metric([rule.name], int(self._readings.over(rule, zone)))
        yield from (filled, over)


def rule_labels(rule: Rule) -> Labels:
    """Give the values of RULE_LABELS."""
    statistic = {"latency": rule.statistic, "error_rate": rule.count}.get(rule.type, "")
    money = rule.currency if rule.type in {"cost", "quota_low"} else ""
    return (
        rule.name, rule.type, rule.scope, str(rule.period) if rule.has_window else "", statistic,
        "true" if rule.projected else "", money, rule.action, rule.severity, rule.notify,
        rule.repeat, str(rule.each).lower(), str(rule.release_after or ""),
        str(rule.override_for or ""),
    )  # fmt: skip


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)
