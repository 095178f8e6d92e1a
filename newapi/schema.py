"""What the gateway's tables hold here: columns found by looking, and the flavour they tell."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, bindparam, text

from newapi.database import DatabaseError, Fault

TABLES = ("logs", "channels", "tokens", "users", "abilities", "options")
OPTIONS_VIEW = "monitor_options"
"""The view of the options that may be read, which deploy/grants makes."""

_COLUMNS = {
    "mysql": "SELECT table_name, column_name FROM information_schema.columns"
    " WHERE table_schema = DATABASE() AND table_name IN :tables",
    "postgresql": "SELECT table_name, column_name FROM information_schema.columns"
    " WHERE table_schema = ANY (current_schemas(false)) AND table_name IN :tables",
    "sqlite": "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c"
    " WHERE m.type = 'table' AND m.name IN :tables",
}


class Flavour(StrEnum):
    """Which gateway wrote the log table."""

    NEW_API = "New API"
    ONE_API = "One API"


@dataclass(frozen=True)
class Schema:
    """The columns of the gateway's tables that this account may see."""

    columns: Mapping[str, frozenset[str]]
    dialect: str
    """mysql, postgresql or sqlite; MariaDB counts as mysql."""

    def has(self, table: str, column: str) -> bool:
        """Tell whether a column is there and granted."""
        return column in self.columns.get(table, frozenset())

    def require(self, table: str, *columns: str) -> None:
        """Refuse a table that lacks one of these columns.

        Raises:
            DatabaseError: one is missing or not granted, which look the same.
        """
        if not self.columns.get(table):
            raise DatabaseError(Fault.MISSING, f"table {table} is missing or not granted")
        for column in columns:
            if not self.has(table, column):
                raise DatabaseError(
                    Fault.MISSING, f"column {table}.{column} is missing or not granted"
                )

    @property
    def flavour(self) -> Flavour:
        """The gateway that wrote the log table, told by how it stores latency.

        New API: use_time, seconds (model/log.go, since v0.1.3), possibly beside a leftover
        elapsed_time. One API: elapsed_time, milliseconds.

        Raises:
            DatabaseError: logs has neither column.
        """
        if self.has("logs", "use_time"):
            return Flavour.NEW_API
        if self.has("logs", "elapsed_time"):
            return Flavour.ONE_API
        self.require("logs")
        raise DatabaseError(
            Fault.MISSING, "column logs.use_time (New API) is missing or not granted"
        )


def inspect(connection: Connection) -> Schema:
    """Look up the columns of the gateway's tables."""
    statement = text(_COLUMNS[connection.dialect.name]).bindparams(
        bindparam("tables", (*TABLES, OPTIONS_VIEW), expanding=True)
    )
    columns: dict[str, set[str]] = {}
    for table, column in connection.execute(statement):
        columns.setdefault(table, set()).add(column)
    found = {table: frozenset(names) for table, names in columns.items()}
    return Schema(found, connection.dialect.name)
