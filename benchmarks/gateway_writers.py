"""A gateway's connections: processes that insert log rows, each row in a transaction of its own."""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from typing import Any, NamedTuple, Self

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from demo.rows import NewApiRow, Row
from demo.writing import LogInsert
from newapi.database import Database
from newapi.dsn import parse_dsn
from tests.torture.writers import patterns

PATIENCE = 60
"""Seconds that a writer may need beyond its turn."""


class Turn(NamedTuple):
    """When to write. Moments are those of time.monotonic(), which all processes share."""

    start: float
    begin: float
    """From when on it is measured."""
    end: float
    rate: float | None
    """Rows a second of one writer; None: as fast as it can."""


@dataclass
class Written:
    """What came of a turn."""

    seconds: list[float] = field(default_factory=list)
    """Of each transaction that began in the measured time: from BEGIN until COMMIT has ended."""
    rows: int = 0
    """Committed, those before the measured time among them."""
    lost: int = 0
    """Rows for which SQLite was locked for too long; the gateway does not try again."""
    cpu: float = 0.0
    """Seconds of processor time in the measured time."""


class Writers:
    """Processes that write at the same time, each over one connection; started with the processors
    of the thread that enters.

    Args:
        dsn: the gateway's database; it has the tables.
        number: how many.
    """

    def __init__(self, dsn: str, number: int) -> None:
        context = get_context("spawn")
        self._pipes: list[Pipe] = []
        self._theirs: list[Pipe] = []
        for _ in range(number):
            mine, theirs = context.Pipe()
            self._pipes.append(mine)
            self._theirs.append(theirs)
        self._processes = [
            context.Process(target=_work, args=(dsn, number, pipe), daemon=True)
            for number, pipe in enumerate(self._theirs)
        ]

    def __enter__(self) -> Self:
        for process, pipe in zip(self._processes, self._theirs, strict=True):
            process.start()
            pipe.close()  # so that its end is noticed
        for pipe in self._pipes:
            _receive(pipe, 0)
        return self

    def begin(self, turn: Turn) -> None:
        """Have all write."""
        for pipe in self._pipes:
            pipe.send(turn)

    def finish(self, turn: Turn) -> Written:
        """Wait for the end of a turn, and give what all of them wrote."""
        total = Written()
        for pipe in self._pipes:
            written = _receive(pipe, max(turn.end - time.monotonic(), 0))
            total.seconds += written.seconds
            total.rows += written.rows
            total.lost += written.lost
            total.cpu += written.cpu
        return total

    def __exit__(self, *_: object) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(PATIENCE)
            process.kill()


def _receive(pipe: Pipe, seconds: float) -> Written:
    if not pipe.poll(seconds + PATIENCE):
        raise TimeoutError("a writer does not come to its end")
    written: Written = pipe.recv()
    return written


def _work(dsn: str, number: int, pipe: Pipe) -> None:
    database = Database(parse_dsn(dsn), writable=True)
    insert = LogInsert(database.dialect, NewApiRow._fields)
    rows = _rows(number)
    with database.connect() as connection:
        pipe.send(Written())
        while True:
            try:
                turn: Turn = pipe.recv()
            except (EOFError, OSError):
                break
            pipe.send(_take(turn, connection, insert, rows))
    database.close()


def _rows(number: int) -> Iterator[Row]:
    """Give rows without end, each with the time at which it is taken."""
    some = patterns(1)
    random.Random(number).shuffle(some)
    for turn in count():
        for row in some:  # attempts of the same request keep the same id
            request = f"{turn:06}{number}{row.request_id}" if row.request_id else ""
            yield row._replace(created_at=int(time.time()), request_id=request)


def _take(turn: Turn, connection: Connection, insert: LogInsert, rows: Iterator[Row]) -> Written:
    written = Written()
    apart = 1 / turn.rate if turn.rate else 0.0
    due = turn.start + random.random() * apart
    cpu = None
    while (now := time.monotonic()) < turn.end:
        if due > now:
            time.sleep(min(due, turn.end) - now)
            continue
        due += apart
        if now >= turn.begin and cpu is None:
            cpu = time.process_time()
        row = next(rows)
        began = time.perf_counter()
        try:
            insert.transaction(connection, [row])
        except OperationalError as error:
            _rolled_back(connection, error)
            written.lost += 1
        else:
            written.rows += 1
        if now >= turn.begin:
            written.seconds.append(time.perf_counter() - began)
    written.cpu = time.process_time() - cpu if cpu is not None else 0.0
    return written


def _rolled_back(connection: Connection, error: OperationalError) -> None:
    """Leave a transaction that SQLite did not begin, or did not commit, as it was locked."""
    if "locked" not in str(error.orig):
        raise error
    driver: Any = connection.connection.driver_connection
    if driver.in_transaction:
        connection.exec_driver_sql("ROLLBACK")
