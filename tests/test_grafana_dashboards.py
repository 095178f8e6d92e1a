"""The dashboards' JSON: complete, translated, well placed, and what the generator makes."""

import re
from collections.abc import Iterator
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from exporter.catalogue import LOG_METRICS, Histogram
from grafana import metrics
from grafana.chinese import CHINESE
from grafana.generate import documents, outdated
from grafana.language import Language
from tests.grafana_queries import dashboard, panels, queries

ENGLISH, TRANSLATED = dashboard("en", "overview"), dashboard("zh", "overview")

both = pytest.mark.parametrize("model", [ENGLISH, TRANSLATED], ids=["en", "zh"])


def test_committed_files_are_what_is_generated() -> None:
    assert outdated(Path(str(files("grafana") / "dashboards"))) == []


def test_a_changed_a_missing_and_a_foreign_file_are_noticed(tmp_path: Path) -> None:
    for name, text in documents().items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    assert outdated(tmp_path) == []
    (tmp_path / "en" / "overview.json").write_text("{}")
    (tmp_path / "zh" / "overview.json").rename(tmp_path / "zh" / "foreign.json")
    assert outdated(tmp_path) == ["en/overview.json", "zh/foreign.json", "zh/overview.json"]


def test_uids_stay() -> None:
    assert ENGLISH["uid"] == "newapi-overview-en"
    assert TRANSLATED["uid"] == "newapi-overview-zh"


@both
def test_frame(model: dict[str, Any]) -> None:
    assert model["editable"] is False
    assert (model["time"], model["refresh"]) == ({"from": "now-24h", "to": "now"}, "30s")
    ranges = [option["from"] for option in model["timepicker"]["quick_ranges"]]
    assert ranges == [f"now-{length}" for length in ("1h", "6h", "12h", "24h", "72h", "7d", "30d")]
    assert model["timepicker"]["refresh_intervals"] == ["5s", "10s", "30s", "1m"]
    source, *_, past = model["templating"]["list"]
    assert (past["name"], past["hide"]) == ("past", 2)
    assert (source["name"], source["current"]["value"]) == ("datasource", "prometheus")
    to_others, to_language = model["links"]
    assert set(to_others["tags"]) <= set(model["tags"])
    assert to_language["url"] in {"/d/newapi-overview-en", "/d/newapi-overview-zh"}
    assert not to_language["url"].endswith(model["uid"])
    assert to_others["keepTime"]
    assert to_language["keepTime"]


@both
def test_panels_have_all_that_people_need(model: dict[str, Any]) -> None:
    ids = [panel["id"] for panel in model["panels"]]
    assert len(set(ids)) == len(ids)
    titles = [panel["title"] for panel in panels(model)]
    assert len(set(titles)) == len(titles)
    for panel in panels(model):
        assert panel["title"]
        assert panel["description"]
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"]
        assert defaults["noValue"]
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs)
        for each in (panel, *panel["targets"]):
            assert each["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@both
def test_panels_fill_the_grid_without_overlap(model: dict[str, Any]) -> None:
    cells = [
        {(x, y) for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])}
        for p in (panel["gridPos"] for panel in model["panels"])
    ]
    assert all(not one & other for one, other in combinations(cells, 2))
    covered = set().union(*cells)
    assert covered == {(x, y) for x in range(24) for y in range(max(y for _, y in covered) + 1)}


def test_money_takes_its_unit_from_the_gateway() -> None:
    money = [p for p in panels(ENGLISH) if p["fieldConfig"]["defaults"]["unit"] == "currencyUSD"]
    assert {panel["title"] for panel in money} == {
        "Cost", "Cost over time", "Cost by API key", "Cost by user",
    }  # fmt: skip
    for panel in money:
        [transformation] = panel["transformations"]
        assert transformation["id"] == "configFromData"
        refs = [target["refId"] for target in panel["targets"]]
        assert transformation["options"]["configRefId"] in refs


def test_both_languages_ask_the_same() -> None:
    assert [q[1:] for q in queries(ENGLISH)] == [q[1:] for q in queries(TRANSLATED)]


def test_every_text_is_translated() -> None:
    pairs = list(zip(_texts(ENGLISH), _texts(TRANSLATED), strict=True))
    shown = {english for english, _ in pairs}
    assert {"Overview", "Success rate", "All others", "No alert is firing"} <= shown
    for english, chinese in pairs:
        if english not in {Language.CHINESE.own_name, "–"} and "{{" not in english:
            assert CHINESE[english] == chinese
            assert re.search(r"[\u4e00-\u9fff]", chinese), english
    unused = CHINESE.keys() - shown
    assert not unused


def test_labels_are_the_exporters() -> None:
    exported = {metric.name: metric.labels for metric in LOG_METRICS}
    histograms = {metric.name for metric in LOG_METRICS if isinstance(metric, Histogram)}
    for ours in vars(metrics).values():
        if isinstance(ours, metrics.Counter):
            assert exported[ours.name] == ours.labels
            assert set(ours.kinds) <= set(ours.labels)
        if isinstance(ours, metrics.Histogram):
            assert ours.name in histograms
            assert exported[ours.name] == ours.labels


def _texts(model: dict[str, Any]) -> Iterator[str]:
    """Every text that a dashboard shows, in order."""
    yield from (model["title"], model["description"])
    yield from (link["title"] for link in model["links"])
    yield from (option["display"] for option in model["timepicker"]["quick_ranges"])
    yield from (v["label"] for v in model["templating"]["list"] if v.get("label"))
    for panel in model["panels"]:
        yield panel["title"]
        if panel["type"] == "row":
            continue
        yield from (panel["description"], panel["fieldConfig"]["defaults"]["noValue"])
        yield from (t["legendFormat"] for t in panel["targets"] if t.get("legendFormat"))
        for transformation in panel.get("transformations", []):
            yield from transformation["options"].get("renameByName", {}).values()
        for override in panel["fieldConfig"]["overrides"]:
            yield from _override_texts(override["properties"])


def _override_texts(properties: list[dict[str, Any]]) -> Iterator[str]:
    for item in properties:
        if item["id"] == "displayName":
            yield item["value"]
        if item["id"] == "mappings":
            for mapping in item["value"]:
                yield from (shown["text"] for shown in mapping["options"].values())
