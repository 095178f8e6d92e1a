"""What one scrapes while a gateway is busy: how old it is and what it costs, by size of the table.

The log table is MariaDB's, with all of it in memory, and grows by 2,000 rows a second. The exporter
and its rivals follow it in turn, one at a time, each with an account of its own, and are scraped
every 15 seconds. They are all measured in the same way:

- Age: how long ago, when the scrape begins, the newest row was committed that is in the scraped
  sum of requests. The writer notes when each of its transactions was committed and how many rows
  there were then; what was scraped before it began is subtracted. A scrape comes at a random
  moment of its 15 seconds: two things that are done every 15 seconds would keep the distance that
  they had by chance.
- CPU: what user and system time of the process grew by.
- DB: what the account's BUSY_TIME, CPU_TIME and ROWS_READ grew by (userstat=1), from the end
  of one of its statements to the end of another, since the server adds them only then. A query:
  CPU_TIME of a SELECT, which depends least on what else the machine does.

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
from pathlib import Path
from typing import NamedTuple, Self

import psutil
from sqlalchemy import text

from benchmarks.rivals import CONTENDERS, INTERVAL, Contender, Figures
from demo.schema import create
from newapi.database import Database
from newapi.dsn import parse_dsn
from newapi.logs import columns_of
from newapi.schema import Flavour
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

USED = """
SELECT SELECT_COMMANDS, BUSY_TIME, CPU_TIME, ROWS_READ
FROM information_schema.USER_STATISTICS WHERE USER = :account
"""
_TAKEN = {name: name for name in columns_of(Flavour.NEW_API)}
_TAKEN |= {"id": "id + :shift", "created_at": "UNIX_TIMESTAMP()"}
ADD = f"""
INSERT INTO logs ({", ".join(_TAKEN)}) SELECT {", ".join(_TAKEN.values())} FROM logs
WHERE id <= {TOGETHER}
"""
SUMS = """
SELECT COUNT(*), SUM(prompt_tokens), SUM(completion_tokens), SUM(quota) FROM logs WHERE id > :rows
"""


class Writer:
    """Adds rows at a steady rate while it is open: the first rows of the table again and again.

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
    def rate(self) -> float:
        """Rows a second that it has added."""
        return len(self._totals) * TOGETHER / (time.monotonic() - self._began)

    def age(self, moment: float, counted: float) -> float:
        """Give the seconds by which the row that made so many was committed before a moment."""
        index = bisect_left(self._totals, counted)
        if index == len(self._moments):  # committed just now
            return 0.0
        return max(moment - self._moments[index], 0.0)

    def _write(self) -> None:
        total = 0
        while not self._stop.wait(self._began + total / RATE - time.monotonic()):
            with self._database.begin() as connection:
                connection.execute(text(ADD), {"shift": self._rows + total})
            total += TOGETHER
            self._moments.append(time.monotonic())
            self._totals.append(total)


class Used(NamedTuple):
    """What the database has done for an account so far; times in seconds."""

    moment: float
    statements: float
    busy: float
    processor: float
    rows: float


class Measured(NamedTuple):
    """What came of one program.

    Attributes:
        added: rows a second, where the machine has the time.
        ages: seconds, at each scrape.
        processor: seconds a second of the program.
        database: used a second.
    """

    added: float
    ages: list[float]
    processor: float
    database: Used


def main(seconds: int = SECONDS, *sizes: int) -> None:
    """Print what each has to show and what it costs, by size of the table."""
    subprocess.run([FETCH], check=True)
    print(f"\nKeeping up with {RATE:,} rows a second for {seconds} s, scraped every {INTERVAL} s:")
    for rows in sizes or SIZES:
        memory = f"--innodb-buffer-pool-size={256 * 2**20 + rows * BYTES_A_ROW}"
        with MariaDB("--userstat=1", memory) as server:
            database = _table(server, rows)
            print(f"  {rows:,} rows in the table")
            print(f"    {'':<24}{'age p50':>9}{'p99':>8}{'scrapes':>9}{'CPU':>8}", end="")
            print(f"{'DB busy':>9}{'DB CPU':>8}{'a query':>11}{'rows read/s':>13}{'added/s':>9}")
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
            first = _used(program, database)
            process, began = psutil.Process(program.pid), time.monotonic()
            spent = sum(process.cpu_times()[:2])
            ages: list[float] = []
            for start in range(0, seconds, INTERVAL):
                _sleep_until(began + start + rng.uniform(0, min(INTERVAL, seconds - start)))
                moment = time.monotonic()
                counted = program.figures().since(before).requests
                ages.append(writer.age(moment, counted))
            _sleep_until(began + seconds)
            processor = (sum(process.cpu_times()[:2]) - spent) / (time.monotonic() - began)
            last = _used(program, database)
            added = writer.rate
        with database.connect() as connection:
            sums = connection.execute(text(SUMS), {"rows": rows}).one()
        truth = Figures(*map(float, sums))
        wait_until(lambda: program.figures().since(before) == truth, PATIENCE, f"{truth}")
    _remove_added(database, rows)
    took = last.moment - first.moment
    used = Used(*((now - then) / took for now, then in zip(last, first, strict=True)))
    return Measured(added, ages, processor, used)


def _used(program: Contender, database: Database) -> Used:
    """Wait for the end of a statement of the program, and look."""

    def look() -> Used:
        with database.connect() as connection:
            row = connection.execute(text(USED), {"account": program.name}).one()
        return Used(time.monotonic(), *map(float, row))

    before = look().statements
    wait_until(lambda: look().statements > before, PATIENCE, f"a statement of {program.name}")
    return look()


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
        f"{found.processor:>8.1%}{found.database.busy:>9.1%}{found.database.processor:>8.1%}"
        f"{1000 * found.database.processor / found.database.statements:>8,.0f} ms"
        f"{found.database.rows:>13,.0f}{found.added:>9,.0f}"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
