"""A gateway's tables in a real database, with rows that a test puts there."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import text

from demo.inventory import insert
from demo.schema import create
from newapi.database import Database
from newapi.dsn import parse_dsn
from newapi.schema import Flavour


@contextmanager
def gateway_at(dsn: str, flavour: Flavour = Flavour.NEW_API) -> Iterator[Database]:
    """Make the tables; gives the database, writable."""
    url = parse_dsn(dsn)
    create(url, flavour)
    database = Database(url, writable=True)
    try:
        yield database
    finally:
        database.close()


def put(database: Database, table: str, *rows: dict[str, Any]) -> None:
    """Insert rows; what they do not name is as the gateway's defaults are."""
    with database.begin() as connection:
        for row in rows:
            insert(connection, table, list(row), [row])


def run(database: Database, *statements: str) -> None:
    """Carry out statements in one transaction."""
    with database.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
