"""The series that alerts rest on: rules as they stand, and what their targets used."""

from collections.abc import Iterator

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from exporter.exposition.inventory import switches
from exporter.fill import Filler
from exporter.ledger import Ledger
from exporter.rulebook import Rulebook
from exporter.rules import Rule
from exporter.status import Status
from exporter.stock import Stock
from exporter.windows import Window

RULE_LABELS = (
    "rule", "type", "scope", "period", "statistic", "action", "severity", "notify", "repeat",
    "each",
)  # fmt: skip

TARGET_LABELS = {
    "channel": "channel_id",
    "model": "model",
    "api_key": "api_key_id",
    "user": "user_id",
}
"""The label that names a target, by scope; a gateway has none of its own."""


_MANY = {"api_key", "user"}
"""Scopes with thousands of targets: of a rule for each one, only those near their threshold."""


class AlertCollector(Collector):
    """Exposes the rules in force and the windows of their targets."""

    def __init__(
        self,
        rulebook: Rulebook,
        ledger: Ledger,
        filler: Filler,
        status: Status,
        stock: Stock,
    ) -> None:
        self._rulebook = rulebook
        self._ledger = ledger
        self._filler = filler
        self._status = status
        self._stock = stock

    def collect(self) -> Iterator[Metric]:
        """Give every family of one moment."""
        rules = self._rulebook.rules
        yield from _rules(rules)
        yield from self._windows(rules)
        yield GaugeMetricFamily(
            "newapi_counted_until_timestamp_seconds",
            "Unix time; every log row that was visible then is counted.",
            value=self._status.counted_until,
        )
        if self._stock.options is not None:
            yield switches(self._stock.options, ["LogConsumeEnabled"])
        yield GaugeMetricFamily(
            "newapi_alert_rules_last_reload_successful",
            "1 where the rules in force are those of the file, 0 where the file has a mistake.",
            value=int(self._rulebook.good),
        )

    def _windows(self, rules: tuple[Rule, ...]) -> Iterator[Metric]:
        complete = GaugeMetricFamily(
            "newapi_alert_rule_window_complete",
            "1 where a rule's window holds all of its period.",
            labels=("rule",),
        )
        names = ("rule", "target", *TARGET_LABELS.values())
        tokens = GaugeMetricFamily(
            "newapi_rule_tokens", "LLM tokens of a target in a rule's window.", labels=names
        )
        for rule in rules:
            window = Window.of(rule)
            complete.add_metric([rule.name], int(self._filler.complete(window)))
            for target, amount in self._ledger.used(window).items():
                if rule.each and rule.scope in _MANY and amount <= rule.threshold / 2:
                    continue
                labels = {"rule": rule.name, "target": target}
                if rule.scope in TARGET_LABELS:
                    labels[TARGET_LABELS[rule.scope]] = target
                tokens.add_sample("newapi_rule_tokens", labels, amount)
        yield complete
        yield tokens


def _rules(rules: tuple[Rule, ...]) -> Iterator[Metric]:
    threshold = GaugeMetricFamily(
        "newapi_alert_rule", "The threshold of each rule.", labels=RULE_LABELS
    )
    active = GaugeMetricFamily(
        "newapi_alert_rule_active", "1 while a rule counts.", labels=("rule",)
    )
    for rule in rules:
        threshold.add_metric(
            [
                rule.name, rule.type, rule.scope, rule.period, "", rule.action, rule.severity,
                rule.notify, rule.repeat, str(rule.each).lower(),
            ],
            rule.threshold,
        )  # fmt: skip
        active.add_metric([rule.name], int(rule.enabled))
    yield threshold
    yield active
