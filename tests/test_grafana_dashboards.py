"""The dashboards' JSON: complete, translated, well placed, and what the generator makes."""

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from breaker.decision import Reason, Result
from breaker.metrics import KNOWN
from exporter.catalogue import LOG_METRICS, Histogram
from exporter.exposition.logs import unavailable
from exporter.status import OwnFault
from grafana import alerting, metrics, style, words
from grafana.chinese import CHINESE
from grafana.generate import documents, outdated
from newapi.database import Fault
from newapi.schema import Schema
from tests.documents import codes
from tests.grafana_queries import dashboard, panels, queries, statements
from tests.test_docs_metrics import named_tables

FOLDER = Path(str(files("grafana") / "dashboards"))

NAMES = sorted(path.stem for path in (FOLDER / "en").glob("*.json"))
MODELS = {
    (language, name): dashboard(language, name) for name in NAMES for language in ("en", "zh")
}

each = pytest.mark.parametrize(
    "model", list(MODELS.values()), ids=[f"{name}-{language}" for language, name in MODELS]
)
by_name = pytest.mark.parametrize("name", NAMES)

PAGES = {
    "overview", "channels", "models", "model-status", "api-keys", "users", "logs", "errors",
    "performance", "alerts", "monitor",
}  # fmt: skip
SOURCES = [
    {"type": "prometheus", "uid": "${datasource}"},
    {"uid": "${database}"},
    {"type": "datasource", "uid": "-- Mixed --"},
]
BUILT_IN = {
    "__range", "__range_s", "__interval", "__interval_ms", "__rate_interval", "__from", "__to",
    "__url_time_range", "__value", "__data", "__all", "past", "gone", "exact", "exact_before",
    "exact_day",
}  # fmt: skip
COUNTER = re.compile(
    r"((?<!\")\b(?:newapi_\w+_(?:total|bucket|count|sum)|\w+:newapi_\w+:total)\b(?:\{[^}]*\})?)"
    r"(\[| @ start\(\)|(?: @ end\(\))? offset )?"
)
"""A selector of a counter, and what shows that it is of a range or of another time."""

SAME_IN_BOTH = {"English", "中文", "–", "p50", "p95", "p99"}


def test_committed_files_are_what_is_generated() -> None:
    assert outdated(FOLDER) == []


def test_a_changed_a_missing_and_a_foreign_file_are_noticed(tmp_path: Path) -> None:
    for name, text in documents().items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    assert outdated(tmp_path) == []
    (tmp_path / "en" / "overview.json").write_text("{}")
    (tmp_path / "zh" / "overview.json").rename(tmp_path / "zh" / "foreign.json")
    assert outdated(tmp_path) == ["en/overview.json", "zh/foreign.json", "zh/overview.json"]


def test_uids_stay() -> None:
    assert set(NAMES) == PAGES
    for (language, name), model in MODELS.items():
        assert model["uid"] == f"newapi-{name}-{language}"


@each
def test_frame(model: dict[str, Any]) -> None:
    assert model["editable"] is False
    assert model["refresh"] == "30s"
    ranges = [option["from"] for option in model["timepicker"]["quick_ranges"]]
    assert ranges == [f"now-{length}" for length in ("1h", "6h", "12h", "24h", "72h", "7d", "30d")]
    assert model["time"]["from"] in ranges
    assert model["timepicker"]["refresh_intervals"] == ["5s", "10s", "30s", "1m"]
    source, *_, past = model["templating"]["list"]
    assert (past["name"], past["hide"]) == ("past", 2)
    assert (source["name"], source["current"]["value"]) == ("datasource", "prometheus")
    for one in model["templating"]["list"]:
        # What is found anew each time goes into no link: another range has others.
        assert one.get("skipUrlSync", False) == (one["type"] == "query" and one.get("hide") == 2)
    to_others, to_language, *_ = model["links"]
    assert set(to_others["tags"]) <= set(model["tags"])
    name, language = model["uid"].removeprefix("newapi-").rsplit("-", 1)
    other = {"en": "zh", "zh": "en"}[language]
    assert to_language["url"] == f"/d/newapi-{name}-{other}"
    for link in (to_others, to_language):
        assert link["keepTime"]
        assert link["includeVars"]


