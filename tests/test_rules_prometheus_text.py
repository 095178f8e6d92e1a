"""What the rule files have in common, read as text: nothing is evaluated here."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.exposition.alerts import RULE_LABELS
from exporter.exposition.targets import TARGET_LABELS
from grafana.dashboard import uid
from grafana.language import Language
from tests.rule_cases import KINDS, Kind

REPOSITORY = Path(__file__).parent.parent
RULES = REPOSITORY / "prometheus" / "rules"
RUNBOOKS = ("docs/runbook.md", "docs/runbook.zh-CN.md")

Rule = dict[str, Any]


def _groups(pattern: str = "*.yml") -> Iterator[dict[str, Any]]:
    for path in sorted(RULES.glob(pattern)):
        yield from yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]


def _alerts() -> list[Rule]:
    return [rule for group in _groups() for rule in group["rules"] if "alert" in rule]


ALERTS = _alerts()
OURS = [alert for alert in ALERTS if not alert["alert"].startswith("NewAPIMonitor")]


def test_there_is_a_file_for_each_type() -> None:
    files = {path.stem for path in RULES.glob("*.yml")}
    assert files == {kind.type for kind in KINDS} | {"monitor", "recording", "recorded_totals"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.type)
def test_to_stop_and_to_tell_rest_on_one_condition(kind: Kind) -> None:
    trip, condition, tell = (group["rules"][0] for group in _groups(f"{kind.type}.yml"))
    assert trip["expr"].replace(', action!="notify"', "") == condition["expr"]
    assert trip["labels"] == {"purpose": "trip"}
    assert "for" not in trip
    assert condition["record"] in tell["expr"]
    said, told = trip["annotations"], tell["annotations"]
    assert said == {name: told.get(name, text) for name, text in said.items()}
    assert said.keys() - told.keys() == {"evaluated_at"}


QUERIES = {
    "threshold": 1,
    "name": 1,
    "evaluated_at": 1,
    "since": 1,
    "so_far": 1,
    "requests": 1,
    "state": 1,
}
"""Annotations that may ask Prometheus, and how often: it does so for each alert at each evaluation,
and that is most of what an alert costs."""


@pytest.mark.parametrize("alert", OURS, ids=lambda alert: alert["alert"])
def test_an_alert_asks_for_little_and_for_nothing_twice(alert: Rule) -> None:
    queries = {name: _queries(text) for name, text in alert["annotations"].items()}
    asked = {name: count for name, count in queries.items() if count}
    assert asked == {name: QUERIES.get(name, 0) for name in asked}
    assert sum(asked.values()) <= (3 if alert["alert"].endswith("Trip") else 5)


def _queries(text: str) -> int:
    """Count the queries of a template: of labels that exclude each other, one; what comes
    after an `else` is only asked while an alert ends."""
    usual = re.sub(r"\{\{-? else if .*", "", text, flags=re.DOTALL)
    labels = len(re.findall(r"\{\{-? with \$labels\.(?:channel|api_key|user)_id \}\}", usual))
    return len(re.findall(r"\bquery\b", usual)) - max(labels - 1, 0)


def test_no_rule_rests_on_another_of_its_group() -> None:
    """A server may evaluate the rules of a group in any order, and write what it records late."""
    for group in _groups():
        recorded = [rule["record"] for rule in group["rules"] if "record" in rule]
        for rule in group["rules"]:
            used = set(re.findall(r"[a-z_0-9]+(?::[a-z_0-9]+)+", rule["expr"]))
            assert not used & set(recorded), (group["name"], rule["expr"])


def test_what_is_recorded_is_named_by_level_metric_and_operation() -> None:
    names = [rule["record"] for group in _groups() for rule in group["rules"] if "record" in rule]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z_]+:newapi_[a-z_]+:[a-z0-9]+", name) for name in names)
    for level in ("channel", "model", "gateway"):
        for metric in (
            "newapi_requests:rpm",
            "newapi_tokens:tpm",
            "newapi_errors:ratio",
            "newapi_request_duration_seconds:p95",
            "newapi_cost_usd:rate1h",
        ):
            assert f"{level}:{metric}" in names


def test_groups_are_evaluated_often_enough_that_nothing_falls_into_a_hole() -> None:
    """PromQL looks back 5 minutes."""
    seconds = {"s": 1, "m": 60}
    for group in _groups():
        interval = group["interval"]
        assert int(interval[:-1]) * seconds[interval[-1]] < 300


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_each_alert_says_what_it_is_and_where_to_look(alert: Rule) -> None:
    name, annotations = alert["alert"], alert["annotations"]
    anchor = name.removesuffix("Trip").lower()
    assert annotations["runbook_url"] == f"docs/runbook.md#{anchor}"
    folder = REPOSITORY / "grafana" / "dashboards" / "en"
    known = {uid(path.stem, Language.ENGLISH) for path in folder.glob("*.json")}
    assert _dashboards(annotations["dashboard_url"]) <= known
    assert re.fullmatch(r"[A-Z][^{}]+\.", annotations["summary"])
    assert annotations["description"].strip()
    if name.startswith("NewAPIMonitor"):
        assert alert["labels"]["severity"] in {"info", "warning", "critical"}


def _dashboards(link: str) -> set[str]:
    """Give the uids of the dashboards that a link may lead to, one for each scope."""
    template = re.fullmatch(r"http://127\.0\.0\.1:3001/d/(.+-en)(?:\{\{ if .+\?var-.+)?", link)
    assert template, link
    if "{{" not in template[1]:
        return {template[1]}
    parts = re.fullmatch(
        r'newapi-\{\{ if (?:eq \$labels\.scope "gateway" \}\}overview\{\{ else if )?'
        r'eq \$labels\.scope "api_key" \}\}api-keys'
        r"\{\{ else \}\}\{\{ \$labels\.scope \}\}s\{\{ end \}\}-en",
        template[1],
    )
    assert parts, link
    names = ["overview", "api-keys", *(f"{scope}s" for scope in ("channel", "model", "user"))]
    return {uid(name, Language.ENGLISH) for name in names}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.type)
def test_alerts_carry_the_labels_that_the_exporter_gives_a_rule(kind: Kind) -> None:
    """In these lists there are no others but those of the target."""
    text = (RULES / f"{kind.type}.yml").read_text(encoding="utf-8")
    targets = {"target", *TARGET_LABELS.values()}
    lists = [set(re.findall(r"\w+", found)) for found in re.findall(r"\(([\w\s,]+)\)", text)]
    long = [found for found in lists if "severity" in found]
    assert [found - targets | {"rule"} for found in long] == [set(RULE_LABELS)] * len(long)
    assert len(long) == 6
    assert sum("rule" in found for found in long) == 4


@pytest.mark.parametrize("runbook", RUNBOOKS)
def test_the_runbooks_have_an_entry_for_each_alert_and_no_other(runbook: str) -> None:
    text = (REPOSITORY / runbook).read_text(encoding="utf-8")
    entries = re.findall(r"^### (NewAPI\w+)$", text, re.MULTILINE)
    assert len(entries) == len(set(entries))
    ours = {alert["alert"].removesuffix("Trip") for alert in ALERTS}
    assert {name for name in entries if not name.startswith("NewAPIBreaker")} == ours
    parts = {
        "docs/runbook.md": ("Meaning", "Impact", "Diagnosis", "What to do"),
        "docs/runbook.zh-CN.md": ("含义", "影响", "排查", "处理"),
    }[runbook]
    for entry in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        entry = re.split(r"^## ", entry, flags=re.MULTILINE)[0]  # noqa: PLW2901
        name = entry.splitlines()[0]
        places = [entry.find(f"**{part}") for part in parts]
        assert all(place > 0 for place in places), name
        assert places == sorted(places), name
