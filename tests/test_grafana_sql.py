"""The dashboards' SQL on real databases: right, safe whatever a variable holds, and by an index."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from demo.load import load
from demo.schema import create
from demo.world import Sizes
from newapi.dsn import parse_dsn
from newapi.schema import Flavour
from tests.gateway import gateway_at
from tests.grafana_queries import dashboard, fill, statements
from tests.servers import MariaDB, Postgres

LOGS, ERRORS, SPEED = (
    statements(dashboard("en", name)) for name in ("logs", "errors", "performance")
)
END = 1_790_000_000
BEGIN = END - 86400
ROWS = 3000
ALL = [
    *(("logs", panel, sql) for panel, sql in LOGS.items()),
    *(("errors", panel, sql) for panel, sql in ERRORS.items()),
    *(("performance", panel, sql) for panel, sql in SPEED.items()),
]
ODD = {
    10: "o'neil/model:latest",
    11: "a_b",
    12: "axb",
    13: "100%",
    14: "back\\slash",
    15: "wow!_x",
    16: "模型-甲",
    17: "' OR '1'='1",
    18: '{"code": "x"} <a>',
}
HOSTILE = [
    "' OR 1=1 -- ",
    "\\' OR 1=1 #",
    "\\",
    "'",
    "''",
    "0 OR 1=1",
    "1) OR (1=1",
    "%",
    "_",
    "%' OR '%'='",
    "a' UNION SELECT 1,2,3 -- ",
    "$__timeFilter(created_at)",
    "${channel}",
    "[[channel]]",
    "x'; DROP TABLE logs; --",
    "1e0",
    " 1",
    "0x31",
    "\x00",
    "¿´'",
    "\u02bc OR 1=1",
]


@pytest.fixture(scope="module", params=["sqlite", "mariadb", "postgres"])
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """A day of a gateway, with a few odd models."""
    name = f"grafana_{request.param}"
    server: MariaDB | Postgres | None = None
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("sql") / "one-api.db"
        path.touch()
        dsn = f"sqlite:///{path}"
    else:
        server = request.getfixturevalue(request.param)
        assert server is not None
        dsn = server.create_database(name)
    create(parse_dsn(dsn))
    load(parse_dsn(dsn), rows=ROWS, start=BEGIN, end=END, sizes=Sizes(channels=4, keys=6, users=4))
    engine = create_engine(parse_dsn(dsn))
    with engine.begin() as connection:
        for number, model in ODD.items():
            connection.execute(
                text("UPDATE logs SET model_name = :model WHERE id = :id"),
                {"model": model, "id": number},
            )
    analyze = "ANALYZE TABLE logs" if engine.dialect.name == "mysql" else "ANALYZE logs"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(analyze))
    yield engine
    engine.dispose()
    if server is not None:
        server.drop_database(name)


def ask(engine: Engine, sql: str, **values: Any) -> list[dict[str, Any]]:
    """Rows, as Grafana would get them: the text as it stands, nothing bound."""
    with engine.connect() as connection:
        if values:
            return [dict(row) for row in connection.execute(text(sql), values).mappings()]
        return [dict(row) for row in connection.exec_driver_sql(_raw(engine, sql)).mappings()]


def _raw(engine: Engine, sql: str) -> str:
    """The driver sees the text without parameters, but SQLAlchemy passes an empty tuple on."""
    return sql if engine.dialect.name == "sqlite" else sql.replace("%", "%%")


def panel(engine: Engine, sql: str, **variables: str) -> list[dict[str, Any]]:
    return ask(engine, fill(sql, BEGIN, END, **variables))


def attempted(engine: Engine, sql: str, **variables: str) -> list[dict[str, Any]]:
    """The rows; none where the server refuses a value that is no number."""
    try:
        return panel(engine, sql, **variables)
    except DBAPIError as error:
        refused = re.search("invalid input syntax for type|out of range", str(error.orig))
    assert refused
    return []


@pytest.mark.parametrize(("page", "title", "sql"), ALL, ids=[f"{a}/{b}" for a, b, _ in ALL])
def test_every_statement_runs(engine: Engine, page: str, title: str, sql: str) -> None:
    found = panel(engine, sql, row="100")
    assert found, (page, title)


def test_totals_are_sqls_own(engine: Engine) -> None:
    [shown] = panel(engine, LOGS["Found"], money="0.0000146")
    window = f"created_at BETWEEN {BEGIN} AND {END}"
    [own] = ask(engine, f"SELECT COUNT(*) AS n, SUM(prompt_tokens) AS p, SUM(completion_tokens)"
                f" AS c FROM logs WHERE {window}")  # fmt: skip
    [charged] = ask(engine, f"SELECT SUM(quota) AS q FROM logs WHERE type = 2 AND {window}")
    [back] = ask(engine, f"SELECT SUM(quota) AS q FROM logs WHERE type = 6 AND {window}")
    assert shown["found"] == own["n"] == ROWS
    assert (shown["prompt"], shown["completion"]) == (own["p"], own["c"])
    quota = int(charged["q"]) - int(back["q"] or 0)
    assert float(shown["cost"]) == pytest.approx(quota * 0.0000146)


def test_filters_by_id(engine: Engine) -> None:
    for variable, column in (("channel", "channel_id"), ("user", "user_id"), ("type", "type")):
        for row in ask(engine, f"SELECT {column} AS v, COUNT(*) AS n FROM logs GROUP BY {column}"):
            [shown] = panel(engine, LOGS["Found"], **{variable: str(row["v"])})
            assert shown["found"] == row["n"]
    for row in ask(engine, "SELECT token_id AS v, COUNT(*) AS n FROM logs GROUP BY token_id"):
        assert panel(engine, LOGS["Found"], api_key=str(row["v"]))[0]["found"] == row["n"]


@pytest.mark.parametrize(
    "part",
    ["gpt", "GPT", "o'neil/model:l", "a_b", "_", "100%", "wow!_", "-", '{"code"', "} <a>"],
)
def test_part_of_a_name_means_itself(engine: Engine, part: str) -> None:
    [shown] = panel(engine, LOGS["Found"], model_part=part)
    names = ask(engine, "SELECT model_name AS m, COUNT(*) AS n FROM logs GROUP BY model_name")
    assert shown["found"] == sum(row["n"] for row in names if part.lower() in row["m"].lower())


def test_a_model_is_chosen_by_its_whole_name(engine: Engine) -> None:
    for model in ("o'neil/model:latest", "a_b", "100%", "wow!_x"):
        found = panel(engine, SPEED["20 slowest requests"], model=model)
        assert all(row["model_name"] == model for row in found)


def test_pages_follow_each_other(engine: Engine) -> None:
    """By the values of the last row of each page, as its link passes them on."""
    seen: list[int] = []
    place: dict[str, str] = {}
    while page := panel(engine, LOGS["Rows found"], **place):
        seen += [row["id"] for row in page]
        last = page[-1]
        assert last["created_at"] * 1000 == last["at"]
        below = {"page_time": "created_at", "page_type": "kind", "page_id": "id"}
        place = {name: str(last[column]) for name, column in below.items()}
    order = ask(engine, "SELECT id FROM logs ORDER BY created_at DESC, type DESC, id DESC")
    assert seen == [row["id"] for row in order]


def test_a_place_of_another_range_is_the_first_page(engine: Engine) -> None:
    for statement in (LOGS["Rows found"], ERRORS["Failures"]):
        first = panel(engine, statement)
        for moment in (BEGIN - 3600, END + 3600, 0):
            assert panel(engine, statement, page_time=str(moment), page_id="1") == first
        assert panel(engine, statement, page_time=str(END - 7200)) != first


def test_slowest_are_the_slowest(engine: Engine) -> None:
    shown = [float(row["seconds"]) for row in panel(engine, SPEED["20 slowest requests"])]
    own = ask(engine, "SELECT use_time FROM logs WHERE type = 2 ORDER BY use_time DESC LIMIT 20")
    assert shown == [row["use_time"] for row in own]


def test_codes_and_the_whole_row(engine: Engine) -> None:
    codes = {row["code"]: row["found"] for row in panel(engine, ERRORS["By status code"])}
    [count] = ask(engine, "SELECT COUNT(*) AS n FROM logs WHERE type = 5")
    assert sum(codes.values()) == count["n"]
    assert all(code.isdecimal() and len(code) == 3 for code in codes)
    [first] = ask(engine, "SELECT MIN(id) AS id FROM logs WHERE type = 5")
    [row] = panel(engine, ERRORS["The whole row"], row=str(first["id"]))
    [own] = ask(engine, f"SELECT other, content FROM logs WHERE id = {first['id']}")
    assert (row["noted"], row["content"]) == (own["other"], own["content"])


BOUND = {
    "channel": "CAST(channel_id AS CHAR(20)) = :v",
    "user": "CAST(user_id AS CHAR(20)) = :v",
    "type": "CAST(type AS CHAR(20)) = :v",
    "api_key": "CAST(token_id AS CHAR(20)) = :v",
}


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize(
    "variable", ["channel", "user", "type", "api_key", "model_part", "key_name"]
)
def test_hostile_values_are_values(engine: Engine, variable: str, value: str) -> None:
    """The same rows as a bound parameter finds, or none."""
    [shown] = panel(engine, LOGS["Found"], **{variable: value})
    if variable in {"model_part", "key_name"}:
        column = {"model_part": "model_name", "key_name": "token_name"}[variable]
        rows = ask(engine, f"SELECT {column} AS c FROM logs")
        same = sum(value.lower() in row["c"].lower() for row in rows)
    else:
        where = f"WHERE {BOUND[variable]}"
        same = 0
        if "\x00" not in value:  # PostgreSQL cannot even be asked
            [row] = ask(engine, f"SELECT COUNT(*) AS n FROM logs {where}", v=value)
            same = row["n"]
    assert shown["found"] in {same, 0}


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_places_and_ids(engine: Engine, value: str) -> None:
    """What is no number is 0, refused, or later than every row."""
    first = panel(engine, LOGS["Rows found"])
    assert attempted(engine, LOGS["Rows found"], page_time=value) in (first, [])
    # An id only tells rows of the same second apart.
    for variable in ("page_id", "page_type"):
        assert attempted(engine, LOGS["Rows found"], **{variable: value}) in (first, [])
    assert {row["id"] for row in attempted(engine, LOGS["The whole row"], row=value)} <= {1}
    assert attempted(engine, ERRORS["Failures"], model=value) == []
    attempted(engine, LOGS["Found"], money=value)


@settings(max_examples=60, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=12))
def test_any_text_is_a_value(engine: Engine, value: str) -> None:
    [shown] = panel(engine, LOGS["Found"], model_part=value)
    rows = ask(engine, "SELECT model_name AS c FROM logs")
    assert shown["found"] in {sum(value.lower() in row["c"].lower() for row in rows), 0}


@pytest.mark.parametrize("title", ["Found", "Rows found", "Failures", "20 slowest requests"])
def test_a_short_range_is_read_by_an_index(engine: Engine, title: str) -> None:
    statement = {**LOGS, **ERRORS, **SPEED}[title]
    plan = _plan(engine, fill(statement, END - 600, END))
    if engine.dialect.name == "mysql":
        [row] = [row for row in plan if row["table"] == "l"]
        assert row["key"] in {"idx_created_at_id", "idx_created_at_type"}
        assert int(row["rows"]) < ROWS / 10
    else:
        lines = " ".join(str(value) for row in plan for value in row.values())
        assert "idx_created_at" in lines
        assert "Seq Scan on logs l" not in lines
        assert "SCAN l" not in lines


def test_a_row_is_read_by_its_key(engine: Engine) -> None:
    plan = _plan(engine, fill(LOGS["The whole row"], BEGIN, END, row="100"))
    lines = " ".join(str(value) for row in plan for value in row.values())
    expected = {"mysql": "PRIMARY", "postgresql": "logs_pkey", "sqlite": "INTEGER PRIMARY KEY"}
    assert expected[engine.dialect.name] in lines


def _plan(engine: Engine, sql: str) -> list[dict[str, Any]]:
    explain = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
    return ask(engine, f"{explain} {sql}")


def test_one_api_lacks_columns_and_is_shown_nevertheless(gateway_url: str) -> None:
    with gateway_at(gateway_url, Flavour.ONE_API):
        load(parse_dsn(gateway_url), rows=300, start=BEGIN, end=END)
    engine = create_engine(parse_dsn(gateway_url))
    for _, title, sql in ALL:
        found = panel(engine, sql, row="100")
        assert found or title in {"By status code", "Failures"}, title
    slowest = panel(engine, SPEED["20 slowest requests"])
    own = ask(engine, "SELECT MAX(elapsed_time) AS t FROM logs WHERE type = 2")
    assert float(slowest[0]["seconds"]) == pytest.approx(own[0]["t"] / 1000)
    engine.dispose()
