"""What a gateway has and what its log holds, read from real databases of both flavours."""

import time
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import Connection, text

from demo.inventory import insert
from demo.load import load, prepare
from demo.schema import create
from demo.world import Sizes
from newapi.database import Database, DatabaseError, Fault
from newapi.dsn import parse_dsn
from newapi.events import read_event
from newapi.inventory import Inventory, read_inventory
from newapi.logs import LogTable
from newapi.options import DEFAULTS, SWITCHES, Options, read_options
from newapi.rows import LogType
from newapi.schema import Flavour, Schema, inspect
from tests.servers import MariaDB, Postgres

NOW = 1_800_000_000
SIZES = Sizes(channels=5, keys=8, users=4)
FLAVOURS = pytest.mark.parametrize("flavour", list(Flavour))


@pytest.fixture
def gateway(gateway_url: str) -> Any:
    """Make a gateway's tables in the database; gives a connection's maker."""
    opened: list[Database] = []

    def make(flavour: Flavour = Flavour.NEW_API) -> Database:
        url = parse_dsn(gateway_url)
        create(url, flavour)
        opened.append(Database(url, statement_timeout=10, writable=True))
        return opened[-1]

    yield make
    for database in opened:
        database.close()


def put(database: Database, table: str, *rows: dict[str, Any]) -> None:
    with database.begin() as connection:
        for row in rows:
            insert(connection, table, list(row), [row])


def run(database: Database, *statements: str) -> None:
    with database.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def inventory(database: Database, now: float = NOW) -> Inventory:
    with database.connect() as connection:
        schema = inspect(connection)
        return read_inventory(connection, schema, schema.flavour, now)


def options(database: Database) -> Options:
    with database.connect() as connection:
        return read_options(connection)


def scalar(connection: Connection, sql: str) -> Any:
    return connection.execute(text(sql)).scalar_one()


@FLAVOURS
def test_everything_that_the_gateway_has_is_read(gateway: Any, flavour: Flavour) -> None:
    database = gateway(flavour)
    world = prepare(database, 1, NOW, SIZES)
    found = inventory(database)
    assert [(c.id, c.name, c.group, c.tag) for c in found.channels] == [
        (c.id, c.name, ",".join(c.groups), c.tag if flavour is Flavour.NEW_API else "")
        for c in world.channels
    ]
    assert [(c.status == "enabled", c.balance) for c in found.channels] == [
        (c.status == 1, c.balance) for c in world.channels
    ]
    assert not [c for c in found.channels if c.provider.startswith("type ")]
    names = {user.id: user.username for user in world.users}
    assert [(u.id, u.name, u.group, u.remaining_quota) for u in found.users] == [
        (u.id, u.username, u.group, u.quota) for u in world.users
    ]
    assert [(k.id, k.name, k.user_id, k.username) for k in found.api_keys] == [
        (k.id, k.name, k.user_id, names[k.user_id]) for k in world.keys
    ]
    assert [(k.expires_at, k.remaining_quota, k.unlimited) for k in found.api_keys] == [
        (k.expires, k.remaining, k.unlimited) for k in world.keys
    ]
    served = Counter(
        (model, group)
        for channel in world.channels
        if channel.status == 1
        for model in channel.models
        for group in channel.groups
    )
    assert {pair: n for pair, n in found.enabled_channels.items() if n} == served


def test_a_channel_serves_a_model_where_both_tables_say_so(gateway: Any) -> None:
    database = gateway()
    channels = [
        {"id": number, "key": "k", "name": f"c{number}", "status": status}
        for number, status in ((1, 1), (2, 1), (3, 2), (4, 3), (5, 7))
    ]
    put(database, "channels", *channels)
    abilities = [
        {"group": "vip", "model": "o3", "channel_id": channel, "enabled": enabled}
        for channel, enabled in ((1, True), (2, False), (3, True), (4, True), (9, True))
    ]
    abilities.append({"group": "default", "model": "o3", "channel_id": 3, "enabled": True})
    put(database, "abilities", *abilities)
    found = inventory(database)
    assert found.enabled_channels == {("o3", "vip"): 1, ("o3", "default"): 0}
    assert [c.status for c in found.channels] == [
        "enabled", "enabled", "manually_disabled", "auto_disabled", "unknown",
    ]  # fmt: skip


def test_rows_of_nulls_and_odd_values_are_read(gateway: Any) -> None:
    database = gateway()
    put(database, "channels", {"id": 7, "key": "k", "type": 4711})
    names = "name, type, tag, status, response_time, balance, used_quota, test_time"
    nulls = ", ".join(f"{name} = NULL" for name in names.split(", ") if name != "type")
    run(database, f"UPDATE channels SET {nulls}")
    put(database, "users", {"id": 3, "password": "p", "username": "甲 <b>", "auth_version": 1})
    put(database, "tokens", {"id": 5, "user_id": 99, "key": "sk-1"})
    run(database, "UPDATE tokens SET name = NULL, unlimited_quota = NULL, accessed_time = NULL")
    found = inventory(database)
    (channel,), (key,), (user,) = found.channels, found.api_keys, found.users
    assert (channel.name, channel.provider, channel.tag) == ("", "type 4711", "")
    assert (channel.status, channel.response_time, channel.balance) == ("unknown", 0, 0)
    assert (key.name, key.username, key.status, key.used_at) == ("", "", "exhausted", 0)
    assert user.name == "甲 <b>"


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"remain_quota": 5}, "enabled"),
        ({"remain_quota": 5, "expired_time": NOW}, "enabled"),
        ({"remain_quota": 5, "expired_time": NOW - 1}, "expired"),
        ({"remain_quota": 5, "expired_time": NOW + 1}, "enabled"),
        ({"remain_quota": 0}, "exhausted"),
        ({"remain_quota": -7}, "exhausted"),
        ({"remain_quota": 0, "unlimited_quota": True}, "enabled"),
        ({"remain_quota": 5, "status": 2}, "disabled"),
        ({"remain_quota": 5, "status": 3}, "expired"),
        ({"remain_quota": 5, "status": 4}, "exhausted"),
        ({"remain_quota": 0, "status": 2, "expired_time": 1}, "disabled"),
    ],
)
def test_the_state_of_a_key_is_told_before_the_gateway_writes_it(
    sqlite_gateway: Database, values: dict[str, Any], status: str
) -> None:
    put(sqlite_gateway, "tokens", {"id": 1, "user_id": 1, "key": "k", **values})
    assert inventory(sqlite_gateway).api_keys[0].status == status


