"""docs/metrics.md and docs/metrics.zh-CN.md against what exporter and breaker really export."""

import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from breaker.decision import Result
from breaker.mode import Mode
from demo.load import load, prepare
from exporter.exposition.inventory import API_KEY_STATUSES, CHANNEL_STATUSES, USER_STATUSES
from exporter.exposition.logs import unavailable
from exporter.status import OwnFault
from newapi.database import Database, DatabaseError, Fault
from newapi.dsn import parse_dsn
from newapi.errors import BY_CODE, BY_STATUS, BY_UPSTREAM_CODE, Category
from newapi.events import ABNORMAL_ENDS, CHUNK_ERROR
from newapi.options import SWITCHES
from newapi.rows import Source
from newapi.schema import TABLES, Flavour, Schema, inspect
from newapi.switch import Kind
from tests.documents import ROOT, Rows, codes, differences, tables
from tests.follower import REQUEST
from tests.gateway import gateway_at, put
from tests.programs import Breaker, Exporter, Program
from tests.servers.process import free_port, wait_until
from tests.webhooks import TRIP_LABELS, raw_alert, webhook

DOCUMENTS = ("docs/metrics.md", "docs/metrics.zh-CN.md")
TOKEN = "only-for-tests-0123456789"

METRICS = ("log", "today", "inventory", "rules", "exporter", "breaker")
"""The tables of metrics: name, type, labels, unit, meaning, source."""

IN_ORDER = (
    "pages", "log", "buckets", "categories", "broken", "adjusted", "unavailable", "today",
    "inventory", "rules", "exporter", "breaker", "values", "recorded",
    "conditions",
)  # fmt: skip
"""All tables of a document."""


class Metric(NamedTuple):
    """What a metric is, as documented or as exported."""

    type: str
    labels: frozenset[str]


def named_tables(document: str) -> dict[str, Rows]:
    """Give the tables of a document by name, each without its header."""
    found = tables(document)
    assert len(found) == len(IN_ORDER), f"{document} has other tables than {IN_ORDER}"
    return {name: rows[1:] for name, rows in zip(IN_ORDER, found, strict=True)}


def names(rows: Rows) -> list[str]:
    """Give what stands in the first column."""
    return [codes(row[0])[0] for row in rows]


def metric_rows(document: str) -> Rows:
    return [row for name in METRICS for row in named_tables(document)[name]]


def documented(document: str) -> dict[str, Metric]:
    return {
        codes(name)[0]: Metric(kind, frozenset(labels.split(", ")) - {""})
        for name, kind, labels, *_ in metric_rows(document)
    }


@dataclass
class Pages:
    """What several pages of metrics show together."""

    types: dict[str, str] = field(default_factory=dict)
    labels: dict[str, set[str]] = field(default_factory=dict)
    """Only of metrics that have a sample."""
    values: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    """Of each label of each metric."""

    def add(self, page: str) -> None:
        for family in text_string_to_metric_families(page):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            self.types[name] = family.type
            for sample in family.samples:
                self.labels.setdefault(name, set()).update(sample.labels)
                for label, value in sample.labels.items():
                    self.values.setdefault((name, label), set()).add(value)

    def metrics(self) -> dict[str, Metric]:
        return {
            name: Metric(kind, frozenset(self.labels[name] - {"le"}))
            for name, kind in self.types.items()
            if name in self.labels
        }

    @property
    def unseen(self) -> set[str]:
        """The metrics that have no sample."""
        return self.types.keys() - self.labels.keys()


