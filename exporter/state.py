"""What must survive a restart, saved together in SQLite: one transaction a step, changes only."""

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path

from exporter.departed import Entity, Subject
from exporter.failed import Failure
from exporter.position import Gap, Position, Step
from exporter.series import Series
from exporter.totals import Labels, Sums, Totals
from exporter.windows import Cell

VERSION = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gaps (first INTEGER PRIMARY KEY, last INTEGER, noticed REAL);
CREATE TABLE IF NOT EXISTS totals (
  metric TEXT, labels TEXT, value NOT NULL, PRIMARY KEY (metric, labels)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS held (
  metric TEXT, labels TEXT, PRIMARY KEY (metric, labels)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS days (
  day TEXT, metric TEXT, labels TEXT, value NOT NULL,
  PRIMARY KEY (day, metric, labels)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS failures (
  request_id TEXT PRIMARY KEY, model TEXT NOT NULL, created_at INTEGER NOT NULL) WITHOUT ROWID;
DROP TABLE IF EXISTS buckets;  -- of windows that knew tokens only; those are filled anew
CREATE TABLE IF NOT EXISTS cells (
  window TEXT, start INTEGER, target TEXT, measure TEXT, amount NOT NULL,
  PRIMARY KEY (window, start, target, measure)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entities (
  kind TEXT, id INTEGER, info TEXT, changed_at REAL, gone_at REAL,
  PRIMARY KEY (kind, id)) WITHOUT ROWID;
"""

_INT64 = 2**63


class StateError(Exception):
    """The state cannot be used or not be saved; its text is one line."""


class StateInUseError(StateError):
    """Another exporter holds the state."""


@dataclass(frozen=True)
class Changes:
    """What one step changes. Sums and cells are given by their new values."""

    step: Step
    sums: Sums = field(default_factory=dict)
    held: Iterable[Series] = ()
    released: Iterable[Series] = ()
    dropped: Iterable[Series] = ()
    """Series that go, with all their sums."""
    cells: Mapping[Cell, int] = field(default_factory=dict)
    days: Mapping[date, Sums] = field(default_factory=dict)
    failures: Iterable[Failure] = ()
    settled: Iterable[Failure] = ()
    entities: Mapping[Subject, Entity | None] = field(default_factory=dict)
    """What is known of channels, API keys and users; None where one is forgotten."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """Further values by name."""


class State:
    """The exporter's state folder. One process at a time may hold it.

    Raises:
        StateInUseError: another exporter holds it.
        StateError: it cannot be made or read, or a newer version wrote it.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "state.db"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateInUseError(f"{folder}: another exporter is using this state") from None
        except OSError as error:
            raise StateError(f"{folder}: {error.strerror or error}") from None
        try:
            self._db = sqlite3.connect(
                self._file, isolation_level=None, check_same_thread=False, timeout=5
            )
        except sqlite3.Error as error:
            os.close(self._lock)
            raise StateError(f"{self._file}: {error}") from None
        try:
            with self.reading():
                self._prepare()
        except StateError:
            self.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turn what goes wrong in the block into a StateError: the file is damaged, perhaps."""
        try:
            yield
        except (sqlite3.Error, LookupError, TypeError, ValueError) as error:
            raise StateError(f"{self._file}: it cannot be read: {error}") from None

    def noted(self, key: str) -> str | None:
        """Give a further value by name."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def position(self) -> Position | None:
        """Give the position that was saved last; None where counting has not begun."""
        saved = self.noted("position")
        if saved is None:
            return None
        fields = json.loads(saved)
        tail = tuple((row_id, created_at) for row_id, created_at in fields.pop("tail"))
        return Position(**fields, tail=tail)

    def gaps(self) -> list[Gap]:
        """Give the gaps that are looked for."""
        return [Gap(*row) for row in self._db.execute("SELECT first, last, noticed FROM gaps")]

    def sums(self) -> Totals:
        """Give all sums that were saved."""
        totals = Totals()
        for metric, labels, value in self._db.execute("SELECT metric, labels, value FROM totals"):
            totals.add(metric, _labels(labels), int(value))
        return totals

    def held(self) -> list[Series]:
        """Give the series that had not been shown long enough."""
        rows = self._db.execute("SELECT metric, labels FROM held")
        return [(metric, _labels(labels)) for metric, labels in rows]

    def days(self) -> dict[date, Totals]:
        """Give the sums of each natural day."""
        days: dict[date, Totals] = {}
        for day, metric, labels, value in self._db.execute("SELECT * FROM days"):
            totals = days.setdefault(date.fromisoformat(day), Totals())
            totals.add(metric, _labels(labels), int(value))
        return days

    def failures(self) -> list[Failure]:
        """Give the failures that are yet to be settled."""
        return [Failure(*row) for row in self._db.execute("SELECT * FROM failures")]

    def cells(self) -> dict[Cell, int]:
        """Give the buckets of all windows."""
        rows = self._db.execute("SELECT window, start, target, measure, amount FROM cells")
        return {
            (window, start, target, measure): int(amount)
            for window, start, target, measure, amount in rows
        }

    def entities(self) -> dict[Subject, Entity]:
        """Give what is known of channels, API keys and users."""
        rows = self._db.execute("SELECT kind, id, info, changed_at, gone_at FROM entities")
        return {
            (kind, number): Entity(None if info is None else json.loads(info), changed, gone)
            for kind, number, info, changed, gone in rows
        }

    def save(self, changes: Changes) -> None:
        """Save what a step changes.

        Raises:
            StateError: nothing of it was saved.
        """
        self._transaction(_statements(changes))

    def forget_windows(self, keep: Iterable[str], notes: Mapping[str, str]) -> None:
        """Drop the buckets of all windows but these, and keep further values by name.

        Raises:
            StateError: it was not saved.
        """
        kept = list(keep)
        marks = ", ".join("?" * len(kept))
        self._transaction(
            [
                (f"DELETE FROM cells WHERE window NOT IN ({marks})", [kept]),  # noqa: S608
                ("REPLACE INTO meta VALUES (?, ?)", list(notes.items())),
            ]
        )

    def expire(self, edges: Mapping[str, int], today: date) -> None:
        """Drop the buckets before these unix seconds, by window, and the days before today.

        Raises:
            StateError: it was not saved.
        """
        self._transaction(
            [
                ("DELETE FROM cells WHERE window = ? AND start < ?", list(edges.items())),
                ("DELETE FROM days WHERE day < ?", [(today.isoformat(),)]),
            ]
        )

    def clear_days(self) -> None:
        """Drop the sums of all days.

        Raises:
            StateError: it was not saved.
        """
        self._transaction([("DELETE FROM days", [()])])

    def close(self) -> None:
        """Close the file and let another exporter have it."""
        self._db.close()
        os.close(self._lock)

    def _prepare(self) -> None:
        """Bring the file to this version; one of a newer version stays as it is."""
        if self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
            version = int(self.noted("version") or VERSION)
            if version > VERSION:
                raise StateError(
                    f"{self._file}: written by a newer version"
                    f" ({version}, this one knows {VERSION})"
                )
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")

    def _transaction(self, statements: Iterable["_Statement"]) -> None:
        try:
            with self._db as db:
                db.execute("BEGIN IMMEDIATE")
                for sql, rows in statements:
                    db.executemany(sql, rows)
        except sqlite3.Error as error:
            raise StateError(f"{self._file}: {error}") from None


_Statement = tuple[str, Sequence[Sequence[object]]]


def _statements(changes: Changes) -> list[_Statement]:
    step, dropped = changes.step, _series(changes.dropped)
    notes = {"version": str(VERSION), "position": json.dumps(asdict(step.position))}
    kept = {subject: entity for subject, entity in changes.entities.items() if entity is not None}
    forgotten = [subject for subject, entity in changes.entities.items() if entity is None]
    return [
        ("REPLACE INTO meta VALUES (?, ?)", list((notes | dict(changes.notes)).items())),
        ("DELETE FROM gaps WHERE first = ?", [(gap.first,) for gap in step.removed]),
        ("REPLACE INTO gaps VALUES (?, ?, ?)", [(g.first, g.last, g.noticed) for g in step.added]),
        ("REPLACE INTO totals VALUES (?, ?, ?)", _rows(changes.sums)),
        ("DELETE FROM totals WHERE metric = ? AND labels = ?", dropped),
        ("REPLACE INTO held VALUES (?, ?)", _series(changes.held)),
        ("DELETE FROM held WHERE metric = ? AND labels = ?", _series(changes.released)),
        (
            "REPLACE INTO days VALUES (?, ?, ?, ?)",
            [(d.isoformat(), *row) for d, sums in changes.days.items() for row in _rows(sums)],
        ),
        (
            "REPLACE INTO cells VALUES (?, ?, ?, ?, ?)",
            [(*cell, _storable(amount)) for cell, amount in changes.cells.items()],
        ),
        (
            "REPLACE INTO failures VALUES (?, ?, ?)",
            [(f.request_id, f.model, f.created_at) for f in changes.failures],
        ),
        ("DELETE FROM failures WHERE request_id = ?", [(f.request_id,) for f in changes.settled]),
        (
            "REPLACE INTO entities VALUES (?, ?, ?, ?, ?)",
            [
                (*subject, _json(entity.info), entity.changed_at, entity.gone_at)
                for subject, entity in kept.items()
            ],
        ),
        ("DELETE FROM entities WHERE kind = ? AND id = ?", forgotten),
    ]


def _rows(sums: Sums) -> list[tuple[str, str, int | str]]:
    return [
        (metric, json.dumps(labels), _storable(value))
        for metric, values in sums.items()
        for labels, value in values.items()
    ]


def _series(series: Iterable[Series]) -> list[tuple[str, str]]:
    return [(metric, json.dumps(labels)) for metric, labels in series]


def _labels(text: str) -> Labels:
    return tuple(json.loads(text))


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value)


def _storable(value: int) -> int | str:
    """SQLite's integers have 64 bits; a longer sum is kept as text."""
    return value if -_INT64 <= value < _INT64 else str(value)
