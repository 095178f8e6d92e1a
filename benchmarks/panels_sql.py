"""How long the panels take that ask the gateway's database, over a day and over 30 days."""

import statistics
import sys
import time
from contextlib import ExitStack, closing

from demo.schema import create
from newapi.database import Database, DatabaseError, Fault
from newapi.dsn import parse_dsn
from tests.bulk import Spread, drop_indexes, fill
from tests.grafana_queries import dashboard, statements
from tests.grafana_queries import fill as filled
from tests.servers import MariaDB, Postgres

ROWS = 10_000_000
ROUNDS = 3
DAYS = 30
DAY = 86400
LIMIT = 10
"""Seconds of a statement of Grafana's account (deploy/grants/)."""
LOADING = 3600

SPREAD = Spread(channels=200, models=10, keys=5000, users=500, each_model=200, failed=50)
PAGES = ("logs", "errors", "performance")
CHOSEN = (
    ("logs", "Rows found", {"channel": "7"}),
    ("logs", "Rows found", {"model_part": "nobody"}),
    ("logs", "Found", {"channel": "7"}),
    ("errors", "Failures", {"channel": "7"}),
    ("performance", "20 slowest requests", {"model": "model-7"}),
)
"""Panels with a filter: for what some rows pass, and for what none does."""
MARIADB = ("--innodb-buffer-pool-size=1G", "--innodb-log-file-size=1G")
POSTGRES = ("shared_buffers=1GB", "max_wal_size=4GB")


def main(rows: int = ROWS, rounds: int = ROUNDS) -> None:
    """Print what each panel takes on each database."""
    with ExitStack() as stack:
        dsns = {
            "MariaDB": stack.enter_context(MariaDB(*MARIADB)).create_database("bench"),
            "PostgreSQL": stack.enter_context(Postgres(*POSTGRES)).create_database("bench"),
        }
        for name, dsn in dsns.items():
            began = time.perf_counter()
            end = _load(dsn, rows)
            taken = time.perf_counter() - began
            days = rows / _per_second(rows) / DAY
            print(
                f"\nPanels from {name}, {rows:,} rows of {days:.1f} days, all indexes of New API,"
                f" loaded in {taken:.0f} s; milliseconds, median of {rounds}:"
            )
            print(f"    {'page':<13}{'panel':<22}{'filter':<20}{'24h':>9}{'30d':>9}{'limit':>9}")
            with closing(Database(parse_dsn(dsn), statement_timeout=LIMIT)) as database:
                for page, panel, chosen in _panels():
                    _print(database, page, panel, chosen, end, rounds)


def _load(dsn: str, rows: int) -> int:
    """Fill a new table; gives the time of its last row."""
    url = parse_dsn(dsn)
    create(url)
    per_second = _per_second(rows)
    end = int(time.time())
    with closing(Database(url, statement_timeout=LOADING, writable=True)) as database:
        start = end - rows // per_second
        indexes = drop_indexes(database)
        fill(database, rows, start=start, per_second=per_second, spread=SPREAD)
        with database.begin() as connection:
            for index in indexes:
                connection.exec_driver_sql(index)
        mysql = database.dialect == "mysql"
        with database.connect() as connection:
            connection.exec_driver_sql("ANALYZE TABLE logs" if mysql else "VACUUM ANALYZE logs")
    return end


def _per_second(rows: int) -> int:
    """Give how many rows share a second, so that none is older than DAYS."""
    return -(-rows // (DAYS * DAY))


def _panels() -> list[tuple[str, str, dict[str, str]]]:
    none: dict[str, str] = {}
    plain = [(page, panel, none) for page in PAGES for panel in statements(dashboard("en", page))]
    return [*plain, *CHOSEN]


def _print(
    database: Database, page: str, panel: str, chosen: dict[str, str], end: int, rounds: int
) -> None:
    statement = statements(dashboard("en", page))[panel]
    medians = []
    for days in (1, DAYS):
        sql = filled(statement, end - days * DAY, end, **{"row": "1000", **chosen})
        taken = [_seconds(database, sql) for _ in range(rounds + 1)][1:]
        medians.append(1000 * statistics.median(taken))
    shown = ", ".join(f"{name} {value}" for name, value in chosen.items())
    late = "passed" if max(medians) >= 1000 * LIMIT else ""
    print(
        f"    {page:<13}{panel:<22}{shown:<20}{medians[0]:>9,.0f}{medians[1]:>9,.0f}{late:>9}",
        flush=True,
    )


def _seconds(database: Database, sql: str) -> float:
    """Give what a statement takes; the server ends it at LIMIT."""
    started = time.perf_counter()
    try:
        with database.connect() as connection:
            connection.exec_driver_sql(sql.replace("%", "%%")).all()
    except DatabaseError as error:
        if error.fault is not Fault.TIMEOUT:
            raise
    return time.perf_counter() - started


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
