"""The Overview: its JSON is sound, and its queries give the right answers on a real Prometheus."""

import math
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
from tests import grafana_samples as samples
from tests.grafana_queries import Query, dashboard, panels, queries, substitute
from tests.servers import Prometheus, Sample, promtool

ENGLISH, TRANSLATED = dashboard("en", "overview"), dashboard("zh", "overview")
QUERIES = queries(ENGLISH)
BY_NAME = {(query.panel, query.ref): query.expr for query in QUERIES}

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
    [source] = model["templating"]["list"]
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
    assert [q[1:] for q in QUERIES] == [q[1:] for q in queries(TRANSLATED)]


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
        if isinstance(ours, metrics.Histogram):
            assert ours.name in histograms
            assert exported[ours.name] == ours.labels


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    text = tmp_path_factory.mktemp("samples") / "samples.om"
    with text.open("w") as file:
        file.writelines(samples.openmetrics())
    server = Prometheus("scrape_configs: []\n")
    promtool("tsdb", "create-blocks-from", "openmetrics", text, server.data)
    with server:
        yield server


class Answers:
    """What the panels show for the last hour of the samples."""

    def __init__(self, server: Prometheus) -> None:
        self._server = server

    def all(self, panel: str, ref: str = "A") -> list[Sample]:
        return self._server.query(substitute(BY_NAME[panel, ref]), at=samples.END)

    def one(self, panel: str, ref: str = "A") -> float:
        [sample] = self.all(panel, ref)
        return sample.value

    def by(self, label: str, panel: str, ref: str = "A") -> dict[str, float]:
        return {sample.labels[label]: sample.value for sample in self.all(panel, ref)}


@pytest.fixture
def answers(server: Prometheus) -> Answers:
    return Answers(server)


def _cases() -> Iterator[Any]:
    for query in QUERIES:
        yield pytest.param(query, "1h", "2m", id=f"{query.panel}/{query.ref}/1h")
        # 30 days before the samples there is nothing to compare with.
        if "offset" not in query.expr:
            yield pytest.param(query, "30d", "8h", id=f"{query.panel}/{query.ref}/30d")


@pytest.mark.parametrize(("query", "length", "interval"), list(_cases()))
def test_every_query_returns_data(
    server: Prometheus, query: Query, length: str, interval: str
) -> None:
    filled = substitute(query.expr, length, interval)
    if query.instant:
        values = [sample.value for sample in server.query(filled, at=samples.END)]
    else:
        end, step = str(samples.END), interval
        start = str(samples.END - samples.HOUR)
        answer = server.get("/api/v1/query_range", query=filled, start=start, end=end, step=step)
        values = [float(v) for one in answer["data"]["result"] for _, v in one["values"]]
    assert values
    assert not any(math.isnan(value) or math.isinf(value) for value in values)


def test_totals(answers: Answers) -> None:
    tokens = samples.grown("newapi_tokens_total")
    requests = samples.grown("newapi_requests_total", lambda labels: labels["source"] != "test")
    assert answers.one("Tokens") == pytest.approx(tokens)
    assert answers.one("Requests") == pytest.approx(requests)
    assert answers.one("Cost") == pytest.approx(_net_quota() / 500_000 * 7.3)


def test_changes(answers: Answers) -> None:
    for panel in ("Tokens", "Requests", "Cost"):
        assert answers.one(panel, "B") == pytest.approx(1)


def test_rates(answers: Answers) -> None:
    tokens = samples.grown("newapi_tokens_total") / 60
    assert answers.one("TPM") == pytest.approx(tokens)
    assert answers.one("TPM", "B") == pytest.approx(tokens / 2)
    assert answers.one("RPM", "B") == pytest.approx(answers.one("RPM") / 2)


def test_active(answers: Answers) -> None:
    assert answers.one("Active channels") == samples.CHANNELS
    assert answers.one("Active models") == samples.CHANNELS  # a model has as many channels
    assert answers.one("Active models", "B") == samples.CHANNELS


def test_success_counts_neither_tests_nor_client_errors(answers: Answers) -> None:
    done = samples.grown("newapi_requests_total", lambda labels: labels["source"] != "test")
    failed = samples.grown(
        "newapi_request_errors_total",
        lambda labels: labels["source"] != "test" and labels["category"] != "client",
    )
    assert answers.one("Success rate") == pytest.approx(done / (done + failed))


