"""What must survive a restart, saved together in SQLite: one transaction a step, changes only."""

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from exporter.changes import SCHEMA, VERSION, Changes, Statement, labels_of, statements
from exporter.departed import Entity, Subject
from exporter.failed import Failure
from exporter.position import Gap, Position
from exporter.series import Series
from exporter.totals import Totals
from exporter.windows import Cell


class StateError(Exception):
    """The state cannot be used or not be saved; its text is one line."""


class StateInUseError(StateError):
    """Another exporter holds the state."""


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
        marks = tuple((row_id, created_at) for row_id, created_at in fields.pop("marks", ()))
        return Position(**fields, tail=tail, marks=marks)

    def gaps(self) -> list[Gap]:
        """Give the gaps that are looked for."""
        return [Gap(*row) for row in self._db.execute("SELECT first, last, noticed FROM gaps")]

    def sums(self) -> Totals:
        """Give all sums that were saved."""
        totals = Totals()
        for metric, labels, value in self._db.execute("SELECT metric, labels, value FROM totals"):
            totals.add(metric, labels_of(labels), int(value))
        return totals

    def held(self) -> list[Series]:
        """Give the series that had not been shown long enough."""
        rows = self._db.execute("SELECT metric, labels FROM held")
        return [(metric, labels_of(labels)) for metric, labels in rows]

    def days(self) -> dict[date, Totals]:
        """Give the sums of each natural day."""
        days: dict[date, Totals] = {}
        for day, metric, labels, value in self._db.execute("SELECT * FROM days"):
            totals = days.setdefault(date.fromisoformat(day), Totals())
            totals.add(metric, labels_of(labels), int(value))
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
        self._transaction(statements(changes))

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
        self._db.executescript(f"BEGIN IMMEDIATE; {SCHEMA} COMMIT;")

    def _transaction(self, work: Iterable[Statement]) -> None:
        try:
            with self._db as db:
                db.execute("BEGIN IMMEDIATE")
                for sql, rows in work:
                    db.executemany(sql, rows)
        except sqlite3.Error as error:
            raise StateError(f"{self._file}: {error}") from None
