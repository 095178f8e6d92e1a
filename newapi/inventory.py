"""Reads of what the gateway has: channels, API keys, users, and who can serve which model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    and_,
    case,
    column,
    func,
    null,
    select,
    table,
)

from newapi.providers import provider
from newapi.rows import UnreadableError, integer
from newapi.schema import Flavour, Schema

CHANNEL_STATUS = {1: "enabled", 2: "manually_disabled", 3: "auto_disabled"}
"""channels.status (New API common/constants.go, One API model/channel.go)."""

COLUMNS = {
    "channels": ("id", "name", "type", "group", "tag", "status", "response_time", "balance",
                 "balance_updated_time", "used_quota", "test_time"),
    "tokens": ("id", "name", "user_id", "group", "status", "remain_quota", "used_quota",
               "unlimited_quota", "expired_time", "accessed_time"),
    "users": ("id", "username", "group", "status", "quota", "used_quota"),
    "abilities": ("group", "model", "channel_id", "enabled"),
}  # fmt: skip
"""What is read of each table; where a table has deleted_at, that too."""

_USER_STATUS = {1: "enabled", 2: "disabled", 3: "deleted"}
"""users.status; only One API keeps those that were deleted."""

_KEY_STATUS = {2: "disabled", 3: "expired", 4: "exhausted"}


@dataclass(frozen=True)
class Channel:
    """An upstream account. Times in unix seconds, 0 = never; balance as the provider tells it."""

    id: int
    name: str
    provider: str
    group: str
    tag: str
    status: str
    response_time: float
    """Seconds, of the last channel test."""
    balance: float
    balance_read_at: int
    """When the provider was last asked for it."""
    used_quota: int
    tested_at: int


@dataclass(frozen=True)
class ApiKey:
    """What the gateway calls a token. Quota in the gateway's units, times in unix seconds."""

    id: int
    name: str
    user_id: int
    username: str
    group: str
    status: str
    remaining_quota: int
    used_quota: int
    unlimited: bool
    expires_at: int
    """-1 = never."""
    used_at: int


@dataclass(frozen=True)
class User:
    """An account of the gateway. Quota in the gateway's units."""

    id: int
    name: str
    group: str
    status: str
    """Empty where it is missing or not granted."""
    remaining_quota: int
    used_quota: int


@dataclass(frozen=True)
class Inventory:
    """Everything that exists in the gateway at one moment."""

    channels: tuple[Channel, ...]
    api_keys: tuple[ApiKey, ...]
    users: tuple[User, ...]
    enabled_channels: Mapping[tuple[str, str], int]
    """By (model, group): channels that can serve it: enabled in both tables."""


def read_inventory(
    connection: Connection, schema: Schema, flavour: Flavour, now: float
) -> Inventory:
    """Read channels, API keys, users and abilities; `now` (unix seconds) tells expired keys.

    Raises:
        DatabaseError: a table or its id is missing or not granted.
    """
    for name in ("channels", "tokens", "users", "abilities"):
        schema.require(name)
    users = _users(connection, schema)
    names = {user.id: user.name for user in users}
    return Inventory(
        _channels(connection, schema, flavour),
        _api_keys(connection, schema, names, now),
        users,
        _enabled_channels(connection),
    )


def _channels(connection: Connection, schema: Schema, flavour: Flavour) -> tuple[Channel, ...]:
    rows = _read(connection, schema, "channels")
    return tuple(
        Channel(
            id=_int(row["id"]),
            name=_text(row["name"]),
            provider=provider(_int(row["type"]), flavour),
            group=_text(row["group"]),
            tag=_text(row["tag"]),
            status=CHANNEL_STATUS.get(_int(row["status"]), "unknown"),
            response_time=_int(row["response_time"]) / 1000,
            balance=_float(row["balance"]),
            balance_read_at=_int(row["balance_updated_time"]),
            used_quota=_int(row["used_quota"]),
            tested_at=_int(row["test_time"]),
        )
        for row in rows
    )


def _api_keys(
    connection: Connection, schema: Schema, usernames: Mapping[int, str], now: float
) -> tuple[ApiKey, ...]:
    rows = _read(connection, schema, "tokens")
    return tuple(
        ApiKey(
            id=_int(row["id"]),
            name=_text(row["name"]),
            user_id=_int(row["user_id"]),
            username=usernames.get(_int(row["user_id"]), ""),
            group=_text(row["group"]),
            status=_key_status(row, now),
            remaining_quota=_int(row["remain_quota"]),
            used_quota=_int(row["used_quota"]),
            unlimited=bool(row["unlimited_quota"]),
            expires_at=_int(row["expired_time"]),
            used_at=_int(row["accessed_time"]),
        )
        for row in rows
    )


def _users(connection: Connection, schema: Schema) -> tuple[User, ...]:
    rows = _read(connection, schema, "users")
    return tuple(
        User(
            id=_int(row["id"]),
            name=_text(row["username"]),
            group=_text(row["group"]),
            status=_user_status(row["status"]),
            remaining_quota=_int(row["quota"]),
            used_quota=_int(row["used_quota"]),
        )
        for row in rows
    )


def _enabled_channels(connection: Connection) -> dict[tuple[str, str], int]:
    """Count by (model, group) the channels that both routing modes would use.

    Without a memory cache New API reads abilities alone, with one the status of channels alone
    (model/ability.go, model/channel_cache.go, v1.0.0-rc.24).
    """
    abilities = table(
        "abilities", *map(column, ("group", "model", "channel_id")), column("enabled", Boolean)
    )
    channels = table("channels", column("id"), column("status"))
    serving = and_(abilities.c.enabled, channels.c.status == 1)
    count = func.sum(case((serving, 1), else_=0))
    statement = (
        select(abilities.c.model, abilities.c.group, count)
        .select_from(abilities.outerjoin(channels, abilities.c.channel_id == channels.c.id))
        .group_by(abilities.c.model, abilities.c.group)
    )
    return {(_text(m), _text(g)): int(n) for m, g, n in connection.execute(statement)}


def _read(connection: Connection, schema: Schema, name: str) -> list[dict[str, Any]]:
    """Read COLUMNS of a table, NULL for those that it lacks, without deleted rows."""
    schema.require(name, "id")
    chosen: list[ColumnElement[Any]] = [
        column(c) if schema.has(name, c) else null().label(c) for c in COLUMNS[name]
    ]
    statement = select(*chosen).select_from(table(name)).order_by(column("id"))
    if schema.has(name, "deleted_at"):
        statement = statement.where(column("deleted_at").is_(None))
    return [dict(row) for row in connection.execute(statement).mappings()]


def _key_status(row: Mapping[str, Any], now: float) -> str:
    """Tell the state of a key; 3 and 4 are written lazily on use, so time and quota count too."""
    status = _int(row["status"])
    if status != 1:
        return _KEY_STATUS.get(status, "disabled")
    if row["expired_time"] is not None and -1 != _int(row["expired_time"]) < now:
        return "expired"
    if not row["unlimited_quota"] and _int(row["remain_quota"]) <= 0:
        return "exhausted"
    return "enabled"


def _user_status(value: object) -> str:
    return "" if value is None else _USER_STATUS.get(_int(value), "disabled")


def _int(value: object) -> int:
    try:
        return integer(value)
    except UnreadableError:
        return 0


def _float(value: object) -> float:
    try:
        return float(str(value or 0))
    except ValueError:
        return 0.0


def _text(value: object) -> str:
    return "" if value is None else str(value)
