"""What the rules cost at the largest size: it counts the samples that each group touches."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.remote_write import RECEIVER
from tests.rule_cases import KINDS
from tests.rule_history import FIRING, TRIPPING, write_history
from tests.servers import Prometheus

RULES = Path(__file__).parent.parent / "prometheus" / "rules"

LIMITS = {
    # Samples that one evaluation may touch, some more than it does.
    "newapi-totals-channel": 75_000,
    "newapi-totals-model": 80_000,
    "newapi-totals-gateway": 5_000,
    "newapi-cost-rate": 20_000,
    "newapi-percentiles": 15_000,
    "newapi-traffic": 5_000,
    "newapi-monitor-slow": 5_000,
    "newapi-ratios": 5_000,
    "newapi-monitor": 20,
    "newapi-channel-down-trip": 20_000,
    "newapi-channel-down-condition": 20_000,
    "trip": 7_000,
    "condition": 7_000,
    "tell": 22_000,
}
"""And it does touch a tenth of it: what touches nothing is not counted."""


def _limit(group: str) -> int:
    kind = group.rpartition("-")[2]
    return LIMITS.get(group, LIMITS.get(kind, LIMITS["tell"]))


@pytest.fixture(scope="module")
def prometheus() -> Iterator[Prometheus]:
    """A server with that history."""
    with Prometheus("{}\n", RECEIVER) as server:
        write_history(server)
        yield server


def test_each_group_touches_a_bounded_number_of_samples(prometheus: Prometheus) -> None:
    now = str(time.time())
    touched: dict[str, int] = {}
    firing: dict[str, int] = {}
    for path in RULES.glob("*.yml"):
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                answer = prometheus.get(
                    "/api/v1/query", query=rule["expr"], time=now, stats="all", timeout="30s"
                )["data"]
                samples = answer["stats"]["samples"]["totalQueryableSamples"]
                touched[group["name"]] = touched.get(group["name"], 0) + int(samples)
                if answer["result"] and rule.get("alert", "NewAPIMonitor")[:13] != "NewAPIMonitor":
                    firing[rule["alert"]] = len(answer["result"])
    print(*(f"{count:>9,} {name}" for name, count in touched.items()), sep="\n")  # noqa: T201
    assert touched["newapi-totals-channel"] > 60_000
    dear = {name: count for name, count in touched.items() if count > _limit(name)}
    assert not dear
    cheap = {name: count for name, count in touched.items() if count < _limit(name) / 10}
    assert not cheap
    # What an alert costs is only measured where it fires.
    told = {kind.tell: FIRING // len(KINDS) for kind in KINDS}
    assert firing == told | {"NewAPICostTrip": TRIPPING}
