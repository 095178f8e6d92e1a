"""Writes the past as blocks: rows between two points become sums, sums become samples."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain

from exporter.backfill import progress as progresses
from exporter.backfill.blocks import WIDEST, Job, Workshop
from exporter.backfill.grid import STEP
from exporter.backfill.past import FOREVER, Interval, intervals, pieces
from exporter.backfill.progress import Progress
from exporter.backfill.text import END, Sheet
from exporter.exposition.logs import unavailable
from exporter.failed import Failure, due
from exporter.ledger import FAILED
from exporter.position import Gaps, Position
from exporter.series import Catalogue, Series, series_of
from exporter.state import State
from exporter.totals import Totals
from newapi.database import Database
from newapi.events import Event, read_event
from newapi.logs import LogTable
from newapi.rows import LogRow, LogType
from newapi.schema import inspect

JOB = "newapi"
"""The name of the job by which Prometheus scrapes /metrics."""

EDGE = 2 * 3600
"""Seconds; blocks begin and end on multiples, as those that Prometheus makes."""

SAMPLES = 1_000_000
"""A block ends at the next edge where it would hold more: 150 MB of text, and as much memory of
promtool."""

KEPT = 200_000
"""Changed values that are kept in memory before they are written."""

AT_ONCE = min(os.cpu_count() or 1, 4)
"""Runs of promtool at the same time; each takes some 300 MB, half of it the mapped text."""

Report = Callable[[float, Progress], None]
"""Is told the unix second up to which the past was read, and what that came to."""


class Writer:
    """Writes what a backfill has not written yet.

    Args:
        database: where the log table is.
        state: where the backfill was begun.
        progress: how far it has come.
        workshop: where blocks are made.
        limit: series of a metric, beyond which new ones are folded, as in live counting.
        report: is told how it goes.

    Raises:
        DatabaseError: the log table is not there.
    """

    def __init__(
        self,
        database: Database,
        state: State,
        progress: Progress,
        workshop: Workshop,
        limit: int,
        report: Report,
    ) -> None:
        self._database = database
        self._state = state
        self._progress = progress
        self._workshop = workshop
        self._report = report
        with database.connect() as connection:
            schema = inspect(connection)
        self._table = LogTable(schema)
        self._hidden = unavailable(schema, failures_seen=True)
        self._position = state.position() or Position()
        self._gaps = Gaps(state.gaps())
        self._totals = progress.sums
        self._catalogue = Catalogue(self._totals.sums, limit)
        self._pending = {failure.request_id: failure for failure in progress.pending}
        self._running: deque[tuple[Job, str]] = deque()
        self._job: Job | None = None

    def run(self) -> Progress:
        """Write everything up to the boundary, and hand over to live reading.

        Raises:
            DatabaseError: the log table cannot be read.
            BlockError: promtool failed, or a block has gone.
            StateError: the state cannot be saved.
            OSError: a file cannot be written.
        """
        try:
            self._workshop.move(progresses.newest_blocks(self._state))
            self._workshop.clear()
            if not self._progress.complete:
                self._write()
        finally:
            for job in (self._job, *(job for job, _ in self._running)):
                if job is not None:
                    job.cancel()
        self._workshop.close()
        progresses.finish(self._state, self._position, self._progress)
        return self._progress

    def _write(self) -> None:
        grid, reached = self._progress.grid, self._progress.reached
        labels = {"job": JOB, "instance": self._progress.instance}
        sheet = Sheet(self._totals.sums, labels, self._hidden)
        job = self._job = self._workshop.job()
        if reached is None:
            reached = grid.start
            sheet.add(reached, ())
        points = [*range(reached + STEP, grid.last + 1, STEP), grid.moment]
        before: float = reached
        for point, interval in zip(points, self._intervals(reached), strict=True):
            settled = self._settled(point, interval)
            delta = self._admit(interval.delta, settled)
            sheet.appear(self._begin(delta))
            if _full(job, sheet, point):
                self._close(job, sheet, replace(self._progress, reached=int(before)))
                job = self._job = self._workshop.job()
            elif sheet.changed > KEPT:
                job.samples += sheet.write(job.file)
            self._count(delta, interval, settled)
            sheet.add(point, {series_of(m, key) for m, v in delta.sums.items() for key in v})
            before = point
            self._report(point, self._progress)
        self._close(job, sheet, replace(self._progress, reached=grid.last, complete=True))
        while self._running:
            self._commit()

    def _intervals(self, reached: int) -> Iterator[Interval]:
        """Give what is counted between the points after this one.

        Rows of nodes whose clock is ahead are later than the boundary: they make the last sample.
        """
        grid = self._progress.grid
        end = int(grid.moment) + 1
        rows = chain(
            pieces(self._read, reached, end),
            pieces(self._read, end, FOREVER, widest=FOREVER),
        )
        events = ((until, self._events(piece)) for until, piece in rows)
        return intervals(events, reached, grid.last)

    def _read(self, start: int, end: int, limit: int) -> list[LogRow]:
        with self._database.connect() as connection:
            return self._table.since(connection, start, end, list(LogType), limit)

    def _events(self, rows: Iterable[LogRow]) -> list[Event]:
        """Read those rows that live reading will not read."""
        last_id, gaps, flavour = self._position.last_id, self._gaps, self._table.flavour
        read = (
            read_event(row, flavour) for row in rows if row.id <= last_id and row.id not in gaps
        )
        return [event for event in read if event is not None]

    def _settled(self, point: float, interval: Interval) -> list[tuple[Failure, bool]]:
        """Give the failures that are settled at a point, and whether the request failed."""
        found = due(self._pending.values(), point)
        found = [failure for failure in found if failure.request_id not in interval.failures]
        with self._database.connect() as connection:
            won = self._table.succeeded(connection, [failure.request_id for failure in found])
        return [(failure, failure.request_id not in won) for failure in found]

    def _admit(self, delta: Totals, settled: Iterable[tuple[Failure, bool]]) -> Totals:
        for failure, failed in settled:
            if failed:
                delta.add(FAILED, (failure.model,), 1)
        admitted, _ = self._catalogue.admit(delta)
        return admitted

    def _begin(self, delta: Totals) -> set[Series]:
        """Let the series that these sums begin exist, with 0; gives them."""
        new = self._catalogue.new(delta)
        if not new:
            return new
        for metric, values in delta.sums.items():
            for labels in values:
                if series_of(metric, labels) in new:
                    self._totals.add(metric, labels, 0)
        self._catalogue.add(new)
        return new

    def _count(
        self, delta: Totals, interval: Interval, settled: Iterable[tuple[Failure, bool]]
    ) -> None:
        self._totals.merge(delta)
        for failure, _ in settled:
            del self._pending[failure.request_id]
        used = self._progress.used
        now = int(self._progress.grid.moment)
        for failure in interval.failures.values():  # what claims to be of later is settled, too
            at = min(failure.created_at, now)
            self._pending[failure.request_id] = replace(failure, created_at=at)
        for subject, moment in interval.used.items():
            used[subject] = max(used.get(subject, 0), min(moment, now))
        self._progress = replace(self._progress, rows=self._progress.rows + interval.rows)

    def _close(self, job: Job, sheet: Sheet, progress: Progress) -> None:
        """Finish the text of a block, and let promtool make it while reading goes on."""
        job.samples += sheet.write(job.file)
        job.file.write(END)
        self._progress = replace(
            progress,
            samples=progress.samples + job.samples,
            blocks=progress.blocks + (job.samples > 0),
            pending=tuple(self._pending.values()),
        )
        text = self._progress.text()
        while len(self._running) >= AT_ONCE:
            self._commit()
        if job.samples:
            job.start()
        self._running.append((job, text))

    def _commit(self) -> None:
        """Wait for the oldest block, note it and move it to its place."""
        job, text = self._running[0]
        blocks = job.finish()
        progresses.save(self._state, self._position, text, blocks)
        self._workshop.move(blocks)
        self._running.popleft()


def _full(job: Job, sheet: Sheet, point: float) -> bool:
    """Tell whether a block ends before this point."""
    if point % EDGE:
        return False
    more = sheet.width * (EDGE // STEP + 2)
    return point % WIDEST == 0 or job.samples + sheet.pending + more > SAMPLES
