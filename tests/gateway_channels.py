"""Channels and API keys in a gateway's tables: added, enabled by a person, and looked at."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy import Boolean, column, insert, select, table

from demo.schema import create
from newapi.database import Database
from newapi.dsn import parse_dsn
from newapi.schema import Flavour, Schema, inspect
from tests.gateway import put

GROUPS = ("default", "vip")
MODELS = ("gpt-4o", "claude-3")

_CHANNELS = table(
    "channels", *map(column, ("id", "key", "name", "status", "group", "models", "other_info"))
)
_TOKENS = table("tokens", column("id"), column("status"))
_ABILITIES = table(
    "abilities", column("group"), column("model"), column("channel_id"), column("enabled", Boolean)
)


class Tables(NamedTuple):
    """What both tables say of a channel."""

    status: int
    other_info: str | None
    enabled: list[bool]


def make_gateway(dsn: str, flavour: Flavour = Flavour.NEW_API) -> Database:
    """Create a gateway's tables."""
    url = parse_dsn(dsn)
    create(url, flavour)
    return Database(url, statement_timeout=5, writable=True)


@contextmanager
def gateway_with(
    dsn: str,
    channels: Iterable[int] = (),
    keys: Iterable[int] = (),
    flavour: Flavour = Flavour.NEW_API,
) -> Iterator[Database]:
    """Create a gateway's tables with these channels and API keys."""
    database = make_gateway(dsn, flavour)
    try:
        for number in channels:
            add_channel(database, number)
        for number in keys:
            add_key(database, number)
        yield database
    finally:
        database.close()


def add_channel(
    database: Database, number: int, *, status: int = 1, other_info: str | None = None
) -> None:
    """Add a channel with an ability for each group and model."""
    channel = {
        "id": number, "key": "sk-secret", "name": f"channel-{number}", "status": status,
        "group": ",".join(GROUPS), "models": ",".join(MODELS),
    }  # fmt: skip
    if other_info is not None:
        channel["other_info"] = other_info
    with database.begin() as connection:
        connection.execute(insert(_CHANNELS), [channel])
        connection.execute(
            insert(_ABILITIES),
            [
                {"group": group, "model": model, "channel_id": number, "enabled": status == 1}
                for group in GROUPS
                for model in MODELS
            ],
        )


def add_key(database: Database, number: int, **more: object) -> None:
    """Add an API key, of the group vip where keys have one (New API)."""
    row = {"id": number, "user_id": 1, "key": f"k{number}", "name": f"key-{number}", "status": 1}
    group = {"group": "vip"} if schema_of(database).has("tokens", "group") else {}
    put(database, "tokens", row | group | more)


def key_status(database: Database, number: int) -> int:
    """Read the status of an API key."""
    with database.connect() as connection:
        found = connection.execute(select(_TOKENS.c.status).where(_TOKENS.c.id == number))
        return int(found.scalar_one())


def enable(database: Database, number: int) -> None:
    """Enable a channel as a person does in the gateway."""
    with database.begin() as connection:
        connection.execute(_CHANNELS.update().where(_CHANNELS.c.id == number).values(status=1))
        connection.execute(
            _ABILITIES.update().where(_ABILITIES.c.channel_id == number).values(enabled=True)
        )


def tables(database: Database, number: int) -> Tables:
    """Read what both tables say of a channel."""
    with database.connect() as connection:
        wanted = [_CHANNELS.c.status]
        if schema_of(database).has("channels", "other_info"):
            wanted.append(_CHANNELS.c.other_info)
        row = connection.execute(select(*wanted).where(_CHANNELS.c.id == number)).one()
        enabled = connection.execute(
            select(_ABILITIES.c.enabled).where(_ABILITIES.c.channel_id == number)
        )
        return Tables(row[0], row[1] if len(row) > 1 else None, list(enabled.scalars()))


def schema_of(database: Database) -> Schema:
    """Inspect a database."""
    with database.connect() as connection:
        return inspect(connection)
