"""A log table of a million rows within seconds: the database makes them itself."""

from sqlalchemy import inspect, text

from newapi.database import Database
from newapi.rows import LogType

OTHER = (
    '{"admin_info":{"use_channel":["7"]},"cache_ratio":0.1,"cache_tokens":5,"completion_ratio":4,'
    '"frt":250,"group_ratio":1,"model_price":-1,"model_ratio":2.5,"user_group_ratio":-1}'
)
"""As New API writes it for a stream."""

MANAGE = 3
"""A type of rows that the exporter reads and does not count."""

READ_BY = (["created_at", "type"], ["request_id"])
"""The columns of the indexes that the exporter reads by, besides the primary key."""


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
) -> None:
    """Insert rows of 30 channels, 20 models, 500 API keys and 50 users.

    Args:
        database: writable, with a gateway's tables, and time for it.
        rows: how many.
        start: unix seconds at which the first was created.
        per_second: rows that were created in the same second.
        first: the id of the first.
        kind: their type; failed attempts get a request id each.
        other: what they hold.
        apart: from one id to the next.
    """
    mysql = database.dialect == "mysql"
    divide = "DIV" if mysql else "/"
    columns = {
        "id": f"{first} + i * {apart}",
        "user_id": "1 + i % 50",
        "created_at": f"{start} + i {divide} {per_second}",
        "type": str(kind),
        "quota": "i % 1000",
        "prompt_tokens": "i % 700",
        "completion_tokens": "i % 300",
        "use_time": "i % 40",
        "is_stream": "i % 2 = 0",
        "channel_id": "1 + i % 30",
        "token_id": "1 + i % 500",
        "token_name": "'key'",
        "model_name": _joined(mysql, "model-", "i % 20"),
        "request_id": _joined(mysql, "r", f"{first} + i") if kind == LogType.ERROR else "''",
        "other": ":other",
    }
    statement = f"INSERT INTO logs ({', '.join(columns)}) SELECT {', '.join(columns.values())} FROM"
    with database.begin() as connection:
        connection.execute(text(f"{statement} (SELECT 0 AS i) n"), {"other": other})
        done = 1
        while done < rows:  # each round doubles them
            more = min(done, rows - done)
            source = (
                f"(SELECT (id - {first}) {divide} {apart} + {done} AS i FROM logs"
                f" WHERE id BETWEEN {first} AND {first + (more - 1) * apart}) n"
            )
            connection.execute(text(f"{statement} {source}"), {"other": other})
            done += more


def _joined(mysql: bool, text: str, number: str) -> str:
    return f"CONCAT('{text}', {number})" if mysql else f"'{text}' || ({number})"


def drop_unread_indexes(database: Database) -> None:
    """Drop the indexes of the log table that only make a million rows slow to insert."""
    with database.begin() as connection:
        for index in inspect(connection).get_indexes("logs"):
            if index["column_names"] not in READ_BY:
                where = " ON logs" if database.dialect == "mysql" else ""
                connection.execute(text(f"DROP INDEX {index['name']}{where}"))
