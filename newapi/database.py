"""Connections to a gateway's database: gentle, and with errors that can be told apart."""

import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import NullPool, QueuePool

from newapi.dsn import redacted

CONNECT_TIMEOUT = 5
"""Seconds to wait for a connection."""


class Fault(StrEnum):
    """What kept a database from answering."""

    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    MISSING = "missing"
    TIMEOUT = "timeout"
    OTHER = "other"


class DatabaseError(Exception):
    """A statement or connection failed; its text is one line without secrets."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


class Database:
    """One database of the gateway, read over at most two connections.

    Reads run in autocommit, so that no snapshot is held open (MySQL would read an old one for
    ever) and, on SQLite, no shared lock outlives a statement (the gateway would lose a log row).

    Args:
        url: as parse_dsn gives it.
        statement_timeout: seconds after which a statement is ended by the server.
        writable: whether begin() may be used; a SQLite file is opened read-only otherwise.
    """

    def __init__(self, url: URL, *, statement_timeout: float = 10, writable: bool = False) -> None:
        self.name = redacted(url)
        self.dialect = url.get_backend_name()
        """mysql, postgresql or sqlite; MariaDB counts as mysql."""
        self._path = Path(url.database or "") if self.dialect == "sqlite" else None
        # Two engines, since a connection whose isolation level is changed back when its pool takes
        # it back, and that dies then, is lost to the pool for good.
        self._reads = _engine(url, statement_timeout, writable, {"isolation_level": "AUTOCOMMIT"})
        self._writes = _engine(url, statement_timeout, writable, {}) if writable else None
        self.doubts = 0
        """How many transactions failed, and statements that took too long: the breaker then looks
        whether it can still write."""

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Give a connection in autocommit, for reads.

        Raises:
            DatabaseError: it cannot be reached, or a statement in the block failed.
        """
        try:
            with self._translated(), self._reads.connect() as connection:
                yield connection
        except DatabaseError as error:
            self.doubts += error.fault is Fault.TIMEOUT
            raise

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Give a connection in a transaction, committed when the block ends without an error.

        Raises:
            DatabaseError: as connect().
            ValueError: the database was not opened writable.
        """
        if self._writes is None:
            raise ValueError(f"{self.name} was opened for reading")
        try:
            with self._translated(), self._writes.begin() as connection:
                yield connection
        except DatabaseError:
            self.doubts += 1
            raise

    def close(self) -> None:
        """Close what is pooled."""
        self._reads.dispose()
        if self._writes is not None:
            self._writes.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        if self._path is not None and not self._path.is_file():
            raise DatabaseError(
                Fault.UNREACHABLE, f"{self.name}: there is no such file, and none is created"
            )
        try:
            yield
        except DBAPIError as error:
            raise DatabaseError(
                _fault(error.orig), f"{self.name}: {_message(error.orig)}"
            ) from None
        except PoolTimeoutError:
            raise DatabaseError(Fault.TIMEOUT, f"{self.name}: both connections are busy") from None
        except UnicodeError:  # what Python makes of a name such as "a..b" when it looks it up
            raise DatabaseError(Fault.UNREACHABLE, f"{self.name}: not a host name") from None
        except SQLAlchemyError as error:
            raise DatabaseError(Fault.OTHER, f"{self.name}: {type(error).__name__}") from None


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
        "read_timeout": statement_timeout + 5,
        "write_timeout": statement_timeout + 5,
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
    # Text comes as bytes from a database without an encoding, unless the client names one.
    arguments: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT, "prepare_threshold": None, "client_encoding": "utf8",
    }  # fmt: skip
    if "application_name" not in url.query:
        arguments["application_name"] = "newapi-monitor"
    engine = create_engine(url, connect_args=arguments, **common)

    @event.listens_for(engine, "connect")
    def limit(connection: Any, _: Any) -> None:
        connection.execute(f"SET statement_timeout = {int(statement_timeout * 1000)}")
        connection.commit()

    return engine


def _sqlite(url: URL, statement_timeout: float, writable: bool, common: dict[str, Any]) -> Engine:
    file = f"file:{quote(str(url.database))}?mode={'rw' if writable else 'ro'}&uri=true"
    engine = create_engine(f"sqlite:///{file}", connect_args={"timeout": 5}, **common)
    reader = "isolation_level" in common and not writable

    @event.listens_for(engine, "connect")
    def tolerate(connection: Any, _: Any) -> None:
        # SQLite keeps whatever bytes the gateway gave it as text.
        connection.text_factory = lambda text: text.decode(errors="replace")
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


_MYSQL_FAULTS = {
    1044: Fault.REFUSED, 1045: Fault.REFUSED, 1049: Fault.MISSING, 1054: Fault.MISSING,
    1142: Fault.MISSING, 1143: Fault.MISSING, 1146: Fault.MISSING, 1205: Fault.TIMEOUT,
    1969: Fault.TIMEOUT, 2003: Fault.UNREACHABLE, 2006: Fault.UNREACHABLE,
    2013: Fault.UNREACHABLE, 3024: Fault.TIMEOUT,
}  # fmt: skip

_POSTGRESQL_FAULTS = {
    "28": Fault.REFUSED, "3D": Fault.MISSING, "42": Fault.MISSING, "08": Fault.UNREACHABLE,
    "57014": Fault.TIMEOUT, "57": Fault.UNREACHABLE,
}  # fmt: skip


def _fault(error: BaseException | None) -> Fault:
    code = error.args[0] if error is not None and error.args else None
    if isinstance(code, int):  # MySQL's; PyMySQL from 1.2 on gives an sqlstate beside it
        return _MYSQL_FAULTS.get(code, Fault.OTHER)
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        return _POSTGRESQL_FAULTS.get(state) or _POSTGRESQL_FAULTS.get(state[:2]) or Fault.OTHER
    text = str(error)
    if "password authentication failed" in text or "no password supplied" in text:
        return Fault.REFUSED
    if text in {"interrupted", "database is locked"}:
        return Fault.TIMEOUT
    if text.startswith(("no such table", "no such column")) or "does not exist" in text:
        return Fault.MISSING
    unreachable = ("connect", "resolve host", "unable to open")
    return Fault.UNREACHABLE if any(words in text for words in unreachable) else Fault.OTHER


def _message(error: BaseException | None) -> str:
    """Say in one line what the driver said."""
    if error is None:
        return "unknown error"
    parts = error.args
    text = str(parts[1]) if len(parts) > 1 and isinstance(parts[0], int) else str(error)
    line = " ".join(text.split()) or type(error).__name__
    return line + _ELSEWHERE if any(words in line for words in _UNKNOWN_HOST) else line


_UNKNOWN_HOST = (
    "Name or service not known",
    "Temporary failure in name resolution",
    "No address associated with hostname",
    "nodename nor servname provided",
)
"""What getaddrinfo says where no server of names knows a host; PyMySQL and psycopg pass it on."""

_ELSEWHERE = (
    "; the name may exist only in the gateway's Docker network: with Docker, set GATEWAY_NETWORK to"
    " that network (docker network ls)"
)