def _rules() -> str:
    """Give rules by which each series that alerts rest on is there with each of its labels."""
    every = {"channel": "*", "model": "*", "api_key": "*", "user": "*"}
    scopes: list[dict[str, str]] = [{scope: target} for scope, target in every.items()]
    kinds: list[tuple[dict[str, Any], list[dict[str, str]]]] = [
        ({"type": "token_usage", "threshold": 1}, [*scopes, {}]),
        (
            {
                "type": "token_usage",
                "threshold": 1,
                "period": {"from": "2999-01-01", "to": "2999-01-02"},
            },
            [{}],
        ),
        ({"type": "cost", "threshold": 0.000001}, [*scopes, {}]),
        ({"type": "cost", "threshold": 0.000001, "period": "today", "projected": True}, scopes),
        ({"type": "error_rate", "threshold": 1, "min_requests": 1}, [*scopes[:2], {}]),
        ({"type": "latency", "threshold": 1, "min_requests": 1}, [*scopes[:2], {}]),
        ({"type": "request_spike", "threshold": 0.001, "min_requests": 1}, [*scopes, {}]),
        ({"type": "channel_down"}, scopes[:1]),
        ({"type": "quota_low", "threshold": 1e9}, [scopes[0], *scopes[2:]]),
    ]
    rules = [{**kind, **scope} for kind, some in kinds for scope in some]
    return json.dumps({"rules": [{"name": f"r{n}", **rule} for n, rule in enumerate(rules)]})


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """What an exporter and a breaker export to which everything has happened."""
    folder = tmp_path_factory.mktemp("gateways")
    alerts, file, made = folder / "alerts.yml", folder / "one-api.db", folder / "made.db"
    alerts.write_text(_rules())
    with ExitStack() as stack:
        settings = {
            "SQLITE_PATH": str(file), "ALERTS_FILE": str(alerts), "POLL_INTERVAL": "1",
            "MAX_SERIES_PER_METRIC": "5",
        }  # fmt: skip
        exporter = stack.enter_context(Exporter(settings, "/-/healthy"))
        wait_until(lambda: "no such file" in exporter.get("/-/ready").text)  # an error of a kind
        with gateway_at(f"sqlite:///{made}") as database:
            prepare(database, seed=1, now=time.time())
        made.rename(file)
        wait_until(lambda: exporter.get("/-/ready").ok)
        _write(f"sqlite:///{file}")

        other = stack.enter_context(gateway_at(f"sqlite:///{folder}/other.db", Flavour.ONE_API))
        put(other, "channels", {"id": 7, "type": 1, "status": 1, "name": "Main", "key": "sk-none"})
        settings = {"SQLITE_PATH": f"{folder}/other.db"}
        one_api = stack.enter_context(Exporter(settings))
        breaker = stack.enter_context(
            Breaker(
                settings
                | {
                    "BREAKER_TOKEN": TOKEN,
                    "BREAKER_STATE": str(folder / "breaker"),
                    "ALERTMANAGER_URL": f"http://127.0.0.1:{free_port()}",
                }
            )
        )
        alert = raw_alert(TRIP_LABELS)
        alert["annotations"]["evaluated_at"] = str(int(time.time()))
        requests.post(
            f"{breaker.url}/alerts",
            headers={"Authorization": f"Bearer {TOKEN}"},
            json=webhook(alert),
            timeout=10,
        ).raise_for_status()

        seen = Pages()
        with suppress(TimeoutError):  # the tests tell what is not there
            wait_until(lambda: _complete(seen, exporter, one_api, breaker), 30)
        yield seen


def _write(dsn: str) -> None:
    """Write log rows of all kinds, 20 minutes old and older: failures are settled at once.

    Two thirds fall into the last hour, one third into the one before, at any time of day: each
    rule about more requests than before then shows targets.
    """
    now = int(time.time())
    load(parse_dsn(dsn), rows=2000, start=now - 4800, end=now - 1200)
    odd: list[dict[str, object]] = [
        {"type": 6},
        {"quota": -1},
        {"other": "{"},
        {"model_name": "m" * 129},
        {"created_at": now},
        *([{}] * 500),  # many more than in the hour before, for request_spike
    ]
    with_all = [{"created_at": now - 1300, **REQUEST, **row} for row in odd]
    database = Database(parse_dsn(dsn), writable=True)
    put(database, "logs", *with_all)
    database.close()


def _complete(seen: Pages, exporter: Program, *others: Program) -> bool:
    for program, path in ((exporter, "/metrics/alerts"), *((p, "/metrics") for p in others)):
        seen.add(program.get(path).text)
    seen.add(exporter.get("/metrics").text)
    return not seen.unseen and documented(DOCUMENTS[0]) == seen.metrics()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_metric_is_in_the_document_as_it_is_exported(pages: Pages, document: str) -> None:
    assert not pages.unseen, f"no sample here, so that nothing tells the labels: {pages.unseen}"
    told, there = documented(document), pages.metrics()
    assert not there.keys() - told.keys(), f"{document} lacks {there.keys() - told.keys()}"
    assert not told.keys() - there.keys(), f"not exported: {told.keys() - there.keys()}"
    wrong = differences(told, there)
    assert not wrong, f"{document} says one thing, what is exported is another: {wrong}"


