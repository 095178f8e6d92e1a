"""What must survive a restart: position, totals and windows, saved together in SQLite."""

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from exporter.position import Gap, Position
from exporter.totals import Labels, Sums
from exporter.windows import Cell

VERSION = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS totals (
  metric TEXT NOT NULL, labels TEXT NOT NULL, value NOT NULL, PRIMARY KEY (metric, labels)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS filled (window TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS buckets (
  window TEXT NOT NULL, target TEXT NOT NULL, start INTEGER NOT NULL, tokens NOT NULL,
  PRIMARY KEY (window, target, start)
) WITHOUT ROWID;
"""

_INT64 = 2**63


class StateError(Exception):
    """The state cannot be used or not be saved; its text is one line."""


class State:
    """The exporter's state folder. One process at a time may hold it.

    Raises:
        StateError: it cannot be made or read, another exporter holds it, or a newer version
            wrote it.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "state.db"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateError(f"{folder}: another exporter is using this state") from None
        except OSError as error:
            raise StateError(f"{folder}: {error.strerror or error}") from None
        try:
            self._db = sqlite3.connect(
                self._file, isolation_level=None, check_same_thread=False, timeout=5
            )
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)
            version = int(self._meta("version", str(VERSION)))
        except sqlite3.Error as error:
            raise StateError(f"{self._file}: {error}") from None
        if version > VERSION:
            raise StateError(
                f"{self._file}: written by a newer version ({version}, this one knows {VERSION})"
            )

    def counting_since(self) -> float | None:
        """Give the unix time at which counting began; None where nothing was saved yet."""
        since = self._meta("counting_since", "")
        return float(since) if since else None

    def position(self) -> Position:
        """Give the position that was saved last."""
        saved = json.loads(self._meta("position", "{}"))
        gaps = tuple(Gap(**gap) for gap in saved.pop("gaps", ()))
        return Position(**saved, gaps=gaps)

    def sums(self) -> dict[str, dict[Labels, int]]:
        """Give all sums that were saved."""
        sums: dict[str, dict[Labels, int]] = {}
        for metric, labels, value in self._db.execute("SELECT metric, labels, value FROM totals"):
            sums.setdefault(metric, {})[tuple(json.loads(labels))] = int(value)
        return sums

    def windows(self) -> set[str]:
        """Give the keys of the windows that were filled."""
        return {key for (key,) in self._db.execute("SELECT window FROM filled")}

    def cells(self) -> dict[Cell, int]:
        """Give the buckets of all windows."""
        rows = self._db.execute("SELECT window, target, start, tokens FROM buckets")
        return {(window, target, start): int(tokens) for window, target, start, tokens in rows}

    def save(
        self,
        position: Position,
        sums: Sums,
        cells: Mapping[Cell, int],
        *,
        counting_since: float,
        filled: Iterable[str] = (),
        forgotten: Iterable[str] = (),
        expired: Mapping[str, int] | None = None,
    ) -> None:
        """Save a position with the sums and cells that changed, as their new values.

        Args:
            position: up to which rows have been counted.
            sums: new values of the sums that changed.
            cells: new values of the buckets that changed.
            counting_since: unix time at which counting began.
            filled: windows that are complete now.
            forgotten: windows to drop.
            expired: by window, the unix second before which its buckets are dropped.

        Raises:
            StateError: nothing of it was saved.
        """
        sum_rows = [
            (metric, json.dumps(labels, ensure_ascii=True), _storable(value))
            for metric, values in sums.items()
            for labels, value in values.items()
        ]
        cell_rows = [(*cell, _storable(value)) for cell, value in cells.items()]
        try:
            with self._db, closing(self._db.cursor()) as db:
                db.execute("BEGIN IMMEDIATE")
                db.executemany(
                    "INSERT INTO meta VALUES (?, ?)"
                    " ON CONFLICT DO UPDATE SET value = excluded.value",
                    [
                        ("version", str(VERSION)),
                        ("counting_since", repr(counting_since)),
                        ("position", json.dumps(asdict(position))),
                    ],
                )
                db.executemany(
                    "INSERT INTO totals VALUES (?, ?, ?)"
                    " ON CONFLICT DO UPDATE SET value = excluded.value",
                    sum_rows,
                )
                db.executemany(
                    "INSERT INTO buckets VALUES (?, ?, ?, ?)"
                    " ON CONFLICT DO UPDATE SET tokens = excluded.tokens",
                    cell_rows,
                )
                db.executemany("INSERT OR IGNORE INTO filled VALUES (?)", [(k,) for k in filled])
                for key in forgotten:
                    db.execute("DELETE FROM filled WHERE window = ?", (key,))
                    db.execute("DELETE FROM buckets WHERE window = ?", (key,))
                for key, edge in (expired or {}).items():
                    db.execute("DELETE FROM buckets WHERE window = ? AND start < ?", (key, edge))
        except sqlite3.Error as error:
            raise StateError(f"{self._file}: {error}") from None

    def close(self) -> None:
        """Close the file and let another exporter have it."""
        self._db.close()
        os.close(self._lock)

    def _meta(self, key: str, default: str) -> str:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return default if row is None else str(row[0])


def _storable(value: int) -> int | str:
    """SQLite's integers have 64 bits; a longer sum is kept as text."""
    return value if -_INT64 <= value < _INT64 else str(value)
