"""What being read costs the gateway: its log rows a second, and how long each takes to write.

Four writers insert log rows as the gateway does, each row in a transaction of its own, into a table
with all of the gateway's indexes; on SQLite with its rollback journal and its 5 s of patience, and
at full speed with one writer. Slices in which nobody reads alternate with slices of three others,
and each slice of these is compared with the mean of the two beside it, so that what else the
machine does falls out:

- the monitor: newapi-exporter with the settings, the account and the example rules that ship,
  scraped as often as the Prometheus that ships does it. It starts before each slice and counts
  what was written since, and is stopped again where it is not its turn.
- a bystander: a process that takes as much of the same processors as the exporter did in its last
  slice, and never asks the database. What the gateway loses beside it, it loses to the machine.
- the sums: one GROUP BY over the log table every 15 s, as a query exporter would be given it. It
  shows whether the measurement can tell a cost at all. It grows with the table, which is small.

"nobody" is compared in the same way with the slices of nobody before and after: that is the noise.

Each database is measured three times. Apart: writers and server at full speed on all processors
but the last, the exporter on that one; what the gateway loses then is what the database itself does
for the reader. Shared: the same with everything on all processors, as on a small server, where the
exporter takes from the gateway what it computes, too. Steady: shared, at a fixed rate, so that a
cost shows in the latency alone.

A latency is from BEGIN until COMMIT has ended. Servers do not wait for the disk on commit: that
would take longer than all else, and vary by more than what is looked for. SQLite does. CPU/row is
what writers and server take together for each row: at full speed apart it is the rate turned over,
and suffers less from what else wants the processors. Served is the server's processor time that
went into serving the exporter, by the clock of that thread or process alone, and share the same as
a part of all that the server took: the figures that a busy machine blurs least. Waits are for row
locks on MariaDB, on PostgreSQL for any lock, of 10 ms or more. On SQLite rows are lost, and
readings fail, for which the file stayed locked for 5 s.

A slice of 15 s has each thing once that is done every 15 s: reading the inventory, a scrape of
/metrics. Prometheus itself is not here, since it does not touch the database. The writers are
Python, and take more from the processors than a gateway does for its log.

At the end all rows that were committed have to be there, and every counter has to equal SQL.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from benchmarks.gateway_databases import Place, mariadb, postgres, sqlite
from benchmarks.gateway_slices import Bench, Reader, Slice
from benchmarks.gateway_writers import Writers
from demo.load import prepare
from newapi.database import Database
from newapi.dsn import parse_dsn
from tests.bulk import MANAGE, fill
from tests.gateway import run

SECONDS = 15.0
ROUNDS = 3
WRITERS = 4
ROWS = 100_000
"""In the log table before: of a type that is read and not counted."""


class Mode(NamedTuple):
    """How it is measured."""

    name: str
    apart: bool
    steady: bool


MODES = (Mode("apart", True, False), Mode("shared", False, False), Mode("steady", False, True))


@dataclass(frozen=True)
class Kind:
    """A kind of database."""

    name: str
    place: Callable[[], AbstractContextManager[Place]]
    """Makes a new one."""
    writers: int
    """At full speed. Several would starve each other on SQLite, until rows are lost."""
    rate: float
    """Rows a second of all writers, where it is fixed."""


KINDS = (
    Kind("MariaDB", mariadb, WRITERS, 2000),
    Kind("PostgreSQL", postgres, WRITERS, 2000),
    Kind("SQLite", sqlite, 1, 20),
)

COMPARED = ("rate", "median", "p99", "cpu")
"""The fields of a slice that are compared with those of its neighbours."""


def main(seconds: float | str = SECONDS, rounds: int | str = ROUNDS, *only: str) -> None:
    """Measure, and print.

    Args:
        seconds: of a slice.
        rounds: in each, two slices of the monitor and of the bystander, one of the sums, and five
            of nobody.
        only: a kind of database, a mode, or both; all without.
    """
    print(f"\nWhat it costs the gateway, slices of {seconds} s:")
    for kind in KINDS:
        for mode in MODES:
            if {kind.name, mode.name} >= set(only):
                slices = _measure(kind, mode, float(seconds), int(rounds))
                print(f"  {kind.name}, {mode.name}\n{_report(slices)}", flush=True)


def _measure(kind: Kind, mode: Mode, seconds: float, rounds: int) -> list[Slice]:
    processors = sorted(os.sched_getaffinity(0))
    gateway, monitor = processors, processors
    if mode.apart:
        gateway, monitor = processors[:-1] or processors, processors[-1:]
    many, rate = kind.writers, None
    if mode.steady:
        many, rate = WRITERS, kind.rate / WRITERS
    with _on(gateway), kind.place() as place:
        _furnish(place.dsn)
        with Writers(place.dsn, many) as writers, _on(monitor):
            return Bench(place, writers, rate, seconds).measure(rounds)


def _furnish(dsn: str) -> None:
    """Put an inventory and some history into the gateway's tables."""
    database = Database(parse_dsn(dsn), statement_timeout=120, writable=True)
    prepare(database, seed=1, now=time.time())
    fill(database, ROWS, start=int(time.time()) - ROWS, per_second=1, kind=MANAGE)
    if database.dialect == "postgresql":  # the next id, and what it does by itself in time
        run(database, f"SELECT setval('logs_id_seq', {ROWS})", "ANALYZE logs")
    database.close()


