"""The gateway's database as all parts see it: columns, log rows, grants, limits, faults."""

import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from demo.load import load
from demo.schema import create
from demo.world import Sizes
from newapi.database import Database, DatabaseError, Fault
from newapi.dsn import parse_dsn
from newapi.events import read_event
from newapi.inventory import Inventory, read_inventory
from newapi.logs import LogTable
from newapi.options import Options, read_options
from newapi.rows import TEST_NAME, LogType, Source
from newapi.schema import Flavour, Schema, inspect
from tests.gateway import gateway_at, put, run
from tests.servers import MariaDB, Postgres

NOW = 1_800_000_000
SIZES = Sizes(channels=5, keys=8, users=4)


@pytest.fixture
def gateway(gateway_url: str) -> Iterator[Database]:
    """A New API gateway on each kind of server."""
    with gateway_at(gateway_url) as database:
        yield database


@pytest.fixture
def sqlite_gateway(tmp_path: Path) -> Iterator[Database]:
    """A New API gateway where any server will do."""
    with gateway_at(f"sqlite:///{tmp_path}/one-api.db") as database:
        yield database


def test_a_gateway_that_was_one_api_once_is_told_by_its_newer_column(
    sqlite_gateway: Database,
) -> None:
    for change, flavour in (
        ("ADD elapsed_time bigint", Flavour.NEW_API),
        ("DROP COLUMN use_time", Flavour.ONE_API),
    ):
        run(sqlite_gateway, f"ALTER TABLE logs {change}")
        with sqlite_gateway.connect() as connection:
            assert inspect(connection).flavour is flavour


def test_a_table_or_column_that_is_missing_is_named(sqlite_gateway: Database) -> None:
    run(sqlite_gateway, "ALTER TABLE logs RENAME COLUMN use_time TO used_time")
    with sqlite_gateway.connect() as connection:
        with pytest.raises(DatabaseError, match=r"column logs\.use_time") as caught:
            _ = inspect(connection).flavour
        assert caught.value.fault is Fault.MISSING
    run(sqlite_gateway, "DROP TABLE abilities")
    with sqlite_gateway.connect() as connection:
        schema = inspect(connection)
        with pytest.raises(DatabaseError, match="table abilities is missing or not granted"):
            read_inventory(connection, schema, Flavour.NEW_API, NOW)


@pytest.mark.parametrize("flavour", list(Flavour))
def test_the_log_table_is_read_by_id_by_list_and_by_time(
    gateway_url: str, flavour: Flavour
) -> None:
    with gateway_at(gateway_url, flavour) as database:
        load(parse_dsn(gateway_url), rows=500, sizes=SIZES, start=NOW - 3600, end=NOW)
        with database.connect() as connection:
            read_log_table(connection, flavour)


def read_log_table(connection: Connection, flavour: Flavour) -> None:
    table = LogTable(inspect(connection))
    rows = table.after(connection, 0, 1000)
    ids = [row.id for row in rows]
    assert len(rows) == 500
    assert ids == sorted(ids)
    assert table.after(connection, ids[9], 5) == rows[10:15]
    assert table.after(connection, ids[-1], 5) == []
    assert table.within(connection, ids[3], ids[20], 7) == rows[3:10]
    assert table.within(connection, ids[3], ids[5], 7) == rows[3:6]
    assert table.among(connection, [ids[7], ids[2], -1]) == [rows[2], rows[7]]
    assert table.newest(connection) == (ids[-1], rows[-1].created_at)
    some = [
        row
        for row in rows
        if row.type == LogType.CONSUME and NOW - 1800 <= row.created_at < NOW - 900
    ]
    found = table.since(connection, NOW - 1800, NOW - 900, [LogType.CONSUME], 1000)
    assert sorted(found, key=lambda row: row.id) == some
    assert len(table.since(connection, NOW - 1800, NOW - 900, [LogType.CONSUME], 3)) == 3
    moment = some[3].created_at
    found = table.since(connection, NOW - 1800, moment, [LogType.CONSUME], 1000)
    assert len(found) == len([row for row in some if row.created_at < moment])
    found = table.since(connection, moment, NOW - 900, [LogType.CONSUME], 1000)
    assert len(found) == len([row for row in some if row.created_at >= moment])
    quota = connection.execute(text("SELECT SUM(quota) FROM logs WHERE type = 2")).scalar_one()
    events = [event for row in rows if (event := read_event(row, flavour)) is not None]
    assert not [event for event in events if event.adjusted]
    assert sum(e.quota for e in events if e.type is LogType.CONSUME) == quota
    assert {row.type for row in rows} > {2, 5}


