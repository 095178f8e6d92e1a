"""What one scrapes while a gateway is busy: how old it is and what it costs, by size of the table.

The log table is MariaDB's, with all of it in memory, and grows by 2,000 rows a second. The exporter
and its rivals follow it in turn, one at a time, each with an account of its own, and are scraped
every 15 seconds. They are all measured in the same way:

- Age: how long ago, when the scrape begins, the newest row was committed that is in the scraped
  sum of requests. The writer notes when each of its transactions was committed and how many rows
  there were then; what was scraped before it began is subtracted. A scrape comes at a random
  moment of its 15 seconds: two things that are done every 15 seconds would keep the distance that
  they had by chance.
- Processor: what user and system time of the process grew by.
- Database: what the account's BUSY_TIME and ROWS_READ grew by (userstat=1), with the time that a
  statement has been running for at the moment, which the server adds only when it is done.

At the end, each must have come to what SQL sums up.
"""

import math
import random
import statistics
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil
from sqlalchemy import text

from benchmarks.rivals import CONTENDERS, INTERVAL, Contender, Figures
from demo.schema import create
from newapi.database import Database
from newapi.dsn import parse_dsn
from tests.bulk import drop_unread_indexes, fill
from tests.servers import MariaDB
from tests.servers.process import wait_until

SECONDS = 600
SIZES = (1_000_000, 5_000_000, 10_000_000)
"""Rows of the log table when each begins."""
RATE = 2000
"""Rows a second that are added meanwhile."""
TOGETHER = 200
"""Rows of a transaction."""
BYTES_A_ROW = 400
"""Memory that the database is given, more than a row and its entries in the indexes take."""
PATIENCE = 300
"""Seconds that a program may take to begin, and to come to the end."""
FETCH = Path(__file__).parent.parent / "tools" / "rivals.sh"
NAME = "keeping"

BUSY = """
SELECT BUSY_TIME + (SELECT COALESCE(SUM(TIME_MS), 0) / 1000 FROM information_schema.PROCESSLIST
                    WHERE USER = :account AND COMMAND = 'Query'), ROWS_READ
FROM information_schema.USER_STATISTICS WHERE USER = :account
"""
SUMS = """
SELECT COUNT(*), SUM(prompt_tokens), SUM(completion_tokens), SUM(quota) FROM logs WHERE id > :rows
"""


class Writer:
    """Adds rows at a steady rate while it is open.

    Args:
        database: writable.
        rows: that the log table has.
    """

    def __init__(self, database: Database, rows: int) -> None:
        self._database = database
        self._rows = rows
        self._totals: list[int] = []
        self._moments: list[float] = []
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(1, "writer")

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._done = self._pool.submit(self._write)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pool.shutdown()
        self._done.result()

    @property
    def behind(self) -> float:
        """Rows that should be there by now and are not."""
        return (time.monotonic() - self._began) * RATE - len(self._totals) * TOGETHER

    def age(self, moment: float, counted: float) -> float:
        """Give the seconds by which the row that made so many was committed before a moment."""
        index = bisect_left(self._totals, counted)
        if index == len(self._moments):  # committed just now
            return 0.0
        return max(moment - self._moments[index], 0.0)

    def _write(self) -> None:
        wait = 0.0
        while not self._stop.wait(wait):
            if self.behind > PATIENCE * RATE:
                raise RuntimeError(f"the database does not take {RATE} rows a second")
            added = len(self._totals) * TOGETHER
            now = int(time.time())
            fill(self._database, TOGETHER, start=now, first=self._rows + added + 1)
            self._moments.append(time.monotonic())
            self._totals.append(added + TOGETHER)
            wait = max(0.0, -self.behind / RATE)


@dataclass(frozen=True)
class Spent:
    """What a program has used so far, or in a while."""

    moment: float
    processor: float
    busy: float
    rows: float


@dataclass(frozen=True)
class Measured:
    """What came of one program.

    Attributes:
        ages: seconds, at each scrape.
        processor: seconds a second.
        busy: seconds a second that the database worked for it.
        rows: that the database read for it, a second.
    """

    ages: list[float]
    processor: float
    busy: float
    rows: float


