"""Connections to a gateway's database: gentle, and with errors that can be told apart."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from newapi.dsn import redacted
from newapi.engine import reading, writing


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
        self._reads = reading(url, statement_timeout, writable=writable)
        self._writes = writing(url, statement_timeout) if writable else None
        self._driver_error = self._reads.dialect.loaded_dbapi.Error
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
            with self._translated(), self._connected(self._reads) as connection:
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
            with (
                self._translated(),
                self._connected(self._writes) as connection,
                connection.begin(),
            ):
                yield connection
        except DatabaseError:
            self.doubts += 1
            raise

    def close(self) -> None:
        """Close what is pooled."""
        self._reads.dispose()
        if self._writes is not None:
            self._writes.dispose()

    def _connected(self, engine: Engine) -> Connection:
        try:
            return engine.connect()
        except UnicodeError:  # what Python makes of a name such as "a..b" when it looks it up
            raise DatabaseError(Fault.UNREACHABLE, f"{self.name}: not a host name") from None

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
        except self._driver_error as error:  # of rows that were taken straight from the driver
            raise DatabaseError(_fault(error), f"{self.name}: {_message(error)}") from None
        except PoolTimeoutError:
            raise DatabaseError(Fault.TIMEOUT, f"{self.name}: both connections are busy") from None
        except SQLAlchemyError as error:
            raise DatabaseError(Fault.OTHER, f"{self.name}: {type(error).__name__}") from None


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
    # PostgreSQL adds details, as the row that a constraint refused: it holds a channel's key.
    text = getattr(getattr(error, "diag", None), "message_primary", None) or text
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
