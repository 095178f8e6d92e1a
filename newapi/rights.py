"""What an account may do in the gateway's database, beside what it is there for.

Nothing is refused for it: what is missing shows when it is needed, and too much is the operator's
to decide. The SQL for accounts that may no more than they need is in deploy/grants.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, text

from newapi.schema import TABLES

SECRETS: Mapping[str, tuple[str, ...]] = {
    "channels": ("key",),
    "tokens": ("key",),
    "users": ("password", "access_token"),
    "options": ("value",),
}
"""Columns that no part of this project has to read: keys, passwords, and settings with secrets."""

Columns = Mapping[str, Collection[str]]
"""By table."""

_STATEMENTS = {
    "mysql": "SELECT table_name, column_name, privileges FROM information_schema.columns"
    " WHERE table_schema = DATABASE() AND table_name IN :tables",
    "postgresql": "SELECT c.relname, a.attname, concat_ws(',',"
    " CASE WHEN has_column_privilege(c.oid, a.attnum, 'SELECT') THEN 'select' END,"
    " CASE WHEN has_column_privilege(c.oid, a.attnum, 'INSERT') THEN 'insert' END,"
    " CASE WHEN has_column_privilege(c.oid, a.attnum, 'UPDATE') THEN 'update' END)"
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
    " WHERE n.nspname = ANY (current_schemas(false)) AND c.relname IN :tables",
}


@dataclass(frozen=True)
class Rights:
    """What an account may do with columns, each as table.column."""

    select: frozenset[str] = frozenset()
    insert: frozenset[str] = frozenset()
    update: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    """Columns that are there and may not be read; MySQL shows these only where another right on
    them was given."""


def look(connection: Connection) -> Rights:
    """Ask the database what this account may do; nothing on SQLite, which knows no accounts.

    Raises:
        DatabaseError: from the block that gives the connection.
    """
    statement = _STATEMENTS.get(connection.dialect.name)
    if statement is None:
        return Rights()
    asked = text(statement).bindparams(bindparam("tables", TABLES, expanding=True))
    found: dict[str, set[str]] = {"select": set(), "insert": set(), "update": set(), "": set()}
    for table, column, rights in connection.execute(asked):
        given = {right.strip().lower() for right in str(rights or "").split(",")}
        if "select" not in given:
            found[""].add(f"{table}.{column}")
        for right in given & {"select", "insert", "update"}:
            found[right].add(f"{table}.{column}")
    return Rights(
        frozenset(found["select"]),
        frozenset(found["insert"]),
        frozenset(found["update"]),
        frozenset(found[""]),
    )


def excess(rights: Rights, writes: Columns) -> str:
    """Say what an account may do beyond reading what is no secret and writing some columns.

    Args:
        rights: as look() found them.
        writes: what it has to write.

    Returns:
        Words for a line of the log, empty where there is nothing to say.
    """
    secrets = {f"{table}.{column}" for table, names in SECRETS.items() for column in names}
    needed = {f"{table}.{column}" for table, names in writes.items() for column in names}
    said = [
        ("read", sorted(rights.select & secrets)),
        ("write to", _tables(rights.update - needed)),
        ("add rows to", _tables(rights.insert)),
    ]
    return "; ".join(f"{verb} {', '.join(what)}" for verb, what in said if what)


def grants(rights: Rights, reads: Columns, writes: Columns) -> list[str]:
    """Give the GRANT statements that an account lacks, as far as its database shows the columns.

    Args:
        rights: as look() found them.
        reads: what it has to read.
        writes: what it has to write, which it has to read too.
    """
    return [*_grants("SELECT", reads, rights.refused), *_unwritable(rights, writes)]


def _unwritable(rights: Rights, writes: Columns) -> Iterator[str]:
    there = rights.select | rights.insert | rights.update | rights.refused
    yield from _grants("UPDATE", writes, there - rights.update)


def _grants(right: str, needed: Columns, lacking: Collection[str]) -> Iterator[str]:
    for table, columns in needed.items():
        if names := [column for column in columns if f"{table}.{column}" in lacking]:
            # Of the columns that are read or written one is a reserved word.
            listed = ", ".join('"group"' if name == "group" else name for name in names)
            yield f"GRANT {right} ({listed}) ON {table}"


def _tables(columns: Collection[str]) -> list[str]:
    return sorted({column.partition(".")[0] for column in columns})