def test_both_languages_say_the_same() -> None:
    english, chinese = (named_tables(document) for document in DOCUMENTS)
    for name in IN_ORDER:
        told, twin = (
            [[sorted(codes(cell)) for cell in row] for row in rows]
            for rows in (english[name], chinese[name])
        )
        assert [row for row in told if row not in twin] == [], "in English only"
        assert [row for row in twin if row not in told] == [], "in Chinese only"
        assert twin == told, f"{name}: in another order"
    assert documented(DOCUMENTS[0]) == documented(DOCUMENTS[1])


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_within_the_document_lead_somewhere(document: str) -> None:
    headings = re.findall(r"^#+ (.*)", _text(document), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#(.*?)\)", _text(document))) - anchors == set()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_metric_stands_in_it_twice(document: str) -> None:
    found = names(metric_rows(document))
    assert sorted(found) == sorted(set(found))


def test_sql_in_the_document_gives_the_numbers_that_are_exported(gateway_url: str) -> None:
    now = int(time.time())
    with gateway_at(gateway_url) as database, Exporter({"SQL_DSN": gateway_url}) as exporter:
        load(parse_dsn(gateway_url), rows=1000, start=now - 7200, end=now - 1200)
        rows = [{"created_at": now - 1300, **REQUEST, "type": 6}, {"created_at": now, **REQUEST}]
        put(database, "logs", *rows)
        wait_until(lambda: _sum(exporter, "newapi_exporter_rows_read_total") == 1000 + len(rows))
        wait_until(lambda: _sum(exporter, "newapi_failed_requests_total") > 0)
        found = {}
        with database.connect() as connection:
            for name, sql in _statements(database.dialect).items():
                bound = {"midnight": now // 86400 * 86400} if ":midnight" in sql else {}
                expected = connection.execute(text(sql), bound).scalar_one()
                found[name] = (_sum(exporter, name), float(expected))
    assert all(shown > 0 for shown, _ in found.values()), found
    assert {name: pair for name, pair in found.items() if pair[0] != pair[1]} == {}


def _statements(dialect: str) -> dict[str, str]:
    """Give the SQL by metric."""
    found = {
        codes(row[0])[0]: code
        for row in metric_rows(DOCUMENTS[0])
        for code in codes(row[5])
        if code.startswith("SELECT")
    }
    block = re.search(r"```sql\n(.*?)```", _text(DOCUMENTS[0]), re.DOTALL)
    assert block is not None
    assert block[0] in _text(DOCUMENTS[1])
    word = {"mysql": "MariaDB", "postgresql": "PostgreSQL", "sqlite": "SQLite"}[dialect]
    own = re.search(rf"-- [^\n]*{word}\n([^;]*);", block[1])
    assert own is not None
    return found | {"newapi_cached_tokens_total": own[1]}


def _sum(exporter: Exporter, name: str) -> float:
    samples = exporter.metrics()
    return sum(samples.get(name, samples.get(f"{name}_count", {})).values())


def _text(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> dict[Flavour, Schema]:
    """The columns of each gateway's tables."""
    found = {}
    for flavour in Flavour:
        path = tmp_path_factory.mktemp("schema") / "one-api.db"
        with gateway_at(f"sqlite:///{path}", flavour) as database, database.connect() as connection:
            found[flavour] = inspect(connection)
    return found


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_columns_that_sources_name_are_there(
    schemas: dict[Flavour, Schema], document: str
) -> None:
    schema = schemas[Flavour.NEW_API]
    column = re.compile(rf"({'|'.join(TABLES)})\.(\w+)")
    named = [column.fullmatch(code) for row in metric_rows(document) for code in codes(row[5])]
    assert len([match for match in named if match]) > 30
    assert [match[0] for match in named if match and not schema.has(match[1], match[2])] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_error_categories_are_those_of_the_code(document: str) -> None:
    rows = {codes(row[0])[0]: row for row in named_tables(document)["categories"]}
    assert rows.keys() == set(Category)
    for column, known in ((2, _inverted(BY_CODE | BY_UPSTREAM_CODE)), (3, _inverted(BY_STATUS))):
        assert (
            differences({name: set(codes(row[column])) for name, row in rows.items()}, known) == {}
        )


def _inverted(by_code: Mapping[Any, Category]) -> dict[str, set[str]]:
    return {
        category.value: {str(code) for code, kind in by_code.items() if kind is category}
        for category in Category
    }


@pytest.mark.parametrize("document", DOCUMENTS)
def test_reasons_are_those_of_the_code(
    pages: Pages, schemas: dict[Flavour, Schema], document: str
) -> None:
    found = named_tables(document)
    assert set(names(found["broken"])) == ABNORMAL_ENDS | {CHUNK_ERROR, "other"}
    assert set(names(found["adjusted"])) == pages.values["newapi_rows_adjusted_total", "reason"]
    needs = {
        codes(row[0])[0]: {code for code in codes(row[1]) if code.startswith("logs.")}
        for row in found["unavailable"]
    }
    schema = schemas[Flavour.NEW_API]
    assert differences({name: some for name, some in needs.items() if some}, _needed(schema)) == {}
    unseen = unavailable(schema, failures_seen=False)
    switch = "ERROR_LOG_ENABLED=true"
    assert {codes(row[0])[0] for row in found["unavailable"] if switch in row[1]} == unseen.keys()
    one_api = unavailable(schemas[Flavour.ONE_API], failures_seen=False)
    assert needs.keys() == one_api.keys()
    said = " ".join(_text(document).split())
    for reason in {*unseen.values(), *one_api.values()}:
        assert re.sub(r"logs\.\w+", "logs.…", f"`{reason}`") in said


def _needed(schema: Schema) -> dict[str, set[str]]:
    """Give by metric the columns of logs without which it is unavailable."""
    needed: dict[str, set[str]] = {}
    for column in schema.columns["logs"]:
        less = Schema({**schema.columns, "logs": schema.columns["logs"] - {column}}, schema.dialect)
        with suppress(DatabaseError):  # without it nothing is counted at all
            for metric in unavailable(less, failures_seen=True):
                needed.setdefault(metric, set()).add(f"logs.{column}")
    return needed


@pytest.mark.parametrize("document", DOCUMENTS)
def test_buckets_are_those_that_are_exported(pages: Pages, document: str) -> None:
    told = {
        codes(name)[0]: {*map(float, edges.split(", ")), float("inf")}
        for name, edges in named_tables(document)["buckets"]
    }
    there = {
        name: set(map(float, pages.values[name, "le"]))
        for name, kind in pages.types.items()
        if kind == "histogram"
    }
    assert differences(told, there) == {}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_label_values_are_those_of_the_code(pages: Pages, document: str) -> None:
    known: list[set[str]] = [
        set(Source),
        pages.values["newapi_tokens_total", "direction"],
        set(CHANNEL_STATUSES),
        set(API_KEY_STATUSES),
        set(USER_STATUSES),
        set(SWITCHES),
        {*Fault, *OwnFault},
        set(Kind),
        set(Mode),
        set(Result),
    ]
    told = [set(codes(row[1])) for row in named_tables(document)["values"]]
    assert told == known


@pytest.mark.parametrize("document", DOCUMENTS)
def test_recording_rules_are_those_of_prometheus(document: str) -> None:
    there = [
        rule["record"]
        for file in (ROOT / "prometheus" / "rules").glob("*.yml")
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
        if "record" in rule
    ]
    levels = ("channel", "model", "gateway")
    recorded = [
        name if of_level else f"{level}:{name}"
        for name in names(named_tables(document)["recorded"])
        for of_level in [name.startswith(("channel_model:", *(f"{level}:" for level in levels)))]
        for level in (("",) if of_level else levels)
    ]
    told = Counter(recorded + names(named_tables(document)["conditions"]))
    assert differences(told, Counter(there)) == {}


@pytest.mark.parametrize("where", ["prometheus/rules/*.yml", "grafana/dashboards/*/*.json"])
def test_what_rules_and_dashboards_ask_for_is_there(where: str) -> None:
    known = {
        name + part
        for name, metric in documented(DOCUMENTS[0]).items()
        for part in (["_bucket", "_count", "_sum"] if metric.type == "histogram" else [""])
    }
    asked = {
        (file.name, name)
        for file in ROOT.glob(where)
        for name in re.findall(r"(?<![\w:])newapi_\w*[a-z](?![\w:])", file.read_text("utf-8"))
    }
    assert len(asked) > 10
    assert {(file, name) for file, name in asked if name not in known} == set()
