"""The text of newapi_rule_*: what the targets of the rules show.

At the largest size these are tens of thousands of samples every two seconds. prometheus-client,
which writes all other series, takes a quarter of a second of processor time for them, this a fifth
of that.
"""

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


class TargetText:
    """Writes the families of newapi_rule_*, in a form that both text formats share.

    Args:
        rulebook: the rules.
        readings: what their targets show.
    """

    def __init__(self, rulebook: Rulebook, readings: Readings) -> None:
        self._rulebook = rulebook
        self._readings = readings
        self._labels: dict[tuple[str, str], dict[str, str]] = {}
        """By a rule's name and scope, then by target: the labels as they are written."""

    def __call__(self) -> str:
        """Give every family of one moment."""
        zone = self._rulebook.zone
        lines: dict[str, list[str]] = {name: [] for name in SERIES}
        known, written = self._labels, {}
        for rule in self._rulebook.rules:
            key = rule.name, rule.scope
            before, labels = known.get(key, {}), {}
            for target, values, _ in self._readings.of(rule, zone):
                text = labels[target] = before.get(target) or _labels(rule, target)
                for name, value in values.items():
                    lines[name].append(f"newapi_rule_{name}{text} {value}\n")
            written[key] = labels
        self._labels = written  # of two scrapes at the same time either will do
        return "".join(
            f"# HELP newapi_rule_{name} {about}\n# TYPE newapi_rule_{name} gauge\n"
            + "".join(lines[name])
            for name, about in SERIES.items()
        )


def _labels(rule: Rule, target: str) -> str:
    labels = {"rule": rule.name, "target": target}
    if rule.scope in TARGET_LABELS:
        labels[TARGET_LABELS[rule.scope]] = target
    inside = ",".join(f'{name}="{_escaped(text)}"' for name, text in sorted(labels.items()))
    return f"{{{inside}}}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
