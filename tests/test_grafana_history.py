"""Every PromQL of every dashboard on thirty days of history and a live exporter and breaker."""

import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from typing import Any

import pytest
import requests
from sqlalchemy import Engine, create_engine, text

from demo.load import load
from demo.schema import create
from demo.world import Sizes
from grafana.measures import NO_TRAFFIC
from newapi.dsn import parse_dsn
from tests.grafana_frames import tables, transformed
from tests.grafana_queries import Query, dashboard, options, panels, queries, substitute
from tests.oracle import newapi_sums
from tests.programs import Breaker, Exporter
from tests.servers import Prometheus, Sample, free_port, wait_until
from tests.test_backfill import backfill, scrape_of
from tests.webhooks import TELL_LABELS, TRIP_LABELS, raw_alert, webhook

DAY, HOUR = 86400, 3600
PAGES = (
    "overview", "channels", "models", "model-status", "api-keys", "users", "errors",
    "performance", "alerts", "monitor",
)  # fmt: skip
QUERIES = {page: queries(dashboard("en", page)) for page in PAGES}
ALL = [(page, query) for page in PAGES for query in QUERIES[page]]
IDS = [f"{page}/{query.panel}/{query.ref}" for page, query in ALL]
TABLES = {
    f"{page}/{panel['title']}": panel for page in PAGES for panel in panels(dashboard("en", page))
    if panel["type"] == "table" and all("expr" in target for target in panel["targets"])
}  # fmt: skip