@each
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
        for one in (panel, *panel["targets"]):
            assert one["datasource"] in SOURCES
        kinds = {"expr" in target for target in panel["targets"]}
        assert kinds == {True} or panel["datasource"]["uid"] == "-- Mixed --"


@each
def test_panels_fill_the_grid_without_overlap(model: dict[str, Any]) -> None:
    cells = [
        {(x, y) for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])}
        for p in (panel["gridPos"] for panel in model["panels"])
    ]
    assert all(not one & other for one, other in combinations(cells, 2))
    covered = set().union(*cells)
    assert covered == {(x, y) for x in range(24) for y in range(max(y for _, y in covered) + 1)}


@each
def test_money_takes_its_unit_from_the_gateway(model: dict[str, Any]) -> None:
    for panel in panels(model):
        asks = any(target["refId"] == "currency" for target in panel["targets"])
        configured = [
            one for one in panel.get("transformations", [])
            if one["options"].get("configRefId") == "currency"
        ]  # fmt: skip
        whole = panel["fieldConfig"]["defaults"]["unit"] == "currencyUSD"
        text = json.dumps([target.get("expr", target.get("rawSql")) for target in panel["targets"]
                           if target["refId"] != "currency"])  # fmt: skip
        spends = "newapi_quota_per_usd" in text or "${money:" in text
        in_time = panel["title"] in {"Balances that end first", "余额最先用完的渠道"}
        assert asks == bool(configured) == (whole or (spends and not in_time)), panel["title"]


@each
def test_each_config_is_taken_from_its_query_once(model: dict[str, Any]) -> None:
    """Grafana drops the frame that a configuration came from."""
    for panel in panels(model):
        found = [
            one["options"]["configRefId"] for one in panel.get("transformations", [])
            if one["id"] == "configFromData"
        ]  # fmt: skip
        assert len(set(found)) == len(found), panel["title"]


@each
def test_every_variable_is_there(model: dict[str, Any]) -> None:
    there = {variable["name"] for variable in model["templating"]["list"]} | BUILT_IN
    text = json.dumps(model, ensure_ascii=False)
    used = {a or b for a, b in re.findall(r"\$(?:\{([A-Za-z_]\w*)|([A-Za-z_]\w*))", text)}
    assert used <= there
    unused = there - used - BUILT_IN
    assert not unused


def test_variables_mean_the_same_everywhere() -> None:
    """Links keep variables: a value that one dashboard gave must be one of the next."""
    kinds: dict[str, set[tuple[str, bool]]] = {}
    for model in MODELS.values():
        for one in model["templating"]["list"]:
            kinds.setdefault(one["name"], set()).add((one["type"], one.get("includeAll", False)))
    assert not {name: found for name, found in kinds.items() if len(found) > 1}


@each
def test_variables_in_sql_are_encoded_in_a_literal(model: dict[str, Any]) -> None:
    for statement in statements(model).values():
        safe = re.sub(r"'\^?\$\{\w+:percentencode\}\^?'", "", statement)
        assert "$" not in re.sub(r"\$\{__(from|to):date:seconds\}", "", safe)


@each
def test_links_lead_to_dashboards_that_exist(model: dict[str, Any]) -> None:
    uids = {one["uid"]: one for one in MODELS.values()}
    for uid, rest in re.findall(r"/d/([\w-]+)([^\"]*)", json.dumps(model, ensure_ascii=False)):
        assert uid in uids
        assert uid.endswith(model["uid"][-3:]) or rest == ""
        assert rest == "" or rest.startswith("?${__url_time_range}&${datasource:queryparam}")
        names = {variable["name"] for variable in uids[uid]["templating"]["list"]}
        assert set(re.findall(r"&var-(\w+)=", rest)) <= names


@each
def test_no_counter_without_a_difference(model: dict[str, Any]) -> None:
    """What only grows is never drawn as it stands, but for totals since ever of odd values.

    Each selector of a counter has a range, or stands once more as it was at another time.
    """
    for query in queries(model):
        if query.panel in {"Odd values", "异常值", "Beyond the limit", "超出上限"}:
            continue
        found: dict[str, bool] = {}
        for selector, other in COUNTER.findall(query.expr):
            found[selector] = bool(other) or found.get(selector, False)
        assert all(found.values()), (query.panel, found)


