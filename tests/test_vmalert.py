"""The rule files in vmalert, on VictoriaMetrics: the same alerts as in Prometheus."""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rule_cases import KINDS, LABELS, STEP, Kind, Story
from tests.servers.process import wait_until
from tests.servers.victoria import VictoriaMetrics, Vmalert

RULES = Path(__file__).parent.parent / "prometheus" / "rules"
FILES = [RULES / f"{kind.type}.yml" for kind in KINDS]

pytestmark = pytest.mark.skipif(
    not (os.environ.get("VICTORIA_METRICS") and os.environ.get("VMALERT")),
    reason="VICTORIA_METRICS and VMALERT name no programs (make test-versions sets them)",
)

STEPS = 60
"""Of a story, which begins at some time before now and ends as long after."""


def _samples(kind: Kind, start: int) -> Iterator[str]:
    """Give what an exporter shows of a rule of a type, of whose targets 7 fires and 8 does not."""
    story = Story("live", kind, steps=STEPS)
    story.exporter(instance=f"exporter of {kind.type}")
    story.rule(instance=f"exporter of {kind.type}")
    story.target(kind.at, instance=f"exporter of {kind.type}")
    story.target(kind.below, number="8", instance=f"exporter of {kind.type}")
    for series, values in story.series:
        text = re.sub(r'\brule="R"', f'rule="{kind.type}"', series)
        clock = start if "timestamp_seconds" in series else 0
        for step, value in enumerate(values.split()):
            yield f"{text} {float(value) + clock} {1000 * (start + STEP * step)}"


def test_each_type_fires_where_it_should_and_only_there() -> None:
    with VictoriaMetrics() as database:
        start = int(time.time()) - STEP * STEPS // 2
        for kind in KINDS:
            database.write(list(_samples(kind, start)))
        with Vmalert(database, FILES) as vmalert:
            expected = {name for kind in KINDS for name in (kind.trip, kind.tell)}

            def firing() -> bool:
                names = {a["name"] for a in vmalert.alerts() if a["state"] == "firing"}
                return names >= expected

            wait_until(firing, 120, "every alert")
            alerts = vmalert.alerts()
    assert sorted(alert["name"] for alert in alerts) == sorted(expected)
    for alert in alerts:
        kind = next(kind for kind in KINDS if alert["name"] in {kind.trip, kind.tell})
        labels, annotations = alert["labels"], alert["annotations"]
        own = {"rule": kind.type, "type": kind.type, "target": "7", "channel_id": "7"}
        purpose = {"purpose": "trip"} if alert["name"] == kind.trip else {}
        common = LABELS | own | purpose | {"action": "disable_channel"}
        assert {k: v for k, v in labels.items() if k not in {"alertname", "alertgroup"}} == common
        assert not [text for text in annotations.values() if "error expanding" in text]
        threshold = kind.threshold / kind.unit
        assert float(annotations["threshold"]) == pytest.approx(threshold, abs=0.005)
        assert float(annotations["value"]) == pytest.approx(_value(kind), abs=0.005)
        if not purpose:
            assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", annotations["since"])
            assert annotations["state"] == ""


def _value(kind: Kind) -> float:
    """Give what is at the threshold, as people are told it: for all types the threshold itself."""
    return kind.threshold / kind.unit
