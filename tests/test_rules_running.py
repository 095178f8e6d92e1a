"""alerts.yml is edited, broken and mended while the exporter runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway import gateway_at
from tests.programs import Exporter
from tests.servers.process import wait_until

RULE = "  - name: {}\n    type: cost\n    period: {}\n    threshold: 5\n"
GOOD = "rules:\n" + RULE.format("a", "1h") + RULE.format("b", "today")
BROKEN = GOOD.replace("period: today", "period: yesterday")


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[Exporter]:
    dsn, file = f"sqlite:///{tmp_path}/one-api.db", tmp_path / "alerts.yml"
    file.write_text(GOOD)
    settings = {"SQL_DSN": dsn, "ALERTS_FILE": str(file), "POLL_INTERVAL": "1"}
    with gateway_at(dsn), Exporter(settings) as exporter:
        yield exporter


def rules(exporter: Exporter) -> set[str]:
    shown = exporter.metrics("/metrics/alerts").get("newapi_alert_rule", {})
    return {dict(labels)["rule"] for labels in shown}


def good(exporter: Exporter) -> float:
    samples = exporter.metrics("/metrics/alerts")["newapi_alert_rules_last_reload_successful"]
    return samples[frozenset()]


def test_a_file_that_is_broken_leaves_the_last_good_rules_in_force_and_says_so(
    exporter: Exporter,
) -> None:
    file = Path(exporter.settings["ALERTS_FILE"])
    wait_until(lambda: rules(exporter) == {"a", "b"}, 20)
    assert good(exporter) == 1

    file.write_text(BROKEN)
    wait_until(lambda: good(exporter) == 0, 20)
    mistake = f"{file}:8: period: expected 5m, 15m, 30m"
    assert rules(exporter) == {"a", "b"}
    assert mistake in exporter.get("/").text
    assert exporter.get("/-/ready").ok

    exporter.stop(crash=True)
    assert exporter.output.count(mistake) == 1
    exporter.start()
    wait_until(lambda: rules(exporter) == {"a", "b"}, 20)
    assert good(exporter) == 0

    file.write_text(GOOD.replace("name: b", "name: c"))
    wait_until(lambda: rules(exporter) == {"a", "c"}, 20)
    assert good(exporter) == 1
    assert "Mistake" not in exporter.get("/").text

    file.unlink()
    wait_until(lambda: rules(exporter) == set(), 20)
    assert good(exporter) == 1
    file.write_text(BROKEN)
    exporter.stop()
    exporter.start()
    wait_until(lambda: rules(exporter) == {"a", "c"}, 20)
    assert good(exporter) == 0