@by_name
def test_both_languages_ask_the_same(name: str) -> None:
    english, chinese = MODELS["en", name], MODELS["zh", name]
    assert [q[1:] for q in queries(english)] == [q[1:] for q in queries(chinese)]
    assert list(statements(english).values()) == list(statements(chinese).values())


@by_name
def test_both_languages_look_the_same(name: str) -> None:
    """They differ in texts alone, each of them translated, and in where links lead."""
    different = list(_different(MODELS["en", name], MODELS["zh", name]))
    assert not different


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_colour_means_the_same_everywhere(language: str) -> None:
    shades: dict[str, set[str]] = {}
    for name in NAMES:
        for panel in panels(MODELS[language, name]):
            for text, shade in _colours(panel):
                shades.setdefault(text, set()).add(shade)
    assert shades
    assert not {text: found for text, found in shades.items() if len(found) > 1}


@each
def test_no_table_scrolls_sideways(model: dict[str, Any]) -> None:
    """On a screen of 1440 pixels."""
    for panel in panels(model):
        if panel["type"] == "table":
            needed = sum(_widths(panel))
            assert needed <= _inside(panel["gridPos"]["w"]), (panel["title"], needed)


LABELS_AS_THEY_ARE = {"instance", "job", "le", "metric", "model", "name", "version"}
"""Labels that legends may show: names and numbers; further ids, and the names of things."""


@each
def test_legends_show_names_or_words(model: dict[str, Any]) -> None:
    """What a label of a legend means is told by an override of each of its values."""
    for panel in panels(model):
        told = {
            override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]
            if any(item["id"] == "displayName" for item in override["properties"])
        }  # fmt: skip
        for target in panel["targets"]:
            shown = set(re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", "")))
            shown -= {label for label in shown if label.endswith("_id")} | LABELS_AS_THEY_ARE
            shown -= {"username", "alertname", "rule", "target"}
            if shown:
                values = {
                    frozenset(style.CATEGORIES): "category",
                    frozenset(words.FAILURES): "kind",
                }
                assert shown == {values.get(frozenset(told))}, panel["title"]


@each
def test_columns_of_words_have_words(model: dict[str, Any]) -> None:
    """A column that shows a label of the monitor's own words maps them."""
    own = {"result", "reason", "severity", "action", "kind", "status"}
    for panel in panels(model):
        mapped = {
            override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]
            if any(item["id"] == "mappings" for item in override["properties"])
        }  # fmt: skip
        for one in panel.get("transformations", []):
            names = one["options"].get("renameByName", {})
            assert {names[label] for label in own & names.keys()} <= mapped, panel["title"]


def test_words_are_those_of_the_programs() -> None:
    assert set(words.FAULTS) == set(Fault)
    assert set(words.FAILURES) == {*Fault, *OwnFault}
    assert set(words.REASONS) == {reason for _, reason in KNOWN if reason} | set(Reason)
    assert set(alerting.results(str)) == set(Result)
    adjusted = {
        name for row in named_tables("docs/metrics.md")["adjusted"] for name in codes(row[0])
    }
    assert set(words.ADJUSTED) == adjusted
    for latency in ("use_time", "elapsed_time"):  # New API, One API
        schema = Schema({"logs": frozenset({latency})}, "mysql")
        for reason in unavailable(schema, failures_seen=False).values():
            assert re.fullmatch(words.MISSING_COLUMN[0], reason) or reason in words.UNAVAILABLE


def test_every_text_is_translated() -> None:
    shown = set()
    for name in NAMES:
        for english, chinese in zip(
            _texts(MODELS["en", name]), _texts(MODELS["zh", name]), strict=True
        ):
            shown.add(english)
            if english not in SAME_IN_BOTH and "{{" not in english:
                assert CHINESE[english] == chinese
                assert re.search(r"[\u4e00-\u9fff]", chinese), english
    assert {"Overview", "Success rate", "All others", "No alert is firing"} <= shown
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
    for variable in model["templating"]["list"]:
        if variable.get("label"):
            yield variable["label"]
        if variable["type"] == "custom":
            yield from (option["text"] for option in variable["options"])
    for panel in model["panels"]:
        yield panel["title"]
        if panel["type"] == "row":
            continue
        yield from (panel["description"], panel["fieldConfig"]["defaults"]["noValue"])
        for mapping in panel["fieldConfig"]["defaults"].get("mappings", []):
            yield from (shown["text"] for shown in _mapped(mapping))
        yield from (t["legendFormat"] for t in panel["targets"] if t.get("legendFormat"))
        for transformation in panel.get("transformations", []):
            names = transformation["options"].get("renameByName", {})
            yield from names.values()
        for override in panel["fieldConfig"]["overrides"]:
            yield from _override_texts(override["properties"])


