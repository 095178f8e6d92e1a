"""A gateway's database in a benchmark: private servers, and what they count about themselves."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil
from sqlalchemy import Connection, text

from demo.schema import create
from newapi.database import Database
from newapi.dsn import parse_dsn
from newapi.schema import Flavour
from tests.servers import MariaDB, Postgres
from tests.test_grants import ACCOUNTS, PASSWORD, Granted

READER = ACCOUNTS[0]
"""The account that the shipped grants give to the exporter."""

MEMORY = "128M"
"""Of the servers' caches, their own default."""

_THREADS = {
    MariaDB: f"SELECT tid FROM information_schema.processlist WHERE user = '{READER}'",
    Postgres: f"SELECT pid FROM pg_stat_activity WHERE usename = '{READER}'",
}
_MARIADB = "SHOW GLOBAL STATUS WHERE Variable_name IN ('Com_select', 'Innodb_row_lock_waits')"
_POSTGRES = (
    "SELECT (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database())"
    " - (SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 'logs')"
)
_WAITED = b" still waiting for "
"""What PostgreSQL logs of a lock that is not to be had within its deadlock_timeout."""


class Counts(NamedTuple):
    """What a server has done since its start."""

    cpu: float
    """Seconds of processor time of all its processes."""
    reader: dict[int, float]
    """Of each thread that serves the exporter now, by its id."""
    statements: int
    """SELECTs on MariaDB; on PostgreSQL transactions that did not insert a log row."""
    lock_waits: int
    """For a row on MariaDB; on PostgreSQL those for any lock that took 10 ms."""


@dataclass
class Place:
    """A database that has the gateway's tables.

    Args:
        dsn: the gateway's own.
        reader: the exporter's; the same on SQLite.
        server: None on SQLite.
        connection: to ask the server; None on SQLite.
    """

    dsn: str
    reader: str
    server: MariaDB | Postgres | None = None
    connection: Connection | None = None

    def counts(self) -> Counts | None:
        """Ask the server; None on SQLite, where those who read and write do its work."""
        if self.server is None or self.connection is None:
            return None
        ask = self.connection.execute
        threads = ask(text(_THREADS[type(self.server)])).scalars()
        reader = {thread: _cpu_of_thread(thread) for thread in threads}
        cpu = _cpu_of_family(psutil.Process(self.server.pid))
        if isinstance(self.server, MariaDB):
            found: dict[str, str] = dict(ask(text(_MARIADB)).tuples().all())
            statements, waits = int(found["Com_select"]), int(found["Innodb_row_lock_waits"])
        else:
            statements = ask(text(_POSTGRES)).scalar_one()
            waits = self.server.log.read_bytes().count(_WAITED)
        return Counts(cpu, reader, statements, waits)


@contextmanager
def mariadb() -> Iterator[Place]:
    """Give a database of a new MariaDB."""
    with MariaDB(f"--innodb-buffer-pool-size={MEMORY}") as server:
        server.execute(*(f"CREATE USER {name} IDENTIFIED BY '{PASSWORD}'" for name in ACCOUNTS))
        with _on(server) as place:
            yield place


@contextmanager
def postgres() -> Iterator[Place]:
    """Give a database of a new PostgreSQL."""
    locks = ("log_lock_waits=on", "deadlock_timeout=10ms")
    with Postgres(f"shared_buffers={MEMORY}B", *locks) as server:
        server.execute(*(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'" for name in ACCOUNTS))
        with _on(server) as place:
            yield place


@contextmanager
def sqlite() -> Iterator[Place]:
    """Give a new file."""
    folder = Path(tempfile.mkdtemp(prefix="newapi-sqlite-"))
    dsn = f"sqlite:///{folder}/one-api.db"
    try:
        create(parse_dsn(dsn))
        yield Place(dsn, dsn)
    finally:
        shutil.rmtree(folder)


@contextmanager
def _on(server: MariaDB | Postgres) -> Iterator[Place]:
    granted = Granted(server, server.create_database("bench"), Flavour.NEW_API)
    create(parse_dsn(granted.root))
    granted.apply()
    database = Database(parse_dsn(granted.root))
    with database.connect() as connection:
        yield Place(granted.root, granted.dsn(READER), server, connection)
    database.close()


def _cpu_of_thread(thread: int) -> float:
    told = Path(f"/proc/{thread}/task/{thread}/schedstat").read_text()
    return int(told.split()[0]) / 1e9


def _cpu_of_family(process: psutil.Process) -> float:
    own = process.cpu_times()  # with its children that have ended
    total = own.user + own.system + own.children_user + own.children_system
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            total += times.user + times.system
    return total
