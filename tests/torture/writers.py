"""Writers that hold transactions open and roll some back, and a second table with the truth."""

import random
import threading
import time
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    MetaData,
    String,
    Table,
    bindparam,
    text,
)
from sqlalchemy.engine import URL

from demo import history, world
from demo.rows import NewApiRow, Row
from newapi.database import Database, DatabaseError
from newapi.schema import Flavour

TRUTH = "logs_all"
"""Holds a copy of each row, made in the transaction that wrote it; nothing is deleted here."""

_KINDS = {int: BigInteger, bool: Boolean, str: String}
_LOGS = Table(
    "logs",
    MetaData(),
    Column("id", BigInteger, primary_key=True),
    *(Column(name, _KINDS[kind]) for name, kind in NewApiRow.__annotations__.items()),
)
_INSERT = _LOGS.insert()
_COPY = text(f"INSERT INTO {TRUTH} SELECT * FROM logs WHERE id IN :ids").bindparams(
    bindparam("ids", expanding=True)
)
_DELETE = text("DELETE FROM logs WHERE id IN :ids").bindparams(bindparam("ids", expanding=True))


def prepare(url: URL) -> None:
    """Make the table of the truth."""
    database = Database(url, writable=True)
    with database.begin() as connection:
        connection.execute(text(f"CREATE TABLE {TRUTH} AS SELECT * FROM logs WHERE 1 = 0"))
    database.close()


def patterns(seed: int, count: int = 3000) -> list[Row]:
    """Give rows of every kind that a gateway writes."""
    rng = random.Random(f"patterns {seed}")
    gateway = world.build(Flavour.NEW_API, seed, time.time())
    entries = history.stretch(gateway, rng, count, lambda _: time.time())
    return [entry.row for entry in islice(entries, count)]


class Crew:
    """Threads that write until they are told to stop, through every failure of the database.

    Args:
        url: the database.
        seed: of everything that is left to chance.
        count: how many writers.
        hold: seconds for which a transaction stays open at most.
        skew: seconds by which a writer's clock is off at most.
    """

    def __init__(self, url: URL, seed: int, count: int, hold: float, skew: int) -> None:
        self.rolled_back = 0
        self.failed = 0
        self._url = url
        self._hold = hold
        self._rows = patterns(seed)
        self._stop = threading.Event()
        self._work = threading.Event()
        self._idle = [threading.Event() for _ in range(count)]
        self._lock = threading.Lock()
        self._committed: deque[tuple[float, list[int]]] = deque()
        clocks = random.Random(f"clocks {seed}")
        self._threads = [
            threading.Thread(
                target=self._write,
                args=(random.Random(f"writer {seed} {number}"), clocks.randint(-skew, skew), idle),
                name=f"writer-{number}",
            )
            for number, idle in enumerate(self._idle)
        ]

    def __enter__(self) -> "Crew":
        self._work.set()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._work.set()
        for thread in self._threads:
            thread.join()

    def pause(self) -> None:
        """Have all transactions ended and no new one begun."""
        self._work.clear()
        for idle in self._idle:
            if not idle.wait(60):
                raise TimeoutError("a writer does not come to its end")

    def resume(self) -> None:
        """Go on after a pause."""
        self._work.set()

    def settled(self, before: float) -> list[int]:
        """Take the ids of the rows whose commit was acknowledged before a unix time."""
        ids: list[int] = []
        with self._lock:
            while self._committed and self._committed[0][0] < before:
                ids += self._committed.popleft()[1]
        return ids

    def _write(self, rng: random.Random, skew: int, idle: threading.Event) -> None:
        database = Database(self._url, writable=True)
        while not self._stop.is_set():
            if not self._work.is_set():
                idle.set()
                self._work.wait()
                idle.clear()
                continue
            try:
                ids = self._transaction(database, rng, skew)
            except _RolledBackError:
                self.rolled_back += 1
            except DatabaseError:
                self.failed += 1
                self._stop.wait(0.05)
            else:
                with self._lock:
                    self._committed.append((time.time(), ids))
        idle.set()
        database.close()

    def _transaction(self, database: Database, rng: random.Random, skew: int) -> list[int]:
        rows, hold = rng.choices(self._rows, k=rng.randint(1, 12)), self._holds(rng)
        with database.begin() as connection:
            begun = time.monotonic()
            ids = [_insert(connection, row, skew) for row in rows]
            self._stop.wait(hold)
            connection.execute(_COPY, {"ids": ids})
            if rng.random() < 0.1 or time.monotonic() - begun > self._hold + 0.5:
                raise _RolledBackError
        return ids

    def _holds(self, rng: random.Random) -> float:
        return self._hold * rng.random() if rng.random() < 0.2 else 0.0


def delete(database: Database, ids: Sequence[int]) -> int:
    """Delete rows as a gateway's clean-up does, some at a time; gives how many there were.

    Raises:
        DatabaseError: none was deleted.
    """
    with database.begin() as connection:
        return connection.execute(_DELETE, {"ids": list(ids)}).rowcount


class _RolledBackError(Exception):
    """Thrown to have a transaction rolled back."""


def _insert(connection: Connection, row: Row, skew: int) -> int:
    values = {**row._asdict(), "created_at": int(time.time()) + skew}
    key: Any = connection.execute(_INSERT, values).inserted_primary_key
    return int(key[0])
