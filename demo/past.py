"""The past of a gateway that has grown: it began with two channels, and has all since lately.

That is how gateways grow, and it keeps the demo quick: a month of every series would be five
times as many samples.
"""

from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import URL

from demo import schema
from demo.load import load, prepare
from demo.world import DAY, ENABLED, MANUALLY_DISABLED
from demo.writing import STATEMENT_TIMEOUT
from newapi.database import Database
from newapi.dsn import parse_dsn

GROWN = 2
"""Days, at most, for which it has had all of its channels and keys."""

FIRST_CHANNELS = (4, 8)
FIRST_KEYS = (2, 3, 4, 6)
FIRST_ROWS = 700
"""Log rows a day, before it had all."""

LAST_ROWS = 20_000
"""Log rows since it has all."""

SEED = 1


def make(file: Path, days: int, now: float) -> None:
    """Make a SQLite gateway with so many days behind it; the file appears when it is complete.

    Raises:
        DatabaseError: it cannot be written.
    """
    draft = file.with_name(f".{file.name}.new")
    draft.unlink(missing_ok=True)
    url = parse_dsn(f"sqlite:///{draft}")
    schema.create(url)
    write(url, days, now)
    draft.rename(file)


def write(url: URL, days: int, now: float) -> None:
    """Write the days before `now` (unix seconds) into empty tables.

    Raises:
        DatabaseError: the database refused it.
    """
    database = Database(url, statement_timeout=STATEMENT_TIMEOUT, writable=True)
    try:
        world = prepare(database, SEED, now)
        later = {
            "channels": [
                c.id for c in world.channels if c.status == ENABLED and c.id not in FIRST_CHANNELS
            ],
            "tokens": [k.id for k in world.keys if k.status == ENABLED and k.id not in FIRST_KEYS],
        }
        recent = min(days / 2, GROWN)
        begin, grown = now - days * DAY, now - recent * DAY
        _set(database, later, MANUALLY_DISABLED)
        load(url, rows=int(FIRST_ROWS * (days - recent)), seed=SEED, start=begin, end=grown)
        _set(database, later, ENABLED)
        load(url, rows=LAST_ROWS, seed=SEED + 1, start=grown, end=now)
    finally:
        database.close()


def _set(database: Database, things: dict[str, list[int]], status: int) -> None:
    with database.begin() as connection:
        for table, ids in things.items():
            connection.execute(
                text(f"UPDATE {table} SET status = :status WHERE id = :id"),  # noqa: S608
                [{"id": number, "status": status} for number in ids],
            )