@contextmanager
def _on(processors: list[int]) -> Iterator[None]:
    """Keep this thread, and all that it starts, on some processors."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _report(slices: list[Slice]) -> str:
    """Give a line of figures for each reader, and one of how it compares with nobody."""
    head = ("slices", "rows/s", "median ms", "p99 ms", "worst ms", "CPU us/row", "lost", "failed",
            "waits", "statements/s", "served ms/s", "share %", "exporter %")  # fmt: skip
    lines = [_line("reader", head)]
    for reader in Reader:
        mine = [one for one in slices if one.reader is reader]
        rate, middle, p99, cpu, statements, served, share, exporter = (
            statistics.median(getattr(one, field) for one in mine)
            for field in (*COMPARED, "statements", "served", "share", "exporter")
        )
        worst = max(one.worst for one in mine)
        lost, failed, waits = (
            sum(getattr(one, field) for one in mine) for field in ("lost", "failed", "lock_waits")
        )
        figures = (
            f"{len(mine)}", f"{rate:,.0f}", f"{middle:.2f}", f"{p99:.2f}", f"{worst:.1f}",
            f"{cpu:.0f}", f"{lost}", f"{failed}", f"{waits}", f"{statements:.1f}", f"{served:.2f}",
            f"{share:.2f}", f"{exporter:.1f}",
        )  # fmt: skip
        lines.append(_line(reader, figures))
    lines.append(_line("times nobody", ("pairs", "rows/s", "median", "p99", "CPU/row"), 22))
    for reader, pairs in _ratios(slices).items():
        spreads = (_spread(column) for column in zip(*pairs, strict=True))
        lines.append(_line(reader, (f"{len(pairs)}", *spreads), 22))
    lines.append(f"    {sum(one.rows for one in slices):,} rows were committed, and all counted")
    return "\n".join(lines)


def _line(name: str, cells: Sequence[str], width: int = 13) -> str:
    first, *others = cells
    return f"    {name:<13}{first:>6}" + "".join(f"{cell:>{width}}" for cell in others)


def _ratios(slices: list[Slice]) -> dict[Reader, list[list[float]]]:
    """Compare each slice with the mean of the two beside it in which nobody read."""
    found: dict[Reader, list[list[float]]] = {reader: [] for reader in Reader}
    for index in range(1, len(slices) - 1):
        reader = slices[index].reader
        reach = 2 if reader is Reader.NOBODY else 1
        beside = slices[index - reach], slices[index + reach]
        usual = [statistics.mean(getattr(one, field) for one in beside) for field in COMPARED]
        pair = zip(COMPARED, usual, strict=True)
        found[reader].append([getattr(slices[index], field) / value for field, value in pair])
    return found


def _spread(values: Sequence[float]) -> str:
    """Give the median, and the quartiles."""
    if len(values) == 1:
        return f"{values[0]:.3f}"
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{middle:.3f} ({low:.3f}-{high:.3f})"


if __name__ == "__main__":
    main(*sys.argv[1:])
