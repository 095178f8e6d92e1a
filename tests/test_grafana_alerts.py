"""The page Alerts: how near each rule is, and what two breakers tell, on a real Prometheus."""

from collections.abc import Iterator
from functools import partial

import pytest

from tests.grafana_queries import dashboard, queries, substitute
from tests.servers import Prometheus, Sample, promtool

END = 1_767_268_800
EXPRS = {(query.panel, query.ref): query.expr for query in queries(dashboard("en", "alerts"))}

RULES = {
    "low": ("quota_low", 500_000),
    "failing": ("error_rate", 10),
    "slow": ("latency", 30),
    "rush": ("request_spike", 100),
    "projected": ("cost", 100),
    "down": ("channel_down", 1),
    "paused": ("token_usage", 10),
}
VALUES = {
    "remaining": {("low", "empty"): 0, ("low", "minus"): -500_000, ("low", "half"): 250_000,
                  ("low", "at"): 500_000, ("low", "twice"): 1_000_000},
    "errors": {("failing", "few"): 1, ("failing", "many"): 10},
    "requests": {("failing", "few"): 0, ("failing", "many"): 90, ("slow", "few"): 19,
                 ("slow", "many"): 20, ("rush", "few"): 100, ("rush", "many"): 100},
    "requests_before": {("rush", "few"): 5, ("rush", "many"): 80},
    "seconds": {("slow", "few"): 300, ("slow", "many"): 15},
    "quota": {("projected", "5"): 40},
    "projected": {("projected", "5"): 160},
    "tokens": {("paused", "1"): 1000},
}  # fmt: skip
NEAR = {
    ("low", "minus"): 3, ("low", "empty"): 2, ("low", "half"): 1.5, ("low", "at"): 1,
    ("low", "twice"): 0.5, ("failing", "many"): 1, ("slow", "many"): 0.5, ("rush", "many"): 0.25,
    ("projected", "5"): 1.6, ("down", "2"): 1, ("down", "3"): 0,
}  # fmt: skip
"""What each is of its threshold; what no rule would tell is left out."""


def openmetrics() -> Iterator[str]:
    for name, labels, value in _series():
        text = ",".join(f'{label}="{what}"' for label, what in labels.items())
        for moment in (END - 60, END):
            yield f"{name}{{{text}}} {value} {moment}\n"
    yield "# EOF\n"


def _series() -> Iterator[tuple[str, dict[str, str], float]]:
    for rule, (kind, threshold) in RULES.items():
        labels = {"rule": rule, "type": kind}
        yield "newapi_alert_rule", labels, threshold
        yield "newapi_alert_rule_active", labels, float(rule != "paused")
        if kind in {"error_rate", "latency", "request_spike"}:
            yield "newapi_alert_rule_min_requests", {"rule": rule}, 20
    for name, values in VALUES.items():
        for (rule, target), value in values.items():
            yield f"newapi_rule_{name}", {"rule": rule, "target": target}, value
    for channel, state in (("1", 2), ("2", 1), ("3", 0)):
        labels = {"rule": "down", "target": channel, "channel_id": channel}
        yield "newapi_rule_down", labels, state
    yield "newapi_breaker_held", {"kind": "channel", "id": "1"}, 1
    for breaker, offset in (("a", 0), ("b", 100)):
        for number, when in ((1, END - 600), (2, END - 300)):
            one = {"instance": breaker, "job": "newapi-breaker", "id": str(number + offset)}
            about = {"alertname": "NewAPICost", "rule": "projected", "target": "5"}
            yield "newapi_notification_info", {**one, **about}, 1
            yield "newapi_notification_timestamp_seconds", one, when
            yield "newapi_notification_value", one, 12
            yield "newapi_notification_threshold", one, 10


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    text = tmp_path_factory.mktemp("alerts") / "samples.om"
    lines = sorted(openmetrics(), key=lambda line: (line.startswith("#"), line))
    text.write_text("".join(lines))
    server = Prometheus("scrape_configs: []\n")
    promtool("tsdb", "create-blocks-from", "openmetrics", text, server.data)
    with server:
        yield server


def ask(server: Prometheus, panel: str, ref: str = "A") -> list[Sample]:
    return server.query(substitute(EXPRS[panel, ref], end=END), at=END)


def test_how_near_is_what_the_rules_say(server: Prometheus) -> None:
    found = {(one.labels["rule"], one.labels["target"]): one for one in ask(server, "How near")}
    assert {key: one.value for key, one in found.items()} == pytest.approx(NEAR)


def test_two_breakers_count_once(server: Prometheus) -> None:
    asked = partial(ask, server, "Rules in force")
    times, last = ({one.labels["rule"]: one.value for one in asked(ref)} for ref in "CD")
    assert times == {"projected": 2}
    assert last == {"projected": (END - 300) * 1000}
