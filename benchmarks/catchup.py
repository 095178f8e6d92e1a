"""Rows a second at which a log table is read to its end, and what else could read it so fast."""

import gc
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pymysql
from sqlalchemy.engine import URL

from demo.schema import create
from exporter.fill import Filler
from exporter.ledger import Ledger
from exporter.poll import Poller
from exporter.position import Position
from exporter.serve import COLLECT_EVERY
from exporter.state import State
from exporter.status import Status
from newapi.database import Database
from newapi.dsn import parse_dsn
from tests.bulk import drop_unread_indexes, fill
from tests.servers import MariaDB, Postgres

ROWS = 5_000_000
ROUNDS = 3

COLUMNS = (
    "id, created_at, type, channel_id, model_name, user_id, token_id, token_name, quota,"
    " prompt_tokens, completion_tokens, use_time, is_stream, request_id, other"
)
READ = f"SELECT {COLUMNS} FROM logs"
GROUPED = (
    "SELECT channel_id, model_name, token_id, user_id, COUNT(*), SUM(prompt_tokens),"
    " SUM(completion_tokens), SUM(quota), SUM(use_time) FROM logs WHERE type = 2"
    " GROUP BY channel_id, model_name, token_id, user_id"
)


def exporter(url: URL) -> int:
    """Count all rows as the exporter does; gives the number of them."""
    gc.set_threshold(COLLECT_EVERY, *gc.get_threshold()[1:])
    with tempfile.TemporaryDirectory() as folder:
        database, state, status = Database(url), State(Path(folder)), Status()
        ledger = Ledger(state, ZoneInfo("UTC"), 20, 20_000, time.time)
        ledger.begin(Position())
        filler = Filler(ledger, time.time)
        Poller(database, ledger, filler, status, time.time).poll()
        state.close()
        database.close()
        if not status.caught_up:
            raise RuntimeError(status.reasons())
        return status.rows_read


def client(url: URL) -> int:
    """Read the same columns with the database's own client, to nowhere."""
    place = ["-h", str(url.host), f"-{'P' if url.get_backend_name() == 'mysql' else 'p'}"]
    place.append(str(url.port))
    commands = {
        "mysql": ["mariadb", "--no-defaults", *place, "-u", "root", "--quick", "-e", READ],
        "postgresql": ["psql", "-X", *place, "-U", "postgres", "-c", f"COPY ({READ}) TO STDOUT"],
        "sqlite": ["sqlite3", str(url.database), READ],
    }
    program, *arguments = commands[url.get_backend_name()]
    if url.get_backend_name() != "sqlite":
        arguments += ["-d" if program == "psql" else "-D", str(url.database)]
    places = f"{os.environ['PATH']}:{Path('.tools/bin').absolute()}"
    found = shutil.which(program, path=places)
    if found is None:
        raise RuntimeError(f"{program} is missing")
    command = [found, *arguments]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return 0


def loop(url: URL) -> int:
    """Read the same columns with the driver, parse `other`, and sum up in a dict."""
    sums: dict[tuple[int, str, int, int], list[int]] = {}
    rows = 0
    connection, cursor = _cursor(url)
    cursor.execute(READ)
    while page := cursor.fetchmany(5000):
        rows += len(page)
        for row in page:
            other = json.loads(row[14]) if row[14] else {}
            mine = sums.setdefault((row[3], row[4], row[6], row[5]), [0] * 6)
            mine[0] += 1
            for index, value in enumerate((*row[8:12], other.get("cache_tokens", 0)), 1):
                mine[index] += value
    connection.close()
    return rows


def grouped(url: URL) -> int:
    """Let the database sum up, without what is in `other`."""
    connection, cursor = _cursor(url)
    cursor.execute(GROUPED)
    cursor.fetchall()
    connection.close()
    return 0


def _cursor(url: URL):  # type: ignore[no-untyped-def]  # noqa: ANN202  (three drivers)
    if url.get_backend_name() == "mysql":
        mysql = pymysql.connect(
            host=url.host, port=url.port or 3306, user="root", database=url.database,
            cursorclass=pymysql.cursors.SSCursor,
        )  # fmt: skip
        return mysql, mysql.cursor()
    if url.get_backend_name() == "postgresql":
        text = url.set(drivername="postgresql").render_as_string(hide_password=False)
        postgres = psycopg.connect(text)
        return postgres, postgres.cursor("bench")
    sqlite = sqlite3.connect(f"file:{url.database}?mode=ro", uri=True)
    return sqlite, sqlite.cursor()


WAYS: dict[str, Callable[[URL], int]] = {
    "exporter": exporter, "client": client, "loop": loop, "grouped": grouped,
}  # fmt: skip


def main(rows: int = ROWS, rounds: int = ROUNDS) -> None:
    """Print rows a second of each way, alternating, on each database."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp())
        stack.callback(shutil.rmtree, folder)
        urls = {
            "MariaDB": stack.enter_context(MariaDB()).create_database("bench"),
            "PostgreSQL": stack.enter_context(Postgres()).create_database("bench"),
            "SQLite": f"sqlite:///{folder}/one-api.db",
        }
        print(f"\nCatching up, {rows:,} rows, median of {rounds}, rows a second (peak memory):")
        for name, dsn in urls.items():
            url = parse_dsn(dsn)
            create(url)
            database = Database(url, statement_timeout=600, writable=True)
            drop_unread_indexes(database)
            fill(database, rows, start=int(time.time()) - rows // 1000, per_second=1000)
            database.close()
            found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
            for _ in range(rounds):
                for way in WAYS:
                    found[way].append(_measured(way, dsn))
            for way, measured in found.items():
                seconds, memory = (
                    statistics.median(column) for column in zip(*measured, strict=True)
                )
                print(f"  {name:<11} {way:<9} {rows / seconds:>10,.0f}  ({memory:.0f} MB)")


def _measured(way: str, dsn: str) -> tuple[float, float]:
    """Run a way in a process of its own; gives its seconds and MB."""
    command = [sys.executable, "-m", "benchmarks.catchup", way]
    environment = os.environ | {"SQL_DSN": dsn}
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise RuntimeError(answer.stderr)
    seconds, memory = answer.stdout.split()
    return float(seconds), float(memory)


def _once(way: str) -> None:
    url = parse_dsn(os.environ["SQL_DSN"])
    started = time.perf_counter()
    WAYS[way](url)
    seconds = time.perf_counter() - started
    print(seconds, _peak())


def _peak() -> float:
    """Give the most MB that this process had in memory; getrusage() knows its parent's, too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in WAYS:
        _once(sys.argv[1])
    else:
        main(*map(int, sys.argv[1:]))