def test_a_request_that_succeeded_after_all_is_known_by_its_id(gateway: Database) -> None:
    rows = [
        {"created_at": NOW, "type": kind, "request_id": request}
        for kind, request in ((5, "a"), (2, "a"), (5, "b"), (6, "b"), (2, "c"))
    ]
    put(gateway, "logs", *rows)
    with gateway.connect() as connection:
        table = LogTable(inspect(connection))
        assert table.succeeded(connection, ["a", "b", "nobody"]) == {"a"}
        first, second = (row.id for row in table.after(connection, 0, 9) if row.type == 5)
        assert table.failed_after(connection, ["a", "b"], first) == {"b"}
        assert table.failed_after(connection, ["a", "b"], second) == set()


def test_texts_are_read_only_of_rows_in_which_they_say_something(gateway: Database) -> None:
    row = {"created_at": NOW, "token_name": TEST_NAME, "request_id": "a", "user_id": 1}
    put(
        gateway,
        "logs",
        *({**row, "type": kind, "token_id": key} for kind in (2, 5) for key in (0, 3)),
    )
    with gateway.connect() as connection:
        rows = LogTable(inspect(connection)).after(connection, 0, 5)
    found = [(row.type, row.token_name, row.request_id) for row in rows]
    assert found == [(2, TEST_NAME, None), (2, None, None), (5, TEST_NAME, "a"), (5, None, "a")]
    sources = [event.source for row in rows if (event := read_event(row, Flavour.NEW_API))]
    assert sources == [Source.TEST, Source.USER, Source.TEST, Source.USER]


def test_an_empty_log_table_has_no_newest_row(sqlite_gateway: Database) -> None:
    with sqlite_gateway.connect() as connection:
        table = LogTable(inspect(connection))
        assert table.newest(connection) == (0, 0)
        assert table.first_between(connection, 0, 2**40) is None
        assert table.after(connection, 0, 5) == []


def test_a_column_that_the_log_table_lacks_reads_as_null(sqlite_gateway: Database) -> None:
    full = {"created_at": NOW, "type": 2, "other": '{"frt":5}', "quota": 9}
    put(sqlite_gateway, "logs", full)
    run(sqlite_gateway, "ALTER TABLE logs DROP COLUMN other")
    with sqlite_gateway.connect() as connection:
        (row,) = LogTable(inspect(connection)).after(connection, 0, 5)
    assert (row.other, row.quota) == (None, 9)


@pytest.mark.parametrize("kind", ["bigint", "decimal(30,2)", "double", "varchar(40)"])
def test_numbers_are_read_whatever_a_server_keeps_them_as(mariadb: MariaDB, kind: str) -> None:
    with gateway_at(mariadb.create_database("kinds")) as database:
        run(database, f"ALTER TABLE logs MODIFY quota {kind}, MODIFY user_id {kind}")
        row = {"created_at": NOW, "type": 2, "channel_id": 7, "prompt_tokens": -3}
        put(database, "logs", row | {"quota": 12, "user_id": -1}, {**row, "quota": None})
        with database.connect() as connection:
            rows = LogTable(inspect(connection)).after(connection, 0, 5)
    first, second = (read_event(row, Flavour.NEW_API) for row in rows)
    assert first is not None
    assert second is not None
    assert (first.quota, first.user_id, first.channel_id, first.created_at) == (12, -1, 7, NOW)
    assert (second.quota, second.user_id, second.api_key_id) == (0, 0, 0)
    assert first.adjusted == second.adjusted == ("negative",)
    mariadb.drop_database("kinds")


def test_what_is_no_number_to_a_server_either_stops_nothing(mariadb: MariaDB) -> None:
    with gateway_at(mariadb.create_database("kinds")) as database:
        run(database, "ALTER TABLE logs MODIFY quota varchar(40)")
        put(database, "logs", {"created_at": NOW, "type": 2, "quota": "1,000", "user_id": 3})
        with database.connect() as connection:
            (row,) = LogTable(inspect(connection)).after(connection, 0, 5)
    event = read_event(row, Flavour.NEW_API)
    assert event is not None
    assert (event.quota, event.user_id, event.adjusted) == (0, 3, ("unreadable",))
    mariadb.drop_database("kinds")


@pytest.mark.parametrize("column", ["quota", "created_at", "channel_id"])
def test_a_log_table_in_which_nothing_could_be_counted_is_refused(
    sqlite_gateway: Database, column: str
) -> None:
    run(sqlite_gateway, f"ALTER TABLE logs RENAME COLUMN {column} TO old_{column}")
    with (
        sqlite_gateway.connect() as connection,
        pytest.raises(DatabaseError, match=f"column logs.{column} is missing or not granted"),
    ):
        LogTable(inspect(connection))