def _different(english: Any, chinese: Any, path: str = "") -> Iterator[str]:
    """Where they differ by more than a translation."""
    if isinstance(english, dict) and isinstance(chinese, dict):
        if english.keys() != chinese.keys():
            yield path
        for key in english.keys() & chinese.keys():
            yield from _different(english[key], chinese[key], f"{path}/{key}")
    elif isinstance(english, list) and isinstance(chinese, list):
        if len(english) != len(chinese):
            yield path
        for index, (one, other) in enumerate(zip(english, chinese, strict=False)):
            yield from _different(one, other, f"{path}/{index}")
    elif isinstance(english, str) and isinstance(chinese, str):
        grafanas_own = english == chinese == "All" and path.endswith("/current/text")
        if _in_chinese(english) != chinese and not grafanas_own:
            yield f"{path}: {english!r}, {chinese!r}"
    elif english != chinese:
        yield path


def _in_chinese(text: str) -> str:
    """A string of an English dashboard as the Chinese one must have it."""
    if text in CHINESE:
        return CHINESE[text]
    if text == "中文":
        return "English"
    if text.endswith("-zh") and text.startswith("/d/"):
        return text.removesuffix("zh") + "en"
    text = re.sub(r"(newapi-[\w-]+-)en\b", r"\1zh", text)
    text = re.sub(r'(__data\.fields\[")([^"]+)', lambda m: m[1] + CHINESE.get(m[2], m[2]), text)
    # The options of a custom variable.
    return re.sub(r"(^|,)([^,:]+) : ", lambda m: f"{m[1]}{CHINESE.get(m[2], m[2])} : ", text)


def _colours(panel: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What has a colour of its own: (series or word, colour)."""
    mappings = list(panel["fieldConfig"]["defaults"].get("mappings", []))
    for override in panel["fieldConfig"]["overrides"]:
        for item in override["properties"]:
            if item["id"] == "mappings":
                mappings += item["value"]
            if item["id"] == "color" and item["value"]["mode"] == "fixed":
                yield override["matcher"]["options"], item["value"]["fixedColor"]
    for mapping in mappings:
        for shown in _mapped(mapping):
            yield shown["text"], shown["color"]


def _widths(panel: dict[str, Any]) -> Iterator[int]:
    """The pixels of each column: as set, else of its header with the button of the filter."""
    [shown] = [one["options"] for one in panel["transformations"] if one["id"] == "organize"]
    names = shown["renameByName"].items()
    titles = [title for source, title in names if source not in shown["excludeByName"]]
    set_to = {
        override["matcher"]["options"]: item["value"]
        for override in panel["fieldConfig"]["overrides"]
        for item in override["properties"]
        if item["id"] == "custom.width"
    }
    narrowest = panel["fieldConfig"]["defaults"]["custom"]["minWidth"]
    for title in titles:
        header = 36 + sum(14 if char > "\u2e80" else 7 for char in title)
        yield set_to.get(title) or max(header, narrowest)


def _inside(columns: int) -> float:
    """The pixels inside of a panel of so many of the 24 columns: 8 between two panels, and what
    Grafana takes around them and around the page."""
    page = 1440 - 2 * 16 - 8
    return columns * (page - 23 * 8) / 24 + (columns - 1) * 8 - 2 * 9


def _override_texts(properties: list[dict[str, Any]]) -> Iterator[str]:
    for item in properties:
        if item["id"] == "displayName":
            yield item["value"]
        if item["id"] == "links":
            yield from (link["title"] for link in item["value"])
        if item["id"] == "mappings":
            for mapping in item["value"]:
                yield from (shown["text"] for shown in _mapped(mapping))


def _mapped(mapping: dict[str, Any]) -> list[dict[str, Any]]:
    """What a mapping shows: of single values, or of those that match."""
    options = mapping["options"]
    return [options["result"]] if mapping["type"] == "regex" else list(options.values())
