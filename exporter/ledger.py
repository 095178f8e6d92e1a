"""What has been counted and saved. Only what is saved is shown."""

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

from exporter import batch, departed, today
from exporter.batch import Batch
from exporter.changes import Changes
from exporter.departed import Entity, Subject
from exporter.failed import Failure
from exporter.position import Gaps, Position, Step
from exporter.series import Catalogue, Hold, Series, series_of
from exporter.state import State
from exporter.totals import Labels, Totals
from exporter.windows import Buckets, Use, Window
from newapi.events import Event

FAILED = "newapi_failed_requests_total"


class Ledger:
    """Position, totals, days and windows of one gateway, loaded from a state and kept in it.

    A step first saves what it changes, together with the position, and shows it only then: where
    saving fails the numbers stand still, and the same rows are read again.

    Args:
        state: where everything is kept.
        zone: of natural days.
        hold: seconds for which a new series shows 0.
        limit: series of a metric, beyond which new ones are folded.
        clock: gives unix seconds.

    Raises:
        StateError: the state cannot be read.
    """

    def __init__(
        self, state: State, zone: ZoneInfo, hold: float, limit: int, clock: Callable[[], float]
    ) -> None:
        self._state = state
        self._clock = clock
        self._lock = threading.Lock()
        self._watched: tuple[Window, ...] = ()
        self.calendar = today.Calendar(zone)
        with state.reading():
            self._totals = state.sums()
            self._catalogue = Catalogue(self._totals.sums, limit)
            self._hold = Hold(hold, state.held(), clock())
            self._buckets = Buckets(state.cells())
            self._days = today.DaySums(state.days(), limit)
            self._failures = {failure.request_id: failure for failure in state.failures()}
            since = state.noted("counting_since")
            self.counting_since = None if since is None else float(since)
            """Unix time at which counting began; None before."""
            self.position = state.position() or Position()
            self.gaps = Gaps(state.gaps())
            self.entities = state.entities()
        self.folded: Counter[str] = Counter()
        """Additions to `other` since start, by metric."""
        self.newcomers = 0
        """Channels, API keys and users met since start that were not known before."""

    def begin(self, position: Position) -> None:
        """Set the starting point, or that from which nothing can be lost unseen is counted.

        Raises:
            StateError: it cannot be saved.
        """
        now = self._clock()
        self._commit(Step(position), Batch(notes={"counting_since": repr(now)}))
        self.counting_since = now

    def count(self, events: Sequence[Event], step: Step) -> None:
        """Count events, and go on to where a step leads.

        Raises:
            StateError: nothing was counted, since it cannot be saved.
        """
        if not events and step == Step(self.position):
            return
        now = self._clock()
        found = batch.of(events, self.calendar, self._watched, now)
        used = departed.used(self.entities, batch.subjects(events), now)
        self._commit(step, replace(found, entities=used))

    def settle(self, due: Sequence[Failure], succeeded: set[str]) -> None:
        """Count those of the due failures whose request did not succeed after all.

        Raises:
            StateError: it cannot be saved.
        """
        delta = Totals()
        for failure in due:
            if failure.request_id not in succeeded:
                delta.add(FAILED, (failure.model,), 1)
        self._commit(Step(self.position), Batch(delta, settled=due))

    def pending(self) -> list[Failure]:
        """Give the failures that are yet to be settled."""
        return list(self._failures.values())

    def compare(self, existing: Mapping[Subject, Mapping[str, str]]) -> None:
        """Note what exists now; what was deleted long ago goes, with its series.

        Raises:
            StateError: it cannot be saved.
        """
        changed = departed.compare(self.entities, existing, self._clock())
        if changed and self.counting_since is not None:
            self._commit(Step(self.position), Batch(entities=changed))

    def exposed(self) -> None:
        """Note that the numbers can be seen from now on."""
        with self._lock:
            self._hold.restart(self._clock())

    def shift(self, seconds: float) -> None:
        """Take over a clock that was set by so much."""
        self.gaps.shift(seconds)
        self.exposed()

    def release(self) -> None:
        """Let the new series show their values that showed 0 for long enough.

        Raises:
            StateError: it cannot be saved.
        """
        due = self._hold.due(self._clock())
        if due:
            self._state.save(Changes(Step(self.position), released=due))
            with self._lock:
                self._hold.release(due)

    def sums(self) -> dict[str, dict[Labels, int]]:
        """Give a copy of all sums of one moment, as they may be seen."""
        with self._lock:
            sums = self._totals.sums
            return {metric: self._hold.shown(metric, values) for metric, values in sums.items()}

    def series(self) -> dict[str, int]:
        """Give the number of series by metric."""
        with self._lock:
            return self._catalogue.counts()

    def today(self) -> dict[str, dict[Labels, int]]:
        """Give a copy of the sums of today."""
        day = self.calendar_day()
        with self._lock:
            sums = self._days.of(day).sums
            return {metric: dict(values) for metric, values in sums.items()}

    def calendar_day(self) -> date:
        """Give the natural day of this moment."""
        return today.Calendar(self.calendar.zone).day(self._clock())

    def used(self, window: Window) -> Use:
        """Give what was used in a window until now, by target."""
        with self._lock:
            return self._buckets.used(window, self._clock())

    def watch(
        self, windows: Iterable[Window], *, keep: Iterable[Window], notes: Mapping[str, str]
    ) -> None:
        """Set the windows that rules look at; all that was counted in others but `keep` goes.

        Raises:
            StateError: it cannot be saved.
        """
        kept = {window.key for window in keep}
        self._state.forget_windows(kept, notes)
        with self._lock:
            self._buckets.forget_but(kept)
        self._watched = tuple({window.key: window for window in windows}.values())

    def clear_days(self) -> None:
        """Forget what was counted by day.

        Raises:
            StateError: it cannot be saved.
        """
        self._state.clear_days()
        with self._lock:
            self._days.forget()

    def fill(self, events: Sequence[Event], windows: Iterable[Window], *, days: bool) -> None:
        """Add events that had been counted before to windows and days that are being filled.

        Raises:
            StateError: it cannot be saved.
        """
        now = self._clock()
        found = batch.of(events, self.calendar, windows, now)
        past = Batch(cells=found.cells, days=found.days if days else {})
        self._commit(Step(self.position), past)

    def note(self, notes: Mapping[str, str]) -> None:
        """Keep further values by name.

        Raises:
            StateError: it cannot be saved.
        """
        self._commit(Step(self.position), Batch(notes=notes))

    def noted(self, key: str) -> str | None:
        """Give a further value of the state by name."""
        return self._state.noted(key)

    def expire(self) -> None:
        """Drop the buckets that have left their windows, and the days that are over.

        Raises:
            StateError: it cannot be saved.
        """
        now, day = self._clock(), self.calendar_day()
        with self._lock:
            edges = {window.key: self._buckets.expire(window, now) for window in self._watched}
            self._days.forget(before=day)
        self._state.expire(edges, day)

    def _commit(self, step: Step, added: Batch) -> None:
        now = self._clock()
        delta, folded = self._catalogue.admit(added.delta)
        days, folded_days = self._days.admit(added.days)
        new = self._catalogue.new(delta)
        held = new if self._hold.seconds > 0 else set()
        gone = {subject for subject, entity in added.entities.items() if entity is None}
        dropped = self._of(gone)
        self._state.save(
            Changes(
                step,
                sums=_added(self._totals, delta),
                held=held,
                released={series_of(*sum_key) for sum_key in dropped},
                dropped=dropped,
                cells={c: self._buckets.get(c) + n for c, n in added.cells.items()},
                days={d: _added(self._days.of(d), totals) for d, totals in days.items()},
                failures=added.failures.values(),
                settled=added.settled,
                entities=added.entities,
                notes=added.notes,
            )
        )
        with self._lock:
            self._totals.merge(delta)
            self._drop(dropped)
            self._catalogue.add(new)
            self._hold.begin(held, now)
            self._buckets.merge(added.cells)
            self._days.merge(days)
            self._failures |= added.failures
            for failure in added.settled:
                self._failures.pop(failure.request_id, None)
            self._note(added.entities)
            self.folded.update(folded | folded_days)
            self.position = step.position
            self.gaps.apply(step)

    def _note(self, entities: Mapping[Subject, Entity | None]) -> None:
        for subject, entity in entities.items():
            if entity is None:
                self.entities.pop(subject, None)
            else:
                self.newcomers += subject not in self.entities
                self.entities[subject] = entity

    def _of(self, gone: Collection[Subject]) -> list[Series]:
        """Give the sums that belong to what is forgotten."""
        if not gone:
            return []
        return [
            (metric, labels)
            for metric, values in self._totals.sums.items()
            for labels in values
            if departed.concerns(metric, labels, gone)
        ]

    def _drop(self, sums: Iterable[Series]) -> None:
        series = set()
        for metric, labels in sums:
            del self._totals.sums[metric][labels]
            series.add(series_of(metric, labels))
        self._catalogue.remove(series)
        self._hold.release(series)


def _added(known: Totals, delta: Totals) -> dict[str, dict[Labels, int]]:
    """Give the new values of the sums that a delta changes."""
    have = known.sums
    return {
        metric: {labels: have.get(metric, {}).get(labels, 0) + n for labels, n in values.items()}
        for metric, values in delta.sums.items()
    }