SCRAPE = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [rules/*.yml]
scrape_configs:
  - job_name: newapi
    static_configs: [{{targets: ["{exporter}"]}}]
  - job_name: newapi-alerts
    metrics_path: /metrics/alerts
    static_configs: [{{targets: ["{exporter}"]}}]
  - job_name: newapi-breaker
    static_configs: [{{targets: ["{breaker}"]}}]
"""
RULES = """
rules:
  - {name: all tokens, type: token_usage, period: 1h, threshold: 1000000}
  - {name: any channel, type: token_usage, channel: "*", period: 24h, threshold: 1000}
  - {name: spent, type: cost, user: "*", period: 24h, threshold: 0.01}
  - {name: failing, type: error_rate, channel: "*", period: 24h, threshold: 90}
  - {name: slow, type: latency, model: "*", period: 24h, threshold: 300}
  - {name: down, type: channel_down, channel: "*"}
  - {name: low, type: quota_low, channel: "*", threshold: 1}
  - {name: rush, type: request_spike, period: 1h, threshold: 1000000}
"""

TO_LOOK_AFTER = (
    "UPDATE channels SET balance = 12.5",
    "UPDATE users SET quota = 1000, used_quota = 1000000 WHERE id = (SELECT MAX(id) FROM users)",
    "UPDATE tokens SET status = 1, expired_time = -1, unlimited_quota = 0 WHERE id = 1",
    "UPDATE tokens SET remain_quota = 1000, used_quota = 1000000 WHERE id = 1",
)
UNUSED = (
    "UPDATE tokens SET accessed_time = {} WHERE user_id = (SELECT user_id FROM tokens WHERE id = 1)"
)

TOKEN = "a-token-of-the-tests"
TELL = {**TELL_LABELS, "rule": "any channel"}
TRIP = {**TRIP_LABELS, "rule": "any channel", "target": "1", "channel_id": "1"}
ALARMED = (
    'ALERTS{alertname="NewAPITokenUsage", alertstate="firing"}',
    "newapi_breaker_held > 0",
    'increase(newapi_breaker_decisions_total{result="tripped"}[1m]) > 0',
    "newapi_notification_info",
)
"""What there is once an alert fires and the breaker has acted."""

NOTHING_TO_SHOW = {
    "monitor/Beyond the limit/A": "no metric reached its limit",
    "monitor/Failures of the exporter/A": "nothing failed",
    "monitor/Odd values/A": "the rows are sane",
    "monitor/Not available/A": "New API tells everything",
    "overview/Tokens by model/B": "there are no more than ten",
    "overview/Tokens by channel/B": "there are no more than ten",
    "models/Share of tokens/B": "there are no more than ten",
    "channels/Channels/C": "the status changed a moment ago",
}


@dataclass
class Chain:
    """A gateway's database, and the Prometheus that knows its past and present."""

    engine: Engine
    prometheus: Prometheus
    now: int
    exported: set[str]
    """Names of metrics and, of what is recorded, of rules."""

    def ask(self, expr: str, length: str, **variables: str) -> list[Sample]:
        filled = substitute(expr, length, "6h", self.now, **variables)
        return self.prometheus.query(filled, at=self.now)

    def draw(self, expr: str, length: str, interval: str, **variables: str) -> list[Any]:
        filled = substitute(expr, length, interval, self.now, **variables)
        step = int(interval[:-1]) * {"s": 1, "m": 60, "h": HOUR}[interval[-1]]
        answer = self.prometheus.get(
            "/api/v1/query_range",
            query=filled,
            start=str(self.now - int(length[:-1]) + step),
            end=str(self.now),
            step=str(step),
        )
        found: list[Any] = answer["data"]["result"]
        return found

    def sql(self, statement: str) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(text(statement)))

    def by(self, page: str, panel: str, ref: str, label: str, length: str) -> dict[str, float]:
        [expr] = [q.expr for q in QUERIES[page] if (q.panel, q.ref) == (panel, ref)]
        found = self.ask(expr, length)
        return {one.labels.get(label, ""): one.value for one in found if one.value}


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    folder = tmp_path_factory.mktemp("history")
    dsn = f"sqlite:///{folder}/one-api.db"
    create(parse_dsn(dsn))
    now = int(time.time())
    sizes = Sizes(channels=2, keys=5, users=3)
    load(parse_dsn(dsn), rows=4000, start=now - 29 * DAY, end=now, sizes=sizes)
    with create_engine(parse_dsn(dsn)).begin() as connection:
        for statement in (*TO_LOOK_AFTER, UNUSED.format(now - 60 * DAY)):
            connection.execute(text(statement))
    (folder / "alerts.yml").write_text(RULES)
    exporter = Exporter(
        {"SQL_DSN": dsn, "POLL_INTERVAL": "1", "ALERTS_FILE": str(folder / "alerts.yml")}
    )
    breaker = Breaker(
        {
            "SQL_DSN": dsn,
            "BREAKER_TOKEN": TOKEN,
            "BREAKER_MODE": "enforce",
            "ALERTMANAGER_URL": f"http://127.0.0.1:{free_port()}",
        }
    )
    target = exporter.settings["EXPORTER_LISTEN"]
    config = SCRAPE.format(exporter=target, breaker=breaker.settings["BREAKER_LISTEN"])
    rules = (files("prometheus") / "rules" / "recorded_totals.yml").read_text("utf-8")
    # Every two seconds instead of every two minutes, so that there is something to draw at once.
    quick = {"recorded_totals.yml": rules.replace("interval: 2m", "interval: 2s")}
    alerts = (files("prometheus") / "rules" / "token_usage.yml").read_text("utf-8")
    quick["token_usage.yml"] = re.sub("interval: \\S+", "interval: 2s", alerts)
    with Prometheus(config, "--storage.tsdb.retention.time=40d", rules=quick) as prometheus:
        prometheus.stop()
        state = exporter.settings["EXPORTER_STATE"]
        backfill(dsn, state, prometheus.data, "--days", "30", EXPORTER_LISTEN=target)
        with exporter, breaker:
            prometheus.start()
            moment = int(time.time())
            load(parse_dsn(dsn), rows=400, start=moment, end=moment + 1, seed=2)
            expected = newapi_sums(dsn)
            wait_until(lambda: scrape_of(prometheus, expected), 30, "a scrape of that")
            wait_until(lambda: _recorded(prometheus, expected), 30, "its recording")
            answer = requests.post(
                f"{breaker.url}/alerts",
                headers={"Authorization": f"Bearer {TOKEN}"},
                json=webhook(raw_alert(TRIP), raw_alert(TELL)),
                timeout=10,
            )
            assert answer.ok, answer.text
            for sign in ALARMED:
                wait_until(partial(_seen, prometheus, sign), 30, sign)
            engine = create_engine(parse_dsn(dsn))
            pages = ((exporter, "/metrics"), (exporter, "/metrics/alerts"), (breaker, "/metrics"))
            told = "".join(program.get(path).text for program, path in pages)
            exported = set(re.findall("^# TYPE (\\S+)", told, re.MULTILINE))
            exported |= set(re.findall("record: (\\S+)", rules))
            yield Chain(engine, prometheus, int(time.time()), exported)
            engine.dispose()


def _seen(prometheus: Prometheus, sign: str) -> bool:
    return bool(prometheus.query(sign, at=int(time.time())))


def _recorded(prometheus: Prometheus, expected: Any) -> bool:
    tokens = sum(expected["newapi_tokens_total"].values())
    often = "count_over_time(newapi_exporter_rows_read_total[1m]) > 3"
    [recorded] = prometheus.query("sum(model:newapi_tokens:total)") or [Sample({}, -1)]
    return bool(prometheus.query(often)) and recorded.value == tokens


def _values(chain: Chain, query: Query, length: str, interval: str) -> list[float]:
    if query.instant:
        return [sample.value for sample in chain.ask(query.expr, length)]
    found = chain.draw(query.expr, length, interval)
    return [float(value) for one in found for _, value in one["values"]]


@pytest.mark.parametrize(("page", "query"), ALL, ids=IDS)
def test_every_query_is_answered(chain: Chain, page: str, query: Query) -> None:
    """At 24 hours it parses; at 30 days it has something to show, but for what is listed."""
    name = f"{page}/{query.panel}/{query.ref}"
    _values(chain, query, f"{DAY}s", "15m")
    # Of ranges over a day, once totals are recorded: here they do not reach back so far.
    chain.ask(query.expr, f"{2 * DAY}s", exact="none", exact_before="none", exact_day="none")
    before = "1s:1s" in query.expr  # the period before must have been counted, too
    values = _values(chain, query, f"{(14 if before else 30) * DAY}s", "8h")
    if name in NOTHING_TO_SHOW:
        assert not values, f"{name} shows something: it need not be listed"
    else:
        assert values
    assert not any(math.isnan(value) or math.isinf(value) for value in values)


@pytest.mark.parametrize("panel", TABLES.values(), ids=list(TABLES))
def test_tables_are_joined(chain: Chain, panel: dict[str, Any]) -> None:
    """As Grafana does it: a row a thing, with all that tells it, and money in its currency."""
    exprs = {target["refId"]: target["expr"] for target in panel["targets"]}
    answers = {ref: chain.ask(expr, f"{30 * DAY}s") for ref, expr in exprs.items()}
    assert all(sample.labels for samples in answers.values() for sample in samples)
    frames = transformed(tables(answers), panel["transformations"][:-1])
    for frame in frames:
        for one in frame.fields:
            expr = exprs.get(one.name.removeprefix("Value #"), "")
            assert ("newapi_display_currency" in expr) == ("unit" in one.config), one.name
    [shown] = transformed(frames, panel["transformations"][-1:])
    names = panel["transformations"][-1]["options"]["renameByName"]
    columns = {one.name for one in shown.fields}
    assert columns <= set(names.values())
    tell = columns & {title for label, title in names.items() if "Value" not in label}
    assert all(row.keys() >= tell for row in shown.rows)


NAMES = {
    "channel": "SELECT id, name FROM channels",
    "user": "SELECT id, username FROM users",
    "api_key": "SELECT id, name FROM tokens",
    "model": "SELECT DISTINCT model_name, model_name FROM logs WHERE type = 2",
}


@pytest.mark.parametrize("page", [*PAGES, "logs"])
def test_variables_find_what_there_is(chain: Chain, page: str) -> None:
    for variable in dashboard("en", page)["templating"]["list"]:
        if variable["type"] != "query":
            continue
        expr = variable["query"]["query"].removeprefix("query_result(").removesuffix(")")
        found = options(variable, chain.ask(expr, "7d"), chain.now)
        assert found
        if variable["name"] in NAMES:
            there = {str(key): str(name) for key, name in chain.sql(NAMES[variable["name"]])}
            assert found.items() <= there.items()


def test_every_metric_is_exported(chain: Chain) -> None:
    missing = set()
    for _, query in ALL:
        for name in re.findall(r"\b(?:\w+:)?newapi_\w+(?::\w+)?", query.expr):
            bare = re.sub(r"_(bucket|count|sum)(?=$|:)", "", name)
            if not {name, bare} & chain.exported:
                missing.add(name)
    assert missing == set()


def since(chain: Chain, days: int) -> tuple[str, str]:
    """A range that begins at a full hour, where history is exact, and its rows in SQL."""
    begin = (chain.now - days * DAY) // HOUR * HOUR
    return f"{chain.now - begin}s", f"created_at >= {begin}"


_DONE = "type = 2 AND token_name <> '模型测试'"


@pytest.mark.parametrize("days", [1, 7, 28])
def test_overview_equals_sql(chain: Chain, days: int) -> None:
    length, rows = since(chain, days)

    def shown(panel: str) -> float:
        return chain.by("overview", panel, "A", "", length)[""]

    [(tokens, charged)] = chain.sql(
        f"SELECT SUM(prompt_tokens + completion_tokens), SUM(quota) FROM logs"
        f" WHERE type = 2 AND {rows}"
    )
    [(back,)] = chain.sql(f"SELECT COALESCE(SUM(quota), 0) FROM logs WHERE type = 6 AND {rows}")
    [(requests,)] = chain.sql(f"SELECT COUNT(*) FROM logs WHERE {_DONE} AND {rows}")
    assert shown("Tokens") == tokens
    assert shown("Requests") == requests
    assert shown("Cost") == pytest.approx((charged - back) / 500_000 * _rate(chain))


def _rate(chain: Chain) -> float:
    [rate] = chain.prometheus.query("max(newapi_display_currency_per_usd)", at=chain.now)
    return rate.value


@pytest.mark.parametrize(
    ("page", "panel", "ref", "label", "column", "sql", "where"),
    [
        ("channels", "Channels", "A", "channel_id", "channel_id", "COUNT(*)", _DONE),
        ("channels", "Channels", "D", "channel_id", "channel_id",
         "SUM(prompt_tokens + completion_tokens)", "type = 2"),
        ("models", "Models", "A", "model", "model_name", "COUNT(*)", _DONE),
        ("models", "Models", "C", "model", "model_name",
         "SUM(prompt_tokens + completion_tokens)", "type = 2"),
        ("api-keys", "API keys", "C", "api_key_id", "token_id",
         "SUM(prompt_tokens + completion_tokens)", "type = 2"),
        ("api-keys", "API keys", "D", "api_key_id", "token_id", "COUNT(*)", "type = 2"),
        ("api-keys", "API keys", "E", "api_key_id", "token_id", "COUNT(*)", "type = 5"),
        ("users", "Users", "B", "user_id", "user_id",
         "SUM(prompt_tokens + completion_tokens)", "type = 2"),
        ("users", "Users", "C", "user_id", "user_id", "COUNT(*)", "type = 2"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("days", [1, 28])
def test_tables_equal_sql(
    chain: Chain, page: str, panel: str, ref: str, label: str, column: str, sql: str, where: str,
    days: int,
) -> None:  # fmt: skip
    length, rows = since(chain, days)
    found = chain.sql(f"SELECT {column}, {sql} FROM logs WHERE {where} AND {rows} GROUP BY 1")
    expected = {str(key): float(value) for key, value in found if value}
    assert chain.by(page, panel, ref, label, length) == expected


@pytest.mark.parametrize(
    ("page", "panel", "ref", "label", "column", "types"),
    [
        ("channels", "Channels", "E", "channel_id", "channel_id", "(2, 6)"),
        ("models", "Models", "D", "model", "model_name", "(2, 6)"),
        ("api-keys", "API keys", "A", "api_key_id", "token_id", "(2)"),
        ("users", "Users", "A", "user_id", "user_id", "(2)"),
    ],
)
@pytest.mark.parametrize("days", [1, 28])
def test_costs_equal_sql(
    chain: Chain, page: str, panel: str, ref: str, label: str, column: str, types: str, days: int
) -> None:
    length, rows = since(chain, days)
    quota = "SUM(CASE type WHEN 2 THEN quota ELSE -quota END)"
    where = f"type IN {types} AND {rows}"
    found = chain.sql(f"SELECT {column}, {quota} FROM logs WHERE {where} GROUP BY 1")
    expected = {str(key): quota / 500_000 * _rate(chain) for key, quota in found if quota}
    assert chain.by(page, panel, ref, label, length) == pytest.approx(expected)


def test_bars_add_up_to_sql_where_nothing_was_recorded_and_where_it_was(chain: Chain) -> None:
    begin = chain.now - 28 * DAY
    [expr] = [q.expr for q in QUERIES["overview"] if (q.panel, q.ref) == ("Tokens over time", "A")]
    length, step = f"{28 * DAY}s", "8h"
    drawn = chain.draw(expr, length, step)
    bars = sum(float(value) for one in drawn for _, value in one["values"])
    [now, before] = [
        chain.prometheus.query('sum(newapi_tokens_total{direction="prompt"})', at=moment)[0].value
        for moment in (chain.now, begin)
    ]
    assert bars == now - before > 0
    # Only what was recorded: the one bar that ends now and began before the recording did.
    none = chain.draw(expr, length, step, past="none")
    assert sum(float(value) for one in none for _, value in one["values"]) == 0


def test_a_model_without_traffic_is_told_from_one_that_fails(chain: Chain) -> None:
    """Hour by hour; what happened on the full hour may count in either of the two."""
    [query] = [q for q in QUERIES["model-status"] if q.panel == "Status over time"]
    end = chain.now // HOUR * HOUR - HOUR
    answer = chain.prometheus.get(
        "/api/v1/query_range", query=substitute(query.expr, "72h", "1h", end),
        start=str(end - 71 * HOUR), end=str(end), step=str(HOUR),
    )  # fmt: skip
    done, tried = (
        {
            (str(model), moment)
            for model, created_at in chain.sql(f"SELECT model_name, created_at FROM logs {where}")
            for moment in {-(-created_at // HOUR) * HOUR, (created_at // HOUR + 1) * HOUR}
        }
        for where in (f"WHERE {_DONE} AND created_at % {HOUR} <> 0", "WHERE type IN (2, 5)")
    )
    idle = 0
    for one in answer["data"]["result"]:
        for moment, value in one["values"]:
            cell = one["metric"]["model"], int(moment)
            if float(value) == NO_TRAFFIC:
                assert cell not in done
                idle += 1
            else:
                assert 0 <= float(value) <= 1
                assert cell in tried
    assert idle


METRIC = re.compile(r"\b(?:(?:\w+:)?newapi_\w+(?::\w+)?|ALERTS\w*|up|scrape_\w+)\b")
READ_WHOLE = {
    "newapi_breaker_decisions_total",
    "newapi_breaker_decision_duration_seconds_bucket",
    "newapi_channel_status",
    "newapi_exporter_errors_total",
    "newapi_exporter_rows_read_total",
}
"""Few series, of which a range is read with all of its samples, or with one every ten minutes."""


@pytest.mark.parametrize(("past", "hours"), [("none", 8), (".+", 24)])
def test_touched_samples_stay_within_a_limit(chain: Chain, past: str, hours: int) -> None:
    """At 30 days each selector touches a sample a series and point; two where one looks back."""
    every = "count by (__name__) (last_over_time({__name__=~'.+'}[30d]))"
    found = chain.prometheus.query(every, at=chain.now)
    series = {one.labels["__name__"]: one.value for one in found}
    for page, query in ALL:
        names = METRIC.findall(query.expr)
        if not READ_WHOLE & set(names):
            most = sum(series.get(name, 0) for name in names)
            most *= 2 if query.instant else 30 * 24 // hours + 1
            assert _touched(chain, query, past, hours) <= most, f"{page}/{query.panel}/{query.ref}"


def _touched(chain: Chain, query: Query, past: str, hours: int) -> float:
    filled = substitute(query.expr, "30d", f"{hours}h", chain.now, past=past)
    where = {"query": filled, "stats": "all"}
    if query.instant:
        data = chain.prometheus.get("/api/v1/query", time=str(chain.now), **where)["data"]
    else:
        span = {
            "start": str(chain.now - 30 * DAY),
            "end": str(chain.now),
            "step": str(hours * HOUR),
        }
        data = chain.prometheus.get("/api/v1/query_range", **span, **where)["data"]
    touched: float = data["stats"]["samples"]["totalQueryableSamples"]
    return touched
