"""The inventory in the database: written once by the demo, read back by whoever makes traffic."""

import json
import random
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from demo import catalog
from demo.world import DAY, ENABLED, ApiKey, Channel, User, World
from newapi.schema import Flavour, inspect

OPTIONS = {
    "QuotaPerUnit": f"{catalog.QUOTA_PER_USD}",
    "RetryTimes": "3",
    "LogConsumeEnabled": "true",
    "AutomaticDisableChannelEnabled": "false",
    "AutomaticEnableChannelEnabled": "false",
    "GroupRatio": json.dumps(dict(catalog.GROUP_RATIOS)),
    # A secret, as the table really holds some: nobody but the gateway should read it.
    "SMTPToken": "demo-secret-that-must-not-leak",
}

NEW_API_OPTIONS = {
    "USDExchangeRate": f"{catalog.CNY_PER_USD}",
    "Price": f"{catalog.CNY_PER_USD}",
    "DataExportEnabled": "true",
    "general_setting.quota_display_type": "CNY",
    "monitor_setting.auto_test_channel_enabled": "true",
    "monitor_setting.auto_test_channel_minutes": "10",
}

Rows = Iterable[dict[str, Any]]


def install(connection: Connection, world: World, now: float) -> None:
    """Write an inventory into the tables of a gateway, which hold none yet.

    Args:
        connection: in a transaction of the caller's.
        world: what to write.
        now: unix seconds; channels, keys and users count as created before it.
    """
    schema = inspect(connection)
    new_api = world.flavour is Flavour.NEW_API
    options = OPTIONS | (NEW_API_OPTIONS if new_api else {})
    tables: dict[str, Rows] = {
        "channels": _channels(world, int(now), connection.dialect.name),
        "abilities": _abilities(world),
        "users": _users(world, int(now)),
        "tokens": _tokens(world, int(now)),
        "options": ({"key": key, "value": value} for key, value in options.items()),
    }
    for table, rows in tables.items():
        insert(connection, table, sorted(schema.columns[table]), list(rows))
    if connection.dialect.name == "postgresql":  # ids were given: the next one comes after them
        for table in ("channels", "users", "tokens"):
            connection.execute(
                text(f"SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))")  # noqa: S608
            )


def insert(
    connection: Connection, table: str, columns: Sequence[str], rows: Sequence[dict[str, Any]]
) -> None:
    """Insert rows, of which only what the table has a column for is written."""
    if not rows:
        return
    quote = connection.dialect.identifier_preparer.quote
    known = [column for column in columns if column in rows[0]]
    names = ", ".join(quote(column) for column in known)
    places = ", ".join(f":{column}" for column in known)
    statement = text(f"INSERT INTO {quote(table)} ({names}) VALUES ({places})")  # noqa: S608
    connection.execute(statement, [{column: row[column] for column in known} for row in rows])


def _channels(world: World, now: int, dialect: str) -> Rows:
    rng = random.Random("response times")
    for channel in world.channels:
        size = 3 if channel.multi_key else 0
        info: str | bytes = json.dumps(
            {
                "is_multi_key": channel.multi_key,
                "multi_key_size": size,
                "multi_key_status_list": {},
                "multi_key_polling_index": 0,
                "multi_key_mode": "random" if channel.multi_key else "",
            }
        )
        if dialect == "sqlite":  # where the gateway's driver stores it as a BLOB
            info = str(info).encode()
        disabled = {"status_reason": "停用", "status_time": now - 20 * DAY}
        yield {
            "id": channel.id,
            "type": channel.type,
            "key": "\n".join(f"sk-demo-upstream-{channel.id:04d}-{n}" for n in range(max(1, size))),
            "test_model": "",
            "status": channel.status,
            "name": channel.name,
            "weight": channel.weight,
            "created_time": now - 90 * DAY,
            "test_time": now - rng.randrange(60, 600),
            "response_time": rng.randrange(400, 3000),
            "base_url": channel.base_url,
            "other": "",
            "balance": channel.balance,
            "balance_updated_time": now - rng.randrange(600, 3600) if channel.balance else 0,
            "models": ",".join(channel.models),
            "group": ",".join(channel.groups),
            "used_quota": 0,
            "model_mapping": "",
            "priority": channel.priority,
            "auto_ban": 1,
            "other_info": json.dumps(disabled) if channel.status != ENABLED else "",
            "tag": channel.tag,
            "setting": "",
            "channel_info": info,
            "settings": "",
            "config": "",
        }


