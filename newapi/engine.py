"""How a gateway's database is connected to: gently, and with a limit to every wait."""

import ssl
import time
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool, QueuePool

CONNECT_TIMEOUT = 5
"""Seconds to wait for a connection."""

PATIENCE = 5
"""Seconds for which an answer may come later than the server would have ended the statement."""


def reading(url: URL, statement_timeout: float, *, writable: bool) -> Engine:
    """Give an engine for reads, in autocommit; on SQLite read-only unless it is writable."""
    return _engine(url, statement_timeout, writable, {"isolation_level": "AUTOCOMMIT"})


def writing(url: URL, statement_timeout: float) -> Engine:
    """Give an engine for transactions."""
    return _engine(url, statement_timeout, True, {})


def _engine(url: URL, statement_timeout: float, writable: bool, options: dict[str, Any]) -> Engine:
    # A pooled connection to SQLite would go on reading a file that was replaced by a restore.
    common: dict[str, Any] = {"hide_parameters": True, "poolclass": NullPool, **options}
    if url.get_backend_name() != "sqlite":
        common |= {
            "poolclass": QueuePool, "pool_size": 1, "max_overflow": 1, "pool_timeout": 10,
            "pool_pre_ping": True, "pool_recycle": 300,
        }  # fmt: skip
    if url.get_backend_name() == "mysql":
        return _mysql(url, statement_timeout, writable, common)
    if url.get_backend_name() == "postgresql":
        return _postgresql(url, statement_timeout, common)
    return _sqlite(url, statement_timeout, writable, common)


def _mysql(url: URL, statement_timeout: float, writable: bool, common: dict[str, Any]) -> Engine:
    arguments: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT,
        "read_timeout": statement_timeout + PATIENCE,
        "write_timeout": statement_timeout + PATIENCE,
        "charset": "utf8mb4",
    }
    if mode := url.query.get("ssl"):
        context = ssl.create_default_context()
        if mode == "any":
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        arguments["ssl"] = context
    bare = url.difference_update_query(["ssl"])
    engine = create_engine(bare, connect_args=arguments, **common)

    @event.listens_for(engine, "connect")
    def limit(connection: Any, _: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT VERSION()")
            if "mariadb" in str(cursor.fetchone()[0]).lower():
                cursor.execute("SET SESSION max_statement_time = %s", (statement_timeout,))
            else:  # MySQL 5.7.8 and later; concerns SELECT alone
                milliseconds = int(statement_timeout * 1000)
                cursor.execute("SET SESSION max_execution_time = %s", (milliseconds,))
            if writable:  # what a write waits for is a row lock, by default 50 s
                seconds = max(1, int(statement_timeout))
                cursor.execute("SET SESSION innodb_lock_wait_timeout = %s", (seconds,))

    return engine


def _postgresql(url: URL, statement_timeout: float, common: dict[str, Any]) -> Engine:
    # Only where it is asked for: psycopg takes a tenth of a second to import.
    from newapi import postgresql  # noqa: PLC0415

    engine = create_engine(url.set(query={}), **common)

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, _args: Any, found: dict[str, Any]) -> Any:
        given = {"connect_timeout": CONNECT_TIMEOUT, **found, **url.query}
        return postgresql.connect(given, patience=statement_timeout + PATIENCE)

    @event.listens_for(engine, "connect")
    def limit(connection: Any, _: Any) -> None:
        postgresql.limit(connection, statement_timeout)

    return engine


def _sqlite(url: URL, statement_timeout: float, writable: bool, common: dict[str, Any]) -> Engine:
    file = f"file:{quote(str(url.database))}?mode={'rw' if writable else 'ro'}&uri=true"
    engine = create_engine(f"sqlite:///{file}", connect_args={"timeout": 5}, **common)
    reader = "isolation_level" in common and not writable

    @event.listens_for(engine, "connect")
    def tolerate(connection: Any, _: Any) -> None:
        # SQLite keeps whatever bytes the gateway gave it as text.
        connection.text_factory = lambda text: text.decode("utf-8", "replace")
        connection.execute("PRAGMA temp_store = MEMORY")

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def limit(
        connection: Connection, cursor: Any, sql: str, parameters: Any, *_: Any
    ) -> tuple[str, Any]:
        deadline = time.monotonic() + statement_timeout
        driver: Any = connection.connection.driver_connection
        driver.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
        if not (reader and sql.startswith("SELECT")):
            return sql, parameters
        # The gateway cannot commit while we step through an answer, and each step waits for
        # Python's lock: while another thread renders a page, a few thousand rows take seconds. All
        # is therefore copied in a single step, and stepped through when the file is free again.
        cursor.execute("DROP TABLE IF EXISTS temp.answer")
        cursor.execute(f"CREATE TEMP TABLE answer AS {sql}", parameters)
        return "SELECT * FROM temp.answer", ()

    return engine


_STEPS = 1_000_000
"""Of SQLite's machine, between two looks at the time, some 50 ms."""