def main(seconds: int = SECONDS, *sizes: int) -> None:
    """Print what each has to show and what it costs, by size of the table."""
    subprocess.run([FETCH], check=True)
    print(f"\nKeeping up with {RATE:,} rows a second for {seconds} s, scraped every {INTERVAL} s:")
    for rows in sizes or SIZES:
        memory = f"--innodb-buffer-pool-size={256 * 2**20 + rows * BYTES_A_ROW}"
        with MariaDB("--userstat=1", memory) as server:
            database = _table(server, rows)
            print(f"  {rows:,} rows in the table")
            print(f"    {'':<24}{'age p50':>9}{'p99':>8}{'scrapes':>9}", end="")
            print(f"{'processor':>11}{'database':>10}{'rows read/s':>13}")
            for make in CONTENDERS:
                found = _measure(make, server, database, rows, seconds)
                print(f"    {make.title:<24}{_row(found)}", flush=True)
            database.close()


def _table(server: MariaDB, rows: int) -> Database:
    """Make a log table of so many rows, one for each second until now, with the indexes that
    anybody here reads by, and accounts that may read it."""
    url = parse_dsn(server.create_database(NAME))
    create(url)
    database = Database(url, statement_timeout=600, writable=True)
    drop_unread_indexes(database)
    fill(database, rows, start=int(time.time()) - rows, per_second=1)
    for contender in CONTENDERS:
        account = f"'{contender.name}'@'127.0.0.1'"
        server.execute(f"CREATE USER {account}", f"GRANT SELECT ON {NAME}.* TO {account}")
    return database


def _measure(
    make: type[Contender], server: MariaDB, database: Database, rows: int, seconds: int
) -> Measured:
    rng = random.Random(f"scrapes {rows}")
    with make(f"127.0.0.1:{server.port}", NAME) as program:
        wait_until(lambda: program.has_begun(rows), PATIENCE, "the first figures")
        before = program.figures()
        with Writer(database, rows) as writer:
            wait_until(lambda: program.figures().requests > before.requests, PATIENCE)
            ages: list[float] = []
            first = _spent(program, database)
            for start in range(0, seconds, INTERVAL):
                length = min(INTERVAL, seconds - start)
                _sleep_until(first.moment + start + rng.uniform(0, length))
                moment = time.monotonic()
                counted = program.figures().since(before).requests
                ages.append(writer.age(moment, counted))
            _sleep_until(first.moment + seconds)
            last = _spent(program, database)
            if writer.behind > RATE:
                raise RuntimeError(f"{writer.behind:,.0f} rows behind: not {RATE} a second")
        with database.connect() as connection:
            sums = connection.execute(text(SUMS), {"rows": rows}).one()
        truth = Figures(*map(float, sums))
        wait_until(lambda: program.figures().since(before) == truth, PATIENCE, f"{truth}")
    _remove_added(database, rows)
    took = last.moment - first.moment
    return Measured(
        ages,
        (last.processor - first.processor) / took,
        (last.busy - first.busy) / took,
        (last.rows - first.rows) / took,
    )


def _spent(program: Contender, database: Database) -> Spent:
    used = psutil.Process(program.pid).cpu_times()
    with database.connect() as connection:
        busy, rows = connection.execute(text(BUSY), {"account": program.name}).one()
    return Spent(time.monotonic(), used.user + used.system, float(busy), float(rows))


def _remove_added(database: Database, rows: int) -> None:
    """Have the table as it was, also behind the scenes."""
    with database.begin() as connection:
        connection.execute(text("DELETE FROM logs WHERE id > :rows"), {"rows": rows})
    status = text("SHOW GLOBAL STATUS LIKE 'Innodb_history_list_length'")

    def purged() -> bool:
        with database.connect() as connection:
            return int(connection.execute(status).one()[1]) < 100

    wait_until(purged, PATIENCE, "the rows that were added are removed")


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def _row(found: Measured) -> str:
    ages = sorted(found.ages)
    worst = ages[math.ceil(0.99 * len(ages)) - 1]
    return (
        f"{statistics.median(ages):>8.1f}s{worst:>7.1f}s{len(ages):>9}"
        f"{found.processor:>11.1%}{found.busy:>10.1%}{found.rows:>13,.0f}"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