def test_text_that_is_no_utf8_is_read(sqlite_gateway: Database) -> None:
    run(
        sqlite_gateway,
        "INSERT INTO logs (created_at, type, model_name) VALUES (1, 2, CAST(x'67ff70' AS TEXT))",
    )
    with sqlite_gateway.connect() as connection:
        (row,) = LogTable(inspect(connection)).after(connection, 0, 5)
    assert row.model_name == "g\N{REPLACEMENT CHARACTER}p"


def test_what_a_driver_raises_by_itself_is_told_apart_too(sqlite_gateway: Database) -> None:
    """Rows are taken straight from it."""
    with pytest.raises(DatabaseError, match="interrupted") as caught, sqlite_gateway.connect():
        raise sqlite3.OperationalError("interrupted")
    assert caught.value.fault is Fault.TIMEOUT


def test_a_time_that_is_no_number_is_read(sqlite_gateway: Database) -> None:
    run(sqlite_gateway, "INSERT INTO logs (created_at, type) VALUES ('yesterday', 2)")
    with sqlite_gateway.connect() as connection:
        table = LogTable(inspect(connection))
        assert table.newest(connection) == (1, 0)


def test_a_reader_of_sqlite_cannot_write(tmp_path: Path) -> None:
    url = parse_dsn(f"sqlite:///{tmp_path}/one-api.db")
    create(url)
    reader = Database(url)
    with pytest.raises(DatabaseError, match="readonly"), reader.connect() as connection:
        connection.execute(text("DELETE FROM logs"))
    reader.close()


