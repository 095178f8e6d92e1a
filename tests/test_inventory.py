"""What a gateway has and what its log holds, read from real databases of both flavours."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.load import prepare
from demo.world import Sizes
from newapi.database import Database
from newapi.inventory import Inventory, read_inventory
from newapi.options import DEFAULTS, SWITCHES, Options, read_options
from newapi.schema import Flavour, inspect
from tests.gateway import gateway_at, put, run

NOW = 1_800_000_000
SIZES = Sizes(channels=5, keys=8, users=4)
FLAVOURS = pytest.mark.parametrize("flavour", list(Flavour))


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


def inventory(database: Database, now: float = NOW) -> Inventory:
    with database.connect() as connection:
        schema = inspect(connection)
        return read_inventory(connection, schema, schema.flavour, now)


def options(database: Database) -> Options:
    with database.connect() as connection:
        return read_options(connection, inspect(connection))


@FLAVOURS
def test_everything_that_the_gateway_has_is_read(gateway_url: str, flavour: Flavour) -> None:
    with gateway_at(gateway_url, flavour) as database:
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


def test_a_channel_serves_a_model_where_both_tables_say_so(gateway: Database) -> None:
    channels = [
        {"id": number, "key": "k", "name": f"c{number}", "status": status}
        for number, status in ((1, 1), (2, 1), (3, 2), (4, 3), (5, 7))
    ]
    put(gateway, "channels", *channels)
    abilities = [
        {"group": "vip", "model": "o3", "channel_id": channel, "enabled": enabled}
        for channel, enabled in ((1, True), (2, False), (3, True), (4, True), (9, True))
    ]
    abilities.append({"group": "default", "model": "o3", "channel_id": 3, "enabled": True})
    put(gateway, "abilities", *abilities)
    found = inventory(gateway)
    assert found.enabled_channels == {("o3", "vip"): 1, ("o3", "default"): 0}
    assert [c.status for c in found.channels] == [
        "enabled", "enabled", "manually_disabled", "auto_disabled", "unknown",
    ]  # fmt: skip


def test_rows_of_nulls_and_odd_values_are_read(gateway: Database) -> None:
    put(gateway, "channels", {"id": 7, "key": "k", "type": 4711})
    names = "name, type, tag, status, response_time, balance, used_quota, test_time"
    nulls = ", ".join(f"{name} = NULL" for name in names.split(", ") if name != "type")
    run(gateway, f"UPDATE channels SET {nulls}")
    put(gateway, "users", {"id": 3, "password": "p", "username": "甲 <b>", "auth_version": 1})
    put(gateway, "tokens", {"id": 5, "user_id": 99, "key": "sk-1"})
    run(gateway, "UPDATE tokens SET name = NULL, unlimited_quota = NULL, accessed_time = NULL")
    found = inventory(gateway)
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


def test_the_status_of_users(sqlite_gateway: Database) -> None:
    for number, status in enumerate((1, 2, 3, None), start=1):
        row = {"id": number, "password": "p", "username": f"u{number}", "auth_version": 1}
        put(sqlite_gateway, "users", {**row, "aff_code": f"{number}", "status": status})
    found = [user.status for user in inventory(sqlite_gateway).users]
    assert found == ["enabled", "disabled", "deleted", ""]


def test_what_was_deleted_in_the_gateway_is_not_there(gateway: Database) -> None:
    prepare(gateway, 1, NOW, SIZES)
    run(
        gateway,
        "UPDATE tokens SET deleted_at = '2026-01-01 00:00:00' WHERE id = 2",
        "UPDATE users SET deleted_at = '2026-01-01 00:00:00' WHERE id = 3",
        "DELETE FROM channels WHERE id = 4",
    )
    found = inventory(gateway)
    assert 2 not in [key.id for key in found.api_keys]
    assert 3 not in [user.id for user in found.users]
    assert 4 not in [channel.id for channel in found.channels]
    assert len(found.api_keys) == SIZES.keys - 1


def test_options_have_the_gateways_defaults_until_they_are_saved(gateway: Database) -> None:
    assert options(gateway).values == DEFAULTS
    assert options(gateway).enabled("LogConsumeEnabled")
    put(
        gateway,
        "options",
        {"key": "QuotaPerUnit", "value": "1000"},
        {"key": "LogConsumeEnabled", "value": "false"},
        {"key": "SMTPToken", "value": "geheim"},
    )
    found = options(gateway)
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
