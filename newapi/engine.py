"""How a gateway's database is connected to: gently, and with a limit to every wait."""

import ssl
import time
from collections.abc import Generator
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader
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
    # No server-side prepared statements: a pooler between us would mix up their names.
    arguments: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT, "prepare_threshold": None, "client_encoding": "utf8",
        "application_name": "newapi-monitor", **_KEEPALIVE, **url.query,
    }  # fmt: skip
    engine = create_engine(url.set(query={}), **common)

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, _args: Any, found: dict[str, Any]) -> Any:
        connection = _Impatient.connect(**found, **arguments)
        connection.patience = statement_timeout + PATIENCE
        return connection

    @event.listens_for(engine, "connect")
    def limit(connection: Any, _: Any) -> None:
        connection.execute(f"SET statement_timeout = {int(statement_timeout * 1000)}")
        # Where there is an index for a question, it is the right way: a planner that has no
        # statistics of the table (after pg_upgrade) would rather walk through all of it. What has
        # to walk all the same then looks too dear to it, and worth compiling.
        connection.execute("SET enable_seqscan = off")
        if connection.info.server_version >= 110_000:  # the first that compiles
            connection.execute("SET jit = off")
        if connection.info.parameter_status("server_encoding") == "SQL_ASCII":
            # Such a database holds whatever bytes the gateway gave it: they come as they are.
            connection.execute("SET client_encoding = SQL_ASCII")
            for kind in ("text", "varchar", "bpchar", "name"):
                connection.adapters.register_loader(kind, _Lenient)
        connection.commit()

    return engine


_KEEPALIVE = {
    "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3,
    "tcp_user_timeout": 11_000,
}  # fmt: skip
"""Parameters of libpq: a host that is gone is told after 11 s, not after a quarter of an hour."""


class _Impatient(psycopg.Connection[Any]):
    """Gives up a server that says nothing: its statement_timeout needs one that is alive."""

    patience: float | None = None
    """Seconds of one statement."""

    def wait(
        self, gen: Generator[Any, Any, Any], interval: float = 0.1, timeout: float | None = None
    ) -> Any:
        """Wait for the answer to one statement.

        Raises:
            psycopg.errors.ConnectionTimeout: there was none; the connection is closed.
        """
        limit = timeout or self.patience
        began = time.monotonic()
        try:
            return super().wait(gen, interval, limit)
        except psycopg.OperationalError:
            if limit is None or time.monotonic() - began < limit:
                raise
            self.pgconn.finish()  # it is in the middle of an answer
            raise psycopg.errors.ConnectionTimeout("the server gives no answer") from None


class _Lenient(Loader):
    """Reads text whatever bytes it is made of."""

    def load(self, data: Buffer) -> str:
        return bytes(data).decode(errors="replace")


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