def test_a_postgresql_without_an_encoding_is_read(postgres: Postgres) -> None:
    """What initdb makes where the machine has no locale."""
    postgres.execute("CREATE DATABASE bare ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    with gateway_at(postgres.url("bare")) as database:
        put(database, "logs", {"created_at": NOW, "type": 2, "model_name": "模型"})
        run(
            database,
            "INSERT INTO logs (created_at, type, model_name)"
            " VALUES (1, 2, convert_from('\\x67ff70', 'SQL_ASCII'))",
        )
        with database.connect() as connection:
            rows = LogTable(inspect(connection)).after(connection, 0, 5)
    assert [row.model_name for row in rows] == ["模型", "g\N{REPLACEMENT CHARACTER}p"]
    postgres.drop_database("bare")


@pytest.mark.parametrize("kind", ["mariadb", "postgres"])
def test_a_server_that_says_nothing_more_is_given_up(
    request: pytest.FixtureRequest, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one whose disk hangs: its kernel still answers for it."""
    monkeypatch.setattr("newapi.engine.PATIENCE", 0.5)
    server: MariaDB | Postgres = request.getfixturevalue(kind)
    database = Database(parse_dsn(server.create_database("silent")), statement_timeout=1)
    with database.connect() as connection:
        with server.frozen():
            began = time.monotonic()
            with pytest.raises(DBAPIError):
                connection.execute(text("SELECT 1"))
            assert time.monotonic() - began < 20
        assert connection.invalidated
    with database.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    database.close()
    server.drop_database("silent")


def test_a_postgresql_whose_host_is_gone_is_noticed(postgres: Postgres) -> None:
    dsn = postgres.create_database("gone")
    for query, idle in (("", "5"), ("?keepalives_idle=60", "60")):
        database = Database(parse_dsn(f"{dsn}{query}"))
        with database.connect() as connection:
            driver: Any = connection.connection.driver_connection
            options = {o.keyword.decode(): o.val for o in driver.pgconn.info}
        assert options["keepalives_idle"] == idle.encode()
        assert options["tcp_user_timeout"] == b"11000"
        database.close()
    postgres.drop_database("gone")


@pytest.mark.parametrize("gateway_url", ["mariadb", "postgres"], indirect=True)
def test_an_error_tells_nothing_of_the_row(gateway: Database, gateway_url: str) -> None:
    """PostgreSQL adds the row that a constraint refused, with the channel's key in it."""
    row = {"id": 7, "key": "sk-of-the-channel", "name": "n", "status": 1}
    put(gateway, "channels", row | {"group": "default", "models": "m"})
    run(gateway, "ALTER TABLE channels ADD CONSTRAINT odd CHECK (status <> 2)")
    writer = Database(parse_dsn(gateway_url), writable=True)
    with pytest.raises(DatabaseError, match="odd") as caught, writer.begin() as connection:
        connection.execute(text("UPDATE channels SET status = 2 WHERE id = 7"))
    writer.close()
    assert "sk-of-the-channel" not in str(caught.value)


@pytest.mark.parametrize("form", ["root:geheim@tcp({}:9)/db", "postgres://root:geheim@{}:9/db"])
@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid", "a..b", "x" * 70])
def test_a_host_that_is_not_there_is_said_in_one_line(form: str, host: str) -> None:
    database = Database(parse_dsn(form.format(host)))
    with pytest.raises(DatabaseError) as caught, database.connect():
        pytest.fail("nobody listens there")
    assert caught.value.fault is Fault.UNREACHABLE
    assert str(caught.value).startswith(f"{database.name}: ")
    assert "\n" not in str(caught.value)
    assert "geheim" not in str(caught.value)
    database.close()


SLOW = {
    "mysql": "SELECT COUNT(*) FROM logs a, logs b, logs c, logs d, logs e",
    "postgresql": "SELECT pg_sleep(30)",
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT MAX(i) FROM n",
}


def test_a_statement_that_takes_too_long_is_ended(gateway: Database, gateway_url: str) -> None:
    put(gateway, "logs", *({"created_at": NOW, "type": 2} for _ in range(100)))
    database = Database(parse_dsn(gateway_url), statement_timeout=0.3)
    began = time.monotonic()
    with pytest.raises(DatabaseError) as caught, database.connect() as connection:
        connection.execute(text(SLOW[database.dialect])).fetchall()
    assert caught.value.fault is Fault.TIMEOUT
    assert time.monotonic() - began < 5
    with database.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    database.close()


READER = {
    "channels": "id, name, type, status, balance, used_quota",
    "tokens": "id, name, user_id, status, expired_time, remain_quota, unlimited_quota",
    "users": "id, username, quota",
    "abilities": '"group", model, channel_id, enabled',
    "options": '"key", value',
    "logs": "id, created_at, type, channel_id, model_name, quota, use_time, other",
}
"""Columns of an account that may not see more."""


def read_all(dsn: str) -> tuple[Schema, Inventory, Options, int]:
    database = Database(parse_dsn(dsn))
    with database.connect() as connection:
        schema = inspect(connection)
        found = read_inventory(connection, schema, schema.flavour, NOW)
        rows = LogTable(schema).after(connection, 0, 1000)
        result = schema, found, read_options(connection, inspect(connection)), len(rows)
    database.close()
    return result


@pytest.mark.parametrize("kind", ["mariadb", "postgres"])
def test_an_account_that_may_see_few_columns_is_enough(
    request: pytest.FixtureRequest, kind: str
) -> None:
    server: MariaDB | Postgres = request.getfixturevalue(kind)
    dsn = server.create_database("narrow")
    create(parse_dsn(dsn))
    load(parse_dsn(dsn), rows=50, sizes=SIZES)
    mark = '"' if kind == "postgres" else "`"
    grants = [
        "GRANT SELECT ({}) ON {} TO narrow".format(columns.replace('"', mark), table)
        for table, columns in READER.items()
    ]
    role = "CREATE ROLE narrow LOGIN" if kind == "postgres" else "CREATE USER narrow"
    server.execute(role, *grants, database="narrow")
    try:
        full = read_all(dsn)
        schema, found, opts, rows = read_all(re.sub(r"//\w+@", "//narrow@", dsn))
        assert not schema.has("channels", "key")
        assert not schema.has("logs", "token_id")
        assert rows == full[3] == 50
        assert opts == full[2]
        assert [c.name for c in found.channels] == [c.name for c in full[1].channels]
        assert [k.status for k in found.api_keys] == [k.status for k in full[1].api_keys]
        assert found.enabled_channels == full[1].enabled_channels
        assert {c.group for c in found.channels} == {""}
    finally:
        server.drop_database("narrow")
        server.execute("DROP USER narrow")


@pytest.mark.parametrize("dsn", ["u:secret@tcp(db.invalid)/x", "postgres://u:secret@db.invalid/x"])
def test_a_host_that_is_not_known_leads_to_the_network_of_the_gateway(dsn: str) -> None:
    database = Database(parse_dsn(dsn))
    with pytest.raises(DatabaseError) as caught, database.connect():
        pass
    database.close()
    line = str(caught.value)
    assert caught.value.fault is Fault.UNREACHABLE
    assert "db.invalid" in line
    assert "may exist only in the gateway's Docker network" in line
    assert "set GATEWAY_NETWORK" in line
    assert "secret" not in line
