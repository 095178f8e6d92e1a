"""What the exporter's accounts may do, said once when they can be asked."""

import logging
from collections.abc import Sequence

from newapi import inventory
from newapi.database import Database, DatabaseError
from newapi.logs import columns_of
from newapi.rights import Columns, excess, grants, look
from newapi.schema import OPTIONS_VIEW, Schema, inspect

log = logging.getLogger(__name__)


class Account:
    """The account of one database: what it may do beyond reading, and what it may not read.

    Args:
        database: that is read.
        holds_logs: whether it has the log table.
        holds_inventory: whether it has the other tables.
    """

    def __init__(self, database: Database, *, holds_logs: bool, holds_inventory: bool) -> None:
        self._database = database
        self._holds_logs = holds_logs
        self._holds_inventory = holds_inventory
        self._looked = False

    def look(self) -> None:
        """Log what is too much and what is missing; again next time where it cannot be asked."""
        if self._looked:
            return
        try:
            with self._database.connect() as connection:
                schema, rights = inspect(connection), look(connection)
            needed = self._needed(schema)
        except DatabaseError:  # the readings say it
            return
        self._looked = True
        if too_much := excess(rights, {}):
            log.warning(
                "%s: this account may do more than the exporter needs: %s; deploy/grants has the"
                " SQL for one that may not", self._database.name, too_much,
            )  # fmt: skip
        lacking = grants(rights, needed, {})
        if lacking:
            log.warning("%s: not granted: %s", self._database.name, "; ".join(lacking))
        if unseen := sorted(_unseen(schema, needed) - rights.refused):
            log.info("%s: missing or not granted: %s", self._database.name, ", ".join(unseen))

    def _needed(self, schema: Schema) -> Columns:
        needed: dict[str, Sequence[str]] = {}
        if self._holds_logs:
            needed["logs"] = columns_of(schema.flavour)
        if self._holds_inventory:
            options = OPTIONS_VIEW if schema.has(OPTIONS_VIEW, "value") else "options"
            needed |= {**inventory.COLUMNS, options: ("key", "value")}
        return needed


def _unseen(schema: Schema, needed: Columns) -> set[str]:
    return {
        f"{table}.{column}"
        for table, columns in needed.items()
        for column in columns
        if not schema.has(table, column)
    }
