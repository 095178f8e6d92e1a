"""What the log table says about the requests of one channel or API key."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, case, column, func, select, table

from newapi.database import Database
from newapi.rows import TEST_NAME, LogType
from newapi.schema import Flavour, Schema
from newapi.switch import Kind

_LOGS = table(
    "logs",
    column("created_at", BigInteger),
    column("type", BigInteger),
    column("channel_id", BigInteger),
    column("token_id", BigInteger),
    column("token_name", Text),
    column("use_time", BigInteger),
    column("elapsed_time", BigInteger),
)

_COLUMNS = {Kind.CHANNEL: "channel_id", Kind.API_KEY: "token_id"}


@dataclass(frozen=True)
class Requests:
    """Requests of a channel or API key, channel tests left out."""

    last: int | None
    """When the last one ended, unix seconds; None where none did."""
    begun: int
    """How many began after the moment that was asked for."""


def requests_of(
    database: Database, schema: Schema, kind: Kind, number: int, *, since: int, begun_after: int
) -> Requests:
    """Look up the requests that ended at `since` or later, both in unix seconds.

    A row is written when a request ends (model/log.go of both); it began use_time (New API, whole
    seconds) or elapsed_time (One API, milliseconds) before. Failed attempts are requests too; One
    API logs none, and writes its tests under their type.

    Raises:
        DatabaseError: the database does not answer, or a column is missing or not granted.
    """
    name = _COLUMNS[kind]
    schema.require("logs", "created_at", "type", name)
    new_api = schema.flavour is Flavour.NEW_API
    took: ColumnElement[Any] = _LOGS.c.use_time if new_api else _LOGS.c.elapsed_time / 1000
    began = _LOGS.c.created_at - func.coalesce(took, 0)
    types = [LogType.CONSUME, LogType.ERROR] if new_api else [LogType.CONSUME]
    # Of a sum, since SQLite would walk through all that this channel ever did, and keep the gateway
    # from writing meanwhile.
    of: ColumnElement[Any] = _LOGS.c[name] + 0
    statement = select(
        func.max(_LOGS.c.created_at),
        func.sum(case((began > begun_after, 1), else_=0)),
    ).where(_LOGS.c.created_at >= since, _LOGS.c.type.in_(types), of == number)
    if schema.has("logs", "token_name"):
        statement = statement.where(func.coalesce(_LOGS.c.token_name, "") != TEST_NAME)
    with database.connect() as connection:
        last, begun = connection.execute(statement).one()
    return Requests(int(last) if last is not None else None, int(begun or 0))