def _abilities(world: World) -> Rows:
    for channel in world.channels:
        for group in channel.groups:
            for model in channel.models:
                yield {
                    "group": group,
                    "model": model,
                    "channel_id": channel.id,
                    "enabled": channel.status == ENABLED,
                    "priority": channel.priority,
                    "weight": channel.weight,
                    "tag": channel.tag,
                }


def _users(world: World, now: int) -> Rows:
    for user in world.users:
        yield {
            "id": user.id,
            "username": user.username,
            "password": "demo: nobody can log in",
            "display_name": user.username,
            "role": user.role,
            "status": ENABLED,
            "email": f"user{user.id}@demo.example",
            "quota": user.quota,
            "used_quota": 0,
            "request_count": 0,
            "group": user.group,
            "aff_code": f"d{user.id:05d}",
            "created_at": now - 60 * DAY,
            "auth_version": 1,
        }


def _tokens(world: World, now: int) -> Rows:
    for key in world.keys:
        yield {
            "id": key.id,
            "user_id": key.user_id,
            "key": f"sk-demo-{key.id:040d}",
            "status": key.status,
            "name": key.name,
            "created_time": now - 60 * DAY,
            "accessed_time": now - 30 * DAY,
            "expired_time": key.expires,
            "remain_quota": key.remaining,
            "unlimited_quota": key.unlimited,
            "model_limits_enabled": False,
            "model_limits": "",
            "used_quota": 0,
            "group": key.group,
            "cross_group_retry": False,
        }


def read(connection: Connection) -> World:
    """Read the inventory of a gateway, whoever wrote it."""
    schema = inspect(connection)
    flavour = schema.flavour
    alive = "deleted_at" if schema.has("tokens", "deleted_at") else ""
    return World(
        flavour,
        tuple(_read_channel(row) for row in _all(connection, "channels")),
        tuple(
            User(row["id"], row["username"], row["role"], row["group"] or "default", row["quota"])
            for row in _all(connection, "users", alive)
        ),
        tuple(
            ApiKey(
                row["id"], row["user_id"], row["name"] or "", row.get("group") or "",
                row["status"], row["expired_time"], row["remain_quota"],
                bool(row["unlimited_quota"]),
            )
            for row in _all(connection, "tokens", alive)
        ),
    )  # fmt: skip


def _all(connection: Connection, table: str, alive: str = "") -> Iterable[RowMapping]:
    # SELECT * is all right here: the tables are the gateway's own, of either flavour.
    where = f" WHERE {alive} IS NULL" if alive else ""
    return connection.execute(text(f"SELECT * FROM {table}{where} ORDER BY id")).mappings()  # noqa: S608


def _read_channel(row: RowMapping) -> Channel:
    info = row.get("channel_info") or "{}"
    told = info if isinstance(info, dict) else json.loads(info)
    return Channel(
        id=row["id"],
        type=row["type"],
        name=row["name"] or "",
        models=tuple(name for name in (row["models"] or "").split(",") if name),
        groups=tuple(name for name in (row["group"] or "").split(",") if name),
        priority=row["priority"] or 0,
        weight=row["weight"] or 0,
        tag=row.get("tag") or "",
        status=row["status"],
        base_url=row["base_url"] or "",
        balance=float(row["balance"] or 0),
        multi_key=bool(told.get("is_multi_key")),
    )
