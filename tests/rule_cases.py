"""The types of alert rules, and stories about them: series over time, told in steps.

The series are those of /metrics/alerts; what is checked is how
many alerts to stop (…Trip) and to tell fire at a moment.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

STEP = 15

Values = dict[str, float]
"""What a target's series show, by name."""

GONE = math.nan
"""A moment at which a series is not exposed."""

LABELS = {
    "scope": "channel",
    "period": "1h",
    "severity": "warning",
    "notify": "telegram",
    "repeat": "1h",
    "each": "true",
}


@dataclass(frozen=True)
class Kind:
    """A type of rule, with what its target shows at the threshold, short of it, and with too few
    requests to say anything."""

    type: str
    camel: str
    threshold: float
    at: Values
    below: Values
    few: tuple[Values, ...] = ()
    clock: str = "newapi_counted_until_timestamp_seconds"
    fresh: int = 60
    """Seconds for which data count as fresh."""
    unit: float = 1
    """Quota units to one unit of a rule's currency; the fields above are in quota units."""

    @property
    def trip(self) -> str:
        return f"NewAPI{self.camel}Trip"

    @property
    def tell(self) -> str:
        return f"NewAPI{self.camel}"


MIN_REQUESTS = 40
_INVENTORY = "newapi_inventory_read_timestamp_seconds"

KINDS = (
    Kind("token_usage", "TokenUsage", 1e6, {"tokens": 1e6}, {"tokens": 999_999}),
    Kind("cost", "Cost", 1_700_000, {"quota": 1_700_000}, {"quota": 1_699_999}, unit=500_000),
    Kind(
        "error_rate", "ErrorRate", 12.5,
        {"errors": 5, "requests": 35},
        {"errors": 5, "requests": 36},
        ({"errors": 39, "requests": 0}, {"errors": 0, "requests": 0}),
    ),
    Kind(
        "latency", "Latency", 3.2,
        {"seconds": 3.2, "requests": 40},
        {"seconds": 3.199, "requests": 40},
        ({"seconds": 99, "requests": 39}, {"requests": 0}),
    ),
    Kind(
        "channel_down", "ChannelDown", 1,
        {"down": 1}, {"down": 0}, clock=_INVENTORY, fresh=120,
    ),
    Kind(
        "quota_low", "QuotaLow", 2_500_000,
        {"remaining": 2_500_000}, {"remaining": 2_500_001}, clock=_INVENTORY, fresh=120,
        unit=68_493.150685,
    ),
    Kind(
        "request_spike", "RequestSpike", 200,
        {"requests": 300, "requests_before": 100},
        {"requests": 299, "requests_before": 100},
        ({"requests": 39, "requests_before": 1}, {"requests": 4000, "requests_before": 39},
         {"requests": 300, "requests_before": 0}),
    ),
)  # fmt: skip


@dataclass
class Story:
    """Series over time, and what is asked of the alerts."""

    name: str
    kind: Kind
    steps: int = 40
    step: int = STEP
    """Seconds."""
    series: list[tuple[str, str]] = field(default_factory=list)
    checks: list[tuple[int, str, float]] = field(default_factory=list)

    def show(self, name: str, labels: dict[str, str], value: Callable[[int], float]) -> None:
        """Add a series by its value at each step."""
        inside = ", ".join(f'{key}="{text}"' for key, text in labels.items() if text)
        self.series.append(
            (f"{name}{{{inside}}}", _notation([value(i) for i in range(self.steps)]))
        )

    def exporter(
        self,
        instance: str = "a",
        *,
        up: Callable[[int], bool] = lambda _: True,
        counted: Callable[[int], int] = lambda step: step,
        logging: Callable[[int], bool] = lambda _: True,
        **more: str,
    ) -> None:
        """Add an exporter that answers, has read up to a step, and sees the gateway log."""
        about = {"job": "newapi-alerts", "instance": instance, **more}
        for clock in {"newapi_counted_until_timestamp_seconds", self.kind.clock}:
            self.show(clock, about, _while(up, lambda step: counted(step) * self.step))
        option = {"option": "LogConsumeEnabled", **about}
        self.show("newapi_option_enabled", option, _while(up, lambda step: int(logging(step))))

    def rule(
        self,
        *,
        threshold: Callable[[int], float] | None = None,
        active: Callable[[int], float] = lambda _: 1,
        up: Callable[[int], bool] = lambda _: True,
        there: Callable[[int], bool] = lambda _: True,
        instance: str = "a",
        action: str = "disable_channel",
        **more: str,
    ) -> None:
        """Add a rule: its threshold, whether it counts, and whether it is in alerts.yml."""
        about = {"job": "newapi-alerts", "instance": instance}
        labels = {"rule": "R", "type": self.kind.type, **LABELS, "action": action, **about, **more}
        value = threshold or (lambda _: self.kind.threshold)
        self.show("newapi_alert_rule", labels, _while(_both(up, there), value))
        self.show("newapi_alert_rule_active", labels, _while(up, active))
        name = {"rule": "R", **about, **{k: v for k, v in more.items() if k == "prometheus"}}
        if self.kind.few:
            self.show("newapi_alert_rule_min_requests", name, _while(up, lambda _: MIN_REQUESTS))
        if self.kind.unit != 1:
            unit = self.kind.unit
            self.show("newapi_alert_rule_quota_per_unit", name, _while(up, lambda _: unit))

    def target(
        self,
        values: Callable[[int], Values] | Values,
        *,
        number: str = "7",
        instance: str = "a",
        up: Callable[[int], bool] = lambda _: True,
        **more: str,
    ) -> None:
        """Add a channel that shows these values."""
        at = values if callable(values) else lambda _: values
        labels = {
            "rule": "R", "target": number, "channel_id": number,
            "job": "newapi-alerts", "instance": instance, **more,
        }  # fmt: skip
        names = {name for step in range(self.steps) for name in at(step)}
        for name in sorted(names):
            self.show(f"newapi_rule_{name}", labels, _while(up, _named(at, name)))

    def expect(self, step: int, *, trip: int, tell: int, where: str = "") -> None:
        """Ask how many alerts fire at a step."""
        for name, count in ((self.kind.trip, trip), (self.kind.tell, tell)):
            alerts = f'ALERTS{{alertname="{name}", alertstate="firing"{where}}}'
            self.checks.append((step, f"count({alerts}) or vector(0)", count))

    def expect_value(self, step: int, expr: str, value: float) -> None:
        """Ask what an expression gives at a step."""
        self.checks.append((step, expr, value))


def _both(one: Callable[[int], bool], other: Callable[[int], bool]) -> Callable[[int], bool]:
    return lambda step: one(step) and other(step)


def _named(values: Callable[[int], Values], name: str) -> Callable[[int], float]:
    return lambda step: values(step).get(name, GONE)


def _while(up: Callable[[int], bool], value: Callable[[int], float]) -> Callable[[int], float]:
    return lambda step: value(step) if up(step) else GONE


def _notation(values: Sequence[float]) -> str:
    """Write values as promtool reads them; where a series goes, it is marked stale."""
    words: list[str] = []
    for index, value in enumerate(values):
        if not math.isnan(value):
            words.append(repr(float(value)).removesuffix(".0"))
        else:
            words.append("stale" if index and not math.isnan(values[index - 1]) else "_")
    return " ".join(words)
