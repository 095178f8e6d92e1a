"""Inserting rows into a log table, in the way that is fastest for each database."""

import queue
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection
from sqlalchemy.engine import URL

from newapi.database import Database, DatabaseError

COPY_FROM = 50
"""Rows from which PostgreSQL's COPY is worth its while."""

SQLITE_CACHE_KIB = 128 * 1024
"""Of the loader's own connection: 14 indexes do not fit into the 2 MiB of the default."""

STATEMENT_TIMEOUT = 120.0
"""Seconds that inserting a batch may take."""

Rows = Sequence[tuple[Any, ...]]


class LogInsert:
    """Inserts rows into logs; the database gives the ids.

    Args:
        dialect: mysql, postgresql or sqlite.
        columns: the columns that rows have values for, in their order.
    """

    def __init__(self, dialect: str, columns: Sequence[str]) -> None:
        self._dialect = dialect
        quote = "`" if dialect == "mysql" else '"'
        names = ", ".join(f"{quote}{column}{quote}" for column in columns)
        places = ", ".join(["?" if dialect == "sqlite" else "%s"] * len(columns))
        self._insert = f"INSERT INTO logs ({names}) VALUES ({places})"  # noqa: S608
        self._copy = f"COPY logs ({names}) FROM STDIN"

    def __call__(self, connection: Connection, rows: Rows) -> None:
        """Insert rows; in one transaction if the connection is in one."""
        if self._dialect == "postgresql" and len(rows) >= COPY_FROM:
            driver: Any = connection.connection.driver_connection
            with driver.cursor() as cursor, cursor.copy(self._copy) as copy:
                for row in rows:
                    copy.write_row(row)
        elif rows:
            connection.exec_driver_sql(self._insert, [tuple(row) for row in rows])

    def transaction(self, connection: Connection, rows: Rows, linger: float = 0) -> None:
        """Insert rows in a transaction of their own, which stays open for `linger` seconds more.

        Args:
            connection: in autocommit.
            rows: what to insert.
            linger: seconds.
        """
        begin = "BEGIN IMMEDIATE" if self._dialect == "sqlite" else "BEGIN"
        connection.exec_driver_sql(begin)
        self(connection, rows)
        if linger:
            time.sleep(linger)
        connection.exec_driver_sql("COMMIT")


class Writers:
    """Connections that insert at the same time, each in transactions of its own.

    With more than one, each has a thread, and rows become visible out of the order of their ids.

    Args:
        url: the database.
        insert: how.
        count: how many; SQLite has one writer, whatever is asked for.
        linger: seconds; each waits for up to so long, at random, before it commits.
    """

    def __init__(self, url: URL, insert: LogInsert, count: int = 1, linger: float = 0.0) -> None:
        self._url = url
        self._insert = insert
        self._linger = linger
        count = 1 if url.get_backend_name() == "sqlite" else count
        self._queue: queue.Queue[Rows | None] = queue.Queue(2 * count)
        self._threads = [
            threading.Thread(target=self._work, args=(number,), name=f"writer-{number}")
            for number in range(count if count > 1 else 0)
        ]
        self._failure: DatabaseError | None = None
        self._stack = ExitStack()
        self._own: Callable[[Rows], None] | None = None

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        if not self._threads:
            self._own = self._stack.enter_context(self._connected(0))
        return self

    def put(self, rows: Rows) -> None:
        """Insert rows in one transaction, now or soon.

        Raises:
            DatabaseError: these or earlier ones could not be inserted.
        """
        if self._failure is not None:
            raise self._failure
        if self._own is not None:
            self._own(rows)
        else:
            self._queue.put(rows)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        if self._failure is not None and error is None:
            raise self._failure
        return self._stack.__exit__(kind, error, trace)

    @contextmanager
    def _connected(self, number: int) -> Iterator[Callable[[Rows], None]]:
        rng = random.Random(f"writer {number}")
        database = Database(self._url, statement_timeout=STATEMENT_TIMEOUT, writable=True)
        try:
            with database.connect() as connection:
                if database.dialect == "sqlite":
                    connection.exec_driver_sql(f"PRAGMA cache_size = -{SQLITE_CACHE_KIB}")
                    # Made-up rows are not worth waiting for the disk.
                    connection.exec_driver_sql("PRAGMA synchronous = OFF")
                yield lambda rows: self._insert.transaction(
                    connection, rows, rng.random() * self._linger
                )
        finally:
            database.close()

    def _work(self, number: int) -> None:
        try:
            with self._connected(number) as insert:
                while (rows := self._queue.get()) is not None:
                    insert(rows)
        except DatabaseError as error:
            self._failure = error
            while self._queue.get() is not None:  # let the others and put() go on to their end
                pass
