"""Rows in bulk: history for dashboards and backfills, steady load for benchmarks."""

import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice

from sqlalchemy import text
from sqlalchemy.engine import URL

from demo import inventory, rhythm, world
from demo.history import stretch
from demo.ledger import BATCH_UPDATE_INTERVAL, Ledger
from demo.log import Entry
from demo.unasked import format_of
from demo.world import DAY, Sizes, World
from demo.writing import STATEMENT_TIMEOUT, LogInsert, Writers
from newapi.database import Database
from newapi.schema import inspect

log = logging.getLogger(__name__)

SLICE = 0.1
"""Seconds of rows that are written together where a rate is asked for."""


def prepare(database: Database, seed: int, now: float, sizes: Sizes | None = None) -> World:
    """Give the inventory of a gateway's database; one that has no channels yet gets one.

    Args:
        database: writable, with the gateway's tables.
        seed: of the inventory that is written.
        now: unix seconds.
        sizes: of the inventory that is written.

    Raises:
        DatabaseError: it cannot be reached, or lacks a table.
    """
    with database.begin() as connection:
        schema = inspect(connection)
        schema.require("channels")
        if not connection.execute(text("SELECT count(*) FROM channels")).scalar_one():
            inventory.install(connection, world.build(schema.flavour, seed, now, sizes), now)
        return inventory.read(connection)


def load(  # noqa: PLR0913  (every choice has a default, and a test that needs it)
    url: URL,
    *,
    rows: int,
    rate: float | None = None,
    writers: int = 1,
    seed: int = 1,
    start: float | None = None,
    end: float | None = None,
    batch: int = 5000,
    linger: float = 0.0,
    sizes: Sizes | None = None,
    clock: Callable[[], float] = time.time,
) -> Counter[int]:
    """Insert exactly so many rows into a log table, and add up what keys, users, channels used.

    Without a rate, rows spread over a stretch of time by the daily rhythm and go in as fast as
    they can; the same inventory, seed and stretch give the same rows, and what keys and users
    have left stays as it is. With one, rows carry the time at which they are written, come at
    that rate, and are paid for. The flavour is told by the tables. An inventory is written first
    where there is none.

    Args:
        url: the database, as parse_dsn gives it; it has the gateway's tables.
        rows: how many.
        rate: rows a second.
        writers: connections that insert at the same time, each in transactions of its own, so
            that rows become visible out of the order of their ids. SQLite has one.
        seed: of the inventory and the rows.
        start: unix seconds; default a day before the end.
        end: unix seconds; default now.
        batch: rows of a transaction, at most.
        linger: seconds; a writer waits for up to so long, at random, before it commits.
        sizes: of the inventory.
        clock: gives unix seconds.

    Returns:
        The number of rows inserted, by type.

    Raises:
        DatabaseError: the database cannot be reached, lacks a table, or refused a row.
        ValueError: end is not later than start, or no channel is enabled.
    """
    database = Database(url, statement_timeout=STATEMENT_TIMEOUT, writable=True)
    began = clock()
    try:
        place = prepare(database, seed, began, sizes)
        rng = random.Random(f"rows {seed}")
        if rate is not None:
            entries = stretch(place, rng, rows, lambda _: clock())
            chunks = _paced(entries, rows, rate, batch, clock)
        else:
            until = began if end is None else end
            moment = rhythm.spread(until - DAY if start is None else start, until)
            entries = stretch(place, rng, rows, lambda reached: moment(reached / rows))
            chunks = _chunks(entries, batch)
        insert = LogInsert(database.dialect, format_of(place.flavour).columns)
        with Writers(url, insert, writers, linger) as pool:
            counted = _write(chunks, pool, database, clock, past=rate is None)
    finally:
        database.close()
    log.info("%d rows in %.1f s", counted.total(), clock() - began)
    return counted


def _chunks(entries: Iterator[Entry], size: int) -> Iterator[list[Entry]]:
    while chunk := list(islice(entries, size)):
        yield chunk


def _paced(
    entries: Iterator[Entry], rows: int, rate: float, batch: int, clock: Callable[[], float]
) -> Iterator[list[Entry]]:
    """Give rows when they are due, in slices of time."""
    began, sent = clock(), 0
    while sent < rows:
        due = min(rows, int((clock() - began) * rate) + 1)
        while sent < due:
            chunk = list(islice(entries, min(batch, due - sent)))
            sent += len(chunk)
            yield chunk
        time.sleep(max(0.0, min(SLICE, began + sent / rate - clock())))


def _write(
    chunks: Iterator[list[Entry]],
    pool: Writers,
    database: Database,
    clock: Callable[[], float],
    *,
    past: bool,
) -> Counter[int]:
    counted: Counter[int] = Counter()
    ledger = Ledger()
    written = clock()
    for chunk in chunks:
        pool.put([entry.row for entry in chunk])
        counted.update(entry.type for entry in chunk)
        ledger.add_all(entry.charge for entry in chunk)
        if clock() - written > BATCH_UPDATE_INTERVAL:
            with database.begin() as connection:
                ledger.write(connection, past=past)
            written = clock()
    with database.begin() as connection:
        ledger.write(connection, past=past)
    return counted