@pytest.fixture
def sqlite_gateway(tmp_path: Any) -> Any:
    url = parse_dsn(f"sqlite:///{tmp_path}/one-api.db")
    create(url)
    database = Database(url, writable=True)
    yield database
    database.close()


def test_what_was_deleted_in_the_gateway_is_not_there(gateway: Any) -> None:
    database = gateway()
    prepare(database, 1, NOW, SIZES)
    run(
        database,
        "UPDATE tokens SET deleted_at = '2026-01-01 00:00:00' WHERE id = 2",
        "UPDATE users SET deleted_at = '2026-01-01 00:00:00' WHERE id = 3",
        "DELETE FROM channels WHERE id = 4",
    )
    found = inventory(database)
    assert 2 not in [key.id for key in found.api_keys]
    assert 3 not in [user.id for user in found.users]
    assert 4 not in [channel.id for channel in found.channels]
    assert len(found.api_keys) == SIZES.keys - 1


def test_options_have_the_gateways_defaults_until_they_are_saved(gateway: Any) -> None:
    database = gateway()
    assert options(database).values == DEFAULTS
    assert options(database).enabled("LogConsumeEnabled")
    put(
        database,
        "options",
        {"key": "QuotaPerUnit", "value": "1000"},
        {"key": "LogConsumeEnabled", "value": "false"},
        {"key": "SMTPToken", "value": "geheim"},
    )
    found = options(database)
    assert found.quota_per_usd == 1000
    assert not found.enabled("LogConsumeEnabled")
    assert found.values.keys() == DEFAULTS.keys() >= set(SWITCHES)
    assert "geheim" not in str(found)


@pytest.mark.parametrize("value", [None, "", "none", "0", "-5", "nan", "inf"])
def test_a_number_that_is_none_is_the_default(sqlite_gateway: Database, value: str | None) -> None:
    put(sqlite_gateway, "options", {"key": "QuotaPerUnit", "value": value})
    assert options(sqlite_gateway).quota_per_usd == 500_000


@pytest.mark.parametrize(
    ("saved", "currency"),
    [
        ({}, ("USD", 1.0)),
        ({"quota_display_type": "cny"}, ("CNY", 7.3)),
        ({"quota_display_type": "TOKENS"}, ("USD", 1.0)),
        ({"quota_display_type": "CUSTOM", "custom_currency_symbol": " € ",
          "custom_currency_exchange_rate": "0.9"}, ("€", 0.9)),
        ({"quota_display_type": "CUSTOM", "custom_currency_symbol": ""}, ("¤", 1.0)),
    ],
)  # fmt: skip
def test_the_currency_is_the_one_that_the_gateway_shows(
    sqlite_gateway: Database, saved: dict[str, str], currency: tuple[str, float]
) -> None:
    rows = [{"key": f"general_setting.{name}", "value": value} for name, value in saved.items()]
    put(sqlite_gateway, "options", *rows)
    assert options(sqlite_gateway).currency == currency


@FLAVOURS
def test_the_flavour_is_told_by_the_columns_of_the_log_table(
    gateway: Any, flavour: Flavour
) -> None:
    database = gateway(flavour)
    with database.connect() as connection:
        assert inspect(connection).flavour is flavour
    run(
        database,
        f"ALTER TABLE logs ADD {'elapsed_time' if flavour is Flavour.NEW_API else 'use_time'} bigint",
    )
    with database.connect() as connection:
        assert inspect(connection).flavour is Flavour.NEW_API


def test_a_table_or_column_that_is_missing_is_named(gateway: Any) -> None:
    database = gateway()
    run(database, "ALTER TABLE logs RENAME COLUMN use_time TO used_time")
    with database.connect() as connection:
        with pytest.raises(DatabaseError, match="column logs.use_time") as caught:
            _ = inspect(connection).flavour
        assert caught.value.fault is Fault.MISSING
    run(database, "DROP TABLE abilities")
    with database.connect() as connection:
        schema = inspect(connection)
        with pytest.raises(DatabaseError, match="table abilities is missing or not granted"):
            read_inventory(connection, schema, Flavour.NEW_API, NOW)


@FLAVOURS
def test_the_log_table_is_read_by_id_by_list_and_by_time(gateway: Any, flavour: Flavour) -> None:
    database = gateway(flavour)
    load(parse_dsn_of(database), rows=500, sizes=SIZES, start=NOW - 3600, end=NOW)
    with database.connect() as connection:
        schema = inspect(connection)
        table = LogTable(schema)
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
        assert sorted(found) == some
        quota = scalar(connection, "SELECT SUM(quota) FROM logs WHERE type = 2")
        events = [event for row in rows if (event := read_event(row, flavour)) is not None]
        assert not [event for event in events if event.adjusted]
        assert sum(e.quota for e in events if e.type is LogType.CONSUME) == quota
        assert {row.type for row in rows} > {1, 2}


def parse_dsn_of(database: Database) -> Any:
    return database._engine.url