def test_success_says_nothing_where_failures_are_unknown(server: Prometheus) -> None:
    expr = BY_NAME["Success rate", "A"].replace("newapi_metric_unavailable", "newapi_quota_per_usd")
    unknown = substitute(expr.replace('{metric="newapi_request_errors_total"}', ""))
    assert server.query(unknown, at=samples.END) == []


def test_model_health(answers: Answers) -> None:
    health = [answers.one("Model health", ref) for ref in "ABCDE"]
    # A model without any success fails; the idle ones are served, the unserved one is not.
    assert health == [samples.CHANNELS - 1, 1, 1, len(samples.IDLE_MODELS), 1]


def test_status(answers: Answers) -> None:
    assert [answers.one("Channels", ref) for ref in "ABC"] == [samples.CHANNELS - 1, 1, 0]
    assert answers.one("Data is behind by") == pytest.approx(20)
    assert answers.one("Breaker") == 2
    assert answers.one("Breaker", "B") == 2


def test_alerts_are_those_for_people(answers: Answers) -> None:
    assert answers.one("Alerts firing") == 2
    firing = answers.by("alertname", "Firing")
    assert set(firing) == {"NewAPITokenUsage", "NewAPIMonitorStale"}
    assert set(firing.values()) == {samples.TRIPPED_AT * 1000}


def test_breaker(answers: Answers) -> None:
    held = {
        (s.labels["kind"], s.labels["id"], s.labels["name"])
        for s in answers.all("Held by the breaker")
    }
    assert held == {("channel", "1", "channel 1"), ("api_key", "99", "?")}
    [done] = answers.all("What the breaker did")
    assert done.labels == {"result": "tripped", "rule": "daily", "target": "1", "name": "channel 1"}
    assert done.value == samples.TRIPPED_AT * 1000


def test_shares_add_up(answers: Answers) -> None:
    top = answers.all("Tokens by channel")
    assert len(top) == 10
    rest = answers.one("Tokens by channel", "B")
    assert sum(s.value for s in top) + rest == pytest.approx(answers.one("Tokens"))


def test_names(answers: Answers) -> None:
    names = {s.labels["channel_id"]: s.labels["name"] for s in answers.all("Tokens by channel")}
    assert names[samples.DELETED_CHANNEL] == "?"
    assert names[samples.RENAMED_CHANNEL] in {"channel 3", "channel 3 (new)"}
    assert names["5"] == "channel 5"
    [first, *_] = sorted(answers.all("Cost by API key"), key=lambda s: -s.value)
    assert (first.labels["username"], first.labels["name"]) == ("user 12", "key 12")
    assert first.value == pytest.approx(12 * 1000 * 2 * 60 / 500_000 * 7.3)
    assert "user 12" in answers.by("name", "Cost by user")


def test_latency(answers: Answers) -> None:
    # The samples are spread evenly over nine buckets, so that 95 % lies in the last one.
    assert 30 < answers.one("Latency, p95") < 120
    assert 10 < answers.one("Latency, p95", "B") < 30


def test_currency(answers: Answers) -> None:
    [currency] = answers.all("Cost", "currency")
    assert currency.labels == {"currency": "CNY", "unit": "currency:¥"}


def test_bars_that_adjoin_add_up(server: Prometheus) -> None:
    end, step = samples.END, 600
    answer = server.get(
        "/api/v1/query_range",
        query=substitute(BY_NAME["Tokens over time", "A"], interval=f"{step}s"),
        start=str(end - samples.HOUR + step),
        end=str(end),
        step=str(step),
    )
    [prompt] = answer["data"]["result"]
    total = samples.grown("newapi_tokens_total", lambda labels: labels["direction"] == "prompt")
    assert sum(float(value) for _, value in prompt["values"]) == pytest.approx(total)


def _net_quota() -> float:
    charged, refunded = "newapi_quota_total", "newapi_quota_refunded_total"
    return samples.grown(charged) - samples.grown(refunded)


def _texts(model: dict[str, Any]) -> Iterator[str]:
    """Every text that a dashboard shows, in order."""
    yield from (model["title"], model["description"])
    yield from (link["title"] for link in model["links"])
    yield from (option["display"] for option in model["timepicker"]["quick_ranges"])
    yield from (variable["label"] for variable in model["templating"]["list"])
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
