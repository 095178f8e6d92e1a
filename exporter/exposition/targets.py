"""The text of newapi_rule_*: what the targets of the rules show.

At the largest size these are tens of thousands of samples every two seconds. prometheus-client,
which writes all other series, takes a quarter of a second of processor time for them, this a fifth
of that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from exporter.exposition.samples import escaped
from exporter.readings import Readings
from exporter.rulebook import Rulebook
from exporter.rules.rule import Rule

TARGET_LABELS = {
    "channel": "channel_id",
    "model": "model",
    "api_key": "api_key_id",
    "user": "user_id",
}
"""The label that names a target, by scope; a gateway has none of its own."""

SERIES = {
    "tokens": "LLM tokens of a target in a rule's window.",
    "quota": "Quota charged to a target in a rule's window.",
    "projected": "Use at the end of the period if the pace so far stays.",
    "errors": "Failed attempts of a target in a rule's window.",
    "requests": "Completed requests of a target in a rule's window, channel tests excluded.",
    "requests_before": "Completed requests in the period before a rule's window.",
    "seconds": "Duration of requests in a rule's window: the statistic that the rule asks for.",
    "down": "0: in service, 1: disabled by the gateway, 2: disabled by hand.",
    "remaining": "Quota that a target has left.",
}
"""newapi_rule_<name> and what it says."""


@dataclass(frozen=True)
class _Written:
    """What was written of a rule last."""

    rule: Rule
    stamp: tuple[float, int] | None
    labels: Mapping[str, str]
    """By target, as they are written."""
    lines: Mapping[str, Sequence[str]]
    """By the name of the family."""


class TargetText:
    """Writes the families of newapi_rule_*, in a form that both text formats share.

    Args:
        rulebook: the rules.
        readings: what their targets show.
    """

    def __init__(self, rulebook: Rulebook, readings: Readings) -> None:
        self._rulebook = rulebook
        self._readings = readings
        self._last: dict[str, _Written] = {}
        """By a rule's name."""

    def __call__(self, *, openmetrics: bool) -> str:
        """Give every family of one moment."""
        del openmetrics  # gauges are written alike
        rules, zone, last = self._rulebook.rules, self._rulebook.zone, self._last
        written = {rule.name: self._write(rule, zone, last.get(rule.name)) for rule in rules}
        self._last = written  # of two scrapes at the same time either will do
        parts = []
        for name, about in SERIES.items():
            parts += [f"# HELP newapi_rule_{name} {about}\n# TYPE newapi_rule_{name} gauge\n"]
            for one in written.values():
                parts += one.lines.get(name, ())
        return "".join(parts)

    def _write(self, rule: Rule, zone: ZoneInfo, last: _Written | None) -> _Written:
        if last is not None and last.rule is not rule:
            last = None
        stamp = self._readings.stamp(rule)
        if last is not None and stamp is not None and stamp == last.stamp:
            return last
        known = last.labels if last is not None else {}
        labels: dict[str, str] = {}
        lines: dict[str, list[str]] = {}
        for target, values, _ in self._readings.of(rule, zone):
            text = labels[target] = known.get(target) or _labels(rule, target)
            for name, value in values.items():
                lines.setdefault(name, []).append(f"newapi_rule_{name}{text} {value}\n")
        return _Written(rule, stamp, labels, lines)


def _labels(rule: Rule, target: str) -> str:
    labels = {"rule": rule.name, "target": target}
    if rule.scope in TARGET_LABELS:
        labels[TARGET_LABELS[rule.scope]] = target
    inside = ",".join(f'{name}="{escaped(text)}"' for name, text in sorted(labels.items()))
    return f"{{{inside}}}"
