"""The gateways' own tables, as their AutoMigrate makes them, in an empty database."""

from importlib.resources import files
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.engine import URL

from newapi.database import Database, DatabaseError, Fault
from newapi.schema import Flavour, inspect

_FILES = {"mysql": "mysql", "postgresql": "postgres", "sqlite": "sqlite"}
_PREFIXES = {Flavour.NEW_API: "newapi", Flavour.ONE_API: "oneapi"}


def ddl(dialect: str, flavour: Flavour) -> list[str]:
    """Give the statements that make a gateway's tables and indexes.

    Args:
        dialect: mysql, postgresql or sqlite.
        flavour: whose tables.
    """
    name = f"{_PREFIXES[flavour]}-{_FILES[dialect]}.sql"
    statements = (files("demo") / "ddl" / name).read_text(encoding="utf-8").split(";")
    return [statement.strip() for statement in statements if statement.strip()]


def create(url: URL, flavour: Flavour = Flavour.NEW_API) -> None:
    """Create the tables in an existing, empty database; a SQLite file is created as well.

    Raises:
        DatabaseError: it cannot be reached, holds such tables already, or (MySQL) has a
            character set that the gateway refuses too (model/main.go checkMySQLChineseSupport).
    """
    if url.get_backend_name() == "sqlite":
        Path(url.database or "").touch()
    database = Database(url, statement_timeout=60, writable=True)
    try:
        with database.begin() as connection:
            if found := sorted(inspect(connection).columns):
                raise DatabaseError(
                    Fault.OTHER, f"{database.name}: not empty, it has {', '.join(found)}"
                )
            _require_unicode(connection, database.name)
            for statement in ddl(database.dialect, flavour):
                connection.exec_driver_sql(statement)
    finally:
        database.close()


def _require_unicode(connection: Connection, name: str) -> None:
    if connection.dialect.name in {"mysql", "mariadb"}:
        charset = connection.execute(text("SELECT @@character_set_database")).scalar_one()
        if charset != "utf8mb4":
            raise DatabaseError(
                Fault.OTHER, f"{name}: its character set is {charset}, expected utf8mb4"
            )
