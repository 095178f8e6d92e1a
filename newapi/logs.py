"""Reads of the log table, by primary key and in small pieces."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Select,
    bindparam,
    case,
    column,
    null,
    select,
    table,
)
from sqlalchemy import func as sql

from newapi.packing import pack, unpack
from newapi.rows import INT64, LogRow, LogType
from newapi.schema import Flavour, Schema

PIECE = 1000
"""Rows of one statement by primary key: on SQLite the gateway cannot commit while it runs, and so
many take less than a commit."""

IDS = 100
"""Ids looked up by one statement. From 200 on, MySQL and MariaDB guess by the average of the index
(eq_range_index_dive_limit) and may read the whole table: in one that was upgraded nearly all rows
have the request id ''."""

_DURATION = {Flavour.NEW_API: "use_time", Flavour.ONE_API: "elapsed_time"}

_REQUIRED = ("id", "created_at", "type", "channel_id", "model_name", "quota")


def columns_of(flavour: Flavour) -> tuple[str, ...]:
    """Name the columns that are read, in the order of LogRow's fields."""
    return tuple(_DURATION[flavour] if name == "duration" else name for name in LogRow._fields)


class LogTable:
    """The log table of one gateway, whatever columns its age left it.

    Raises:
        DatabaseError: a column without which nothing can be counted is missing or not granted.
    """

    def __init__(self, schema: Schema) -> None:
        schema.require("logs", *_REQUIRED)
        self.flavour = schema.flavour
        self.tells_requests = schema.has("logs", "request_id")
        """Whether rows say which request they belong to."""
        self._id: ColumnElement[Any] = column("id", BigInteger)
        self._packs = schema.dialect == "mysql"
        self._rows = self._select(schema)
        self._after = (
            self._rows.where(self._id > bindparam("after"))
            .order_by(self._id)
            .limit(bindparam("rows", type_=Integer))
        )

    def after(self, connection: Connection, row_id: int, limit: int) -> list[LogRow]:
        """Read the first `limit` rows of every type above an id, in order of id."""
        return self._read(connection, self._after, {"after": row_id, "rows": limit})

    def within(self, connection: Connection, first: int, last: int, limit: int) -> list[LogRow]:
        """Read the first `limit` rows whose id is first..last, both included, in order of id."""
        statement = self._rows.where(self._id.between(first, last)).order_by(self._id).limit(limit)
        return self._read(connection, statement)

    def among(self, connection: Connection, ids: Iterable[int]) -> list[LogRow]:
        """Read the rows that have one of these ids."""
        rows: list[LogRow] = []
        for some in _batched(ids):
            statement = self._rows.where(self._id.in_(some)).order_by(self._id)
            rows.extend(self._read(connection, statement))
        return rows

    def since(
        self, connection: Connection, start: int, end: int, types: Sequence[int], limit: int
    ) -> list[LogRow]:
        """Read at most `limit` rows of these types with start <= created_at < end (unix seconds).

        The index (created_at, type) exists in every version of both gateways.
        """
        created_at: ColumnElement[Any] = column("created_at")
        kind: ColumnElement[Any] = column("type")
        chosen = self._rows.where(created_at >= start, created_at < end, kind.in_(types))
        return self._read(connection, chosen.limit(limit))

    def succeeded(self, connection: Connection, requests: Iterable[str]) -> set[str]:
        """Give those of these request ids that have a completed request."""
        return self._requests(connection, requests, LogType.CONSUME)

    def failed_after(
        self, connection: Connection, requests: Iterable[str], row_id: int
    ) -> set[str]:
        """Give those of these request ids that have a failed attempt above an id."""
        return self._requests(connection, requests, LogType.ERROR, above=row_id)

    def _requests(
        self, connection: Connection, requests: Iterable[str], kind: LogType, above: int = 0
    ) -> set[str]:
        request_id: ColumnElement[Any] = column("request_id")
        # Of sums: PostgreSQL, where it knows nothing of the table, would walk all of that type.
        of_kind, later = column("type", BigInteger) + 0 == kind.value, self._id + 0 > above
        found: set[str] = set()
        for some in _batched(requests):
            chosen = select(request_id).where(request_id.in_(some), of_kind, later)
            statement = chosen.select_from(table("logs"))
            found.update(map(str, connection.execute(statement).scalars()))
        return found

    def newest(self, connection: Connection) -> tuple[int, int]:
        """Give id and created_at of the row with the highest id; (0, 0) where there is none."""
        return self._end(connection, self._id.desc())

    def oldest(self, connection: Connection) -> tuple[int, int]:
        """Give id and created_at of the row with the lowest id; (0, 0) where there is none."""
        return self._end(connection, self._id.asc())

    def _end(self, connection: Connection, order: ColumnElement[Any]) -> tuple[int, int]:
        columns = select(self._id, column("created_at")).select_from(table("logs"))
        row = connection.execute(columns.order_by(order).limit(1)).fetchone()
        if row is None:
            return 0, 0
        return int(row[0]), row[1] if isinstance(row[1], int) else 0

    def first_between(self, connection: Connection, start: int, end: int) -> int | None:
        """Give the lowest id of the rows with start <= created_at < end (unix seconds), or None."""
        created_at: ColumnElement[Any] = column("created_at")
        # Of a sum, since SQLite and PostgreSQL would look for the lowest id itself by walking
        # through the primary key from its beginning.
        lowest: ColumnElement[Any] = sql.min(self._id + 0)
        within = (created_at >= start, created_at < end)
        statement = select(lowest).select_from(table("logs")).where(*within)
        row_id = connection.execute(statement).scalar()
        return None if row_id is None else int(row_id)

    def _select(self, schema: Schema) -> Select[Any]:
        columns: dict[str, ColumnElement[Any]] = {}
        for field, name in zip(LogRow._fields, columns_of(self.flavour), strict=True):
            present = schema.has("logs", name)
            columns[field] = column(name) if present else null().label(field)
        # Texts take long, and of most rows these two say nothing that is counted.
        has_key = columns["token_id"].between(1, INT64 - 1)
        failed = columns["type"] == LogType.ERROR.value
        columns["token_name"] = case((has_key, null()), else_=columns["token_name"])
        columns["request_id"] = case((failed, columns["request_id"]))
        chosen = list(columns.values())
        return select(*(pack(chosen) if self._packs else chosen)).select_from(table("logs"))

    def _read(
        self,
        connection: Connection,
        statement: Select[Any],
        values: Mapping[str, int] | None = None,
    ) -> list[LogRow]:
        result = connection.execute(statement, values)
        # Straight from the driver: its rows are tuples, for which SQLAlchemy's take as long again.
        found = result.cursor.fetchall()
        result.close()
        return list(map(unpack if self._packs else _log_row, found))


_log_row: Callable[[Any], LogRow] = partial(tuple.__new__, LogRow)
"""LogRow._make, in half the time: a driver's row has as many values as it was asked for."""

_Key = TypeVar("_Key", int, str)


def _batched(keys: Iterable[_Key]) -> Iterator[list[_Key]]:
    found = iter(keys)
    while some := list(islice(found, IDS)):
        yield some
