"""Slices of time in which a gateway writes, and nobody, the monitor or somebody else reads."""

import sqlite3
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import psutil
from sqlalchemy import text

from benchmarks.catchup import grouped
from benchmarks.gateway_bystander import bystander
from benchmarks.gateway_databases import Place
from benchmarks.gateway_writers import Turn, Writers
from newapi.database import Database
from newapi.dsn import parse_dsn
from tests.oracle import differences, newapi_sums
from tests.programs import Exporter
from tests.servers.process import wait_until

WARM_UP = 3.0
"""Seconds before a slice in which everything is at work already: longer than POLL_INTERVAL."""

ALERTS_EVERY, METRICS_EVERY = 2.0, 15.0
"""Seconds between two scrapes, as in prometheus/prometheus.yml.j2."""

HOLD = 20
"""NEW_SERIES_HOLD as it ships, seconds."""

SETTINGS = {
    "NEW_SERIES_HOLD": str(HOLD),
    "ALERTS_FILE": str(Path(__file__).absolute().parent.parent / "alerts.yml"),
}
"""What ships, where the tests' exporter has something else."""


class Reader(StrEnum):
    """Who reads in a slice."""

    NOBODY = "nobody"
    MONITOR = "the monitor"
    BYSTANDER = "a bystander"
    SUMS = "the sums"


ROUND = (
    Reader.MONITOR, Reader.NOBODY, Reader.BYSTANDER, Reader.NOBODY,
    Reader.MONITOR, Reader.NOBODY, Reader.BYSTANDER, Reader.NOBODY,
    Reader.SUMS, Reader.NOBODY,
)  # fmt: skip


class Slice(NamedTuple):
    """What was measured in one."""

    reader: Reader
    rate: float
    """Rows a second."""
    median: float
    """Milliseconds of a transaction, as the two that follow."""
    p99: float
    worst: float
    cpu: float
    """Microseconds of processor time of the writers and the server for each row."""
    rows: int
    """Committed, those of the warm-up among them."""
    lost: int
    failed: int
    """Readings that failed, and pages that were not there."""
    statements: float
    """A second, of whoever does not write."""
    lock_waits: int
    served: float
    """Milliseconds of processor time a second that the server spent on serving the exporter."""
    share: float
    """The same in percent of all that the server took."""
    exporter: float
    """Percent of a processor that the exporter itself took."""


