"""The text of the log metrics is what prometheus-client would write of the same sums."""

from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.catalogue import LOG_METRICS
from exporter.exposition.logs import LogText
from tests.bulk import OTHER
from tests.follower import Follower

ODD = ["", "gpt-4o", 'a"quote', "back\\slash", "two\nlines", "模型-甲 🚀", "x" * 10_000, '{a="b"}']
"""Names of models."""


def samples(families: list[Metric]) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    found = [sample for family in families for sample in family.samples]
    assert len({(s.name, frozenset(s.labels.items())) for s in found}) == len(found)
    return {(s.name, frozenset(s.labels.items())): float(s.value) for s in found}


@pytest.mark.parametrize("openmetrics", [False, True])
def test_every_sample_is_the_one_of_the_library(tmp_path: Path, *, openmetrics: bool) -> None:
    (tmp_path / "one-api.db").touch()
    follower = Follower(f"sqlite:///{tmp_path}/one-api.db", tmp_path / "state")
    write = LogText(follower.ledger, follower.status)
    follower.poller.poll()
    for hour in range(2):  # what was written before comes again, with other values
        follower.now += 3600 * hour
        follower.write(*({"model_name": name, "is_stream": True, "other": OTHER} for name in ODD))
        follower.write({"type": 5, "other": '{"status_code":503}'}, {"type": 6}, {"quota": -5})
        follower.write({"quota": 2**53 + 1, "channel_id": 8})
        follower.poller.poll()
        sums = follower.ledger.sums()
        text = write(openmetrics=openmetrics)
        families = list((parse_openmetrics if openmetrics else parse_text)(
            text + "# EOF\n" if openmetrics else text
        ))  # fmt: skip
        wanted = [metric.family(sums) for metric in LOG_METRICS]
        assert samples(families) == samples(wanted)
        assert [(f.name, f.type, f.documentation) for f in families] == [
            (metric.name, metric.type, metric.documentation) for metric in wanted
        ]
    follower.state.close()


def test_a_sample_takes_few_bytes(tmp_path: Path) -> None:
    """At 100,000 series a page has 8 MB, every 15 seconds."""
    (tmp_path / "one-api.db").touch()
    follower = Follower(f"sqlite:///{tmp_path}/one-api.db", tmp_path / "state")
    follower.poller.poll()
    follower.write({"is_stream": True, "other": OTHER})
    follower.poller.poll()
    text = LogText(follower.ledger, follower.status)(openmetrics=False)
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert sum(map(len, lines)) / len(lines) < 90
    follower.state.close()
