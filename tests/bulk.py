"""A log table of a million rows within seconds: the database makes them itself."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import inspect, text

from newapi.database import Database
from newapi.rows import LogType

OTHER = (
    '{"admin_info":{"use_channel":["7"]},"cache_ratio":0.1,"cache_tokens":5,"completion_ratio":4,'
    '"frt":250,"group_ratio":1,"model_price":-1,"model_ratio":2.5,"user_group_ratio":-1}'
)
"""As New API writes it for a stream."""

FAILURE = "status_code=429, the upstream is overloaded, try again later"

MANAGE = 3
"""A type of rows that the exporter reads and does not count."""

READ_BY = (["created_at", "type"], ["request_id"])
"""The columns of the indexes that the exporter reads by, besides the primary key."""


@dataclass(frozen=True)
class Spread:
    """What rows are of, in turn.

    Attributes:
        channels, models, keys, users: how many there are.
        each_model: rows in sequence that are of the same model; so many as channels, and each
            channel has every model.
        failed: one row in so many is a failure, with its message; 0: none.
    """

    channels: int = 30
    models: int = 20
    keys: int = 500
    users: int = 50
    each_model: int = 1
    failed: int = 0


def fill(
    database: Database,
    rows: int,
    *,
    start: int,
    per_second: int = 1000,
    first: int = 1,
    kind: int = LogType.CONSUME,
    other: str = OTHER,
    apart: int = 1,
    spread: Spread = Spread(),
) -> None:
    """Insert rows.

    Args:
        database: writable, with a gateway's tables, and time for it.
        rows: how many.
        start: unix seconds at which the first was created.
        per_second: rows that were created in the same second.
        first: the id of the first.
        kind: their type; failed attempts get a request id each.
        other: what they hold.
        apart: from one id to the next.
        spread: what they are of.
    """
    mysql = database.dialect == "mysql"
    divide = "DIV" if mysql else "/"
    model = f"(i {divide} {spread.each_model}) % {spread.models}"
    columns = {
        "id": f"{first} + i * {apart}",
        "user_id": f"1 + i % {spread.users}",
        "created_at": f"{start} + i {divide} {per_second}",
        "type": str(kind),
        "quota": "i % 1000",
        "prompt_tokens": "i % 700",
        "completion_tokens": "i % 300",
        "use_time": "i % 40",
        "is_stream": "i % 2 = 0",
        "channel_id": f"1 + i % {spread.channels}",
        "token_id": f"1 + i % {spread.keys}",
        "token_name": "'key'",
        "model_name": _joined(mysql, "model-", model),
        "request_id": _joined(mysql, "r", f"{first} + i") if kind == LogType.ERROR else "''",
        "other": ":other",
    }
    if spread.failed:
        fails = f"CASE WHEN i % {spread.failed} = 0 THEN"
        columns["type"] = f"{fails} {int(LogType.ERROR)} ELSE {kind} END"
        columns["content"] = f"{fails} :failure ELSE '' END"
    statement = f"INSERT INTO logs ({', '.join(columns)}) SELECT {', '.join(columns.values())} FROM"
    values = {"other": other} | ({"failure": FAILURE} if spread.failed else {})
    with database.begin() as connection:
        connection.execute(text(f"{statement} (SELECT 0 AS i) n"), values)
        done = 1
        while done < rows:  # each round doubles them
            more = min(done, rows - done)
            source = (
                f"(SELECT (id - {first}) {divide} {apart} + {done} AS i FROM logs"
                f" WHERE id BETWEEN {first} AND {first + (more - 1) * apart}) n"
            )
            connection.execute(text(f"{statement} {source}"), values)
            done += more


def _joined(mysql: bool, text: str, number: str) -> str:
    return f"CONCAT('{text}', {number})" if mysql else f"'{text}' || ({number})"


def drop_unread_indexes(database: Database) -> None:
    """Drop the indexes of the log table that only make a million rows slow to insert."""
    _drop_indexes(database, READ_BY)


def drop_indexes(database: Database) -> list[str]:
    """Drop all indexes of the log table; gives the statements that make them again."""
    dropped = _drop_indexes(database)
    return [f"CREATE INDEX {name} ON logs ({', '.join(names)})" for name, names in dropped.items()]


def _drop_indexes(database: Database, keep: Sequence[list[str]] = ()) -> dict[str, list[str]]:
    """Drop indexes; gives their names with those of their columns."""
    dropped: dict[str, list[str]] = {}
    with database.begin() as connection:
        quote = connection.dialect.identifier_preparer.quote
        for index in inspect(connection).get_indexes("logs"):
            name, names = str(index["name"]), [str(column) for column in index["column_names"]]
            if names not in keep:
                where = " ON logs" if database.dialect == "mysql" else ""
                connection.execute(text(f"DROP INDEX {name}{where}"))
                dropped[name] = [quote(column) for column in names]
    return dropped