class Bench:
    """Writers at work on one database, and the readers of it.

    Args:
        place: where; no log row is in it that the exporter would count.
        writers: that are running.
        rate: rows a second of one writer; None: as fast as it can.
        seconds: of a slice.
    """

    def __init__(self, place: Place, writers: Writers, rate: float | None, seconds: float) -> None:
        self._exporter = Exporter({**SETTINGS, "SQL_DSN": place.reader})
        self._place = place
        self._writers = writers
        self._rate = rate
        self._seconds = seconds
        self._took = 0.0

    def measure(self, rounds: int) -> list[Slice]:
        """Let them take turns, with nobody at the beginning, at the end and between any two.

        Raises:
            RuntimeError: a row is missing, or a counter of the exporter is wrong.
        """
        before = self._present()
        with self._exporter:  # counting begins before the first row is written
            self._exporter.stop()
            slices = [self._slice(reader) for reader in (Reader.NOBODY, *ROUND * rounds)]
            written, present = sum(one.rows for one in slices), self._present() - before
            if written != present:
                raise RuntimeError(f"{written} rows were committed, {present} are there")
            self._exporter.start()
            expected = newapi_sums(self._place.dsn)
            try:
                wait_until(lambda: not differences(self._exporter.metrics(), expected), HOLD + 10)
            except TimeoutError:
                wrong = differences(self._exporter.metrics(), expected)
                raise RuntimeError("\n".join(wrong)) from None
        return slices

    def _slice(self, reader: Reader) -> Slice:
        if reader is Reader.BYSTANDER:  # as much as the exporter took in the last slice of its own
            with bystander(self._took):
                return self._measured(reader)
        return self._measured(reader)

    def _measured(self, reader: Reader) -> Slice:
        # What comes before a slice is the same for all: the exporter counts what was written.
        self._exporter.start()
        if reader is not Reader.MONITOR:
            self._exporter.stop()
        start = time.monotonic() + 0.1
        begin = start + WARM_UP
        turn = Turn(start, begin, begin + self._seconds, self._rate)
        self._writers.begin(turn)
        with ThreadPoolExecutor() as pool:
            work = [pool.submit(_repeat, turn, *work) for work in self._asked(reader)]
            _sleep_until(turn.begin)
            before, used = self._place.counts(), self._exporter_cpu()
            _sleep_until(turn.end)
            after, used = self._place.counts(), self._exporter_cpu() - used
            failed = sum(done.result() for done in work)
        written = self._writers.finish(turn)
        failed += self._errors()
        if reader is Reader.MONITOR:
            self._took = 100 * used / self._seconds
        self._exporter.stop()
        cpu, statements, lock_waits, served = 0.0, 0, 0, 0.0
        if before is not None and after is not None:
            cpu = after.cpu - before.cpu
            statements = after.statements - before.statements
            lock_waits = after.lock_waits - before.lock_waits
            served = sum(
                seconds - before.reader.get(thread, 0) for thread, seconds in after.reader.items()
            )
        times, rows = sorted(written.seconds), len(written.seconds)
        return Slice(
            reader=reader,
            rate=rows / self._seconds,
            median=1e3 * statistics.median(times),
            p99=1e3 * times[int(0.99 * rows)],
            worst=1e3 * times[-1],
            cpu=1e6 * (written.cpu + cpu) / rows,
            rows=written.rows,
            lost=written.lost,
            failed=failed,
            statements=statements / self._seconds,
            lock_waits=lock_waits,
            served=1e3 * served / self._seconds,
            share=100 * served / cpu if cpu else 0.0,
            exporter=100 * used / self._seconds,
        )

    def _asked(self, reader: Reader) -> list[tuple[float, Callable[[], bool]]]:
        """Give what a reader is asked for, and every how many seconds."""
        if reader is Reader.MONITOR:
            return [
                (ALERTS_EVERY, lambda: self._exporter.get("/metrics/alerts").ok),
                (METRICS_EVERY, lambda: self._exporter.get("/metrics").ok),
            ]
        if reader is Reader.SUMS:
            return [(METRICS_EVERY, self._sum_up)]
        return []

    def _sum_up(self) -> bool:
        try:
            grouped(parse_dsn(self._place.dsn))
        except sqlite3.OperationalError:  # locked
            return False
        return True

    def _errors(self) -> int:
        """Count what the exporter failed at in its slice."""
        if not self._exporter.running:
            return 0
        kinds = self._exporter.metrics().get("newapi_exporter_errors_total", {})
        return int(sum(kinds.values()))

    def _exporter_cpu(self) -> float:
        if not self._exporter.running:
            return 0.0
        times = psutil.Process(self._exporter.pid).cpu_times()
        return times.user + times.system

    def _present(self) -> int:
        database = Database(parse_dsn(self._place.dsn), statement_timeout=60)
        with database.connect() as connection:
            rows: int = connection.execute(text("SELECT COUNT(*) FROM logs")).scalar_one()
        database.close()
        return rows


def _repeat(turn: Turn, every: float, work: Callable[[], bool]) -> int:
    """Do something in the middle of each interval of a turn; gives how often it failed."""
    due, failed = turn.begin + min(every, turn.end - turn.begin) / 2, 0
    while due < turn.end:
        _sleep_until(due)
        failed += not work()
        due += every
    return failed


def _sleep_until(moment: float) -> None:
    time.sleep(max(moment - time.monotonic(), 0))
