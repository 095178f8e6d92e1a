"""The file in which the breaker keeps what must survive: SQLite in WAL mode, in BREAKER_STATE."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE = "record.sqlite"

_TABLES = """
CREATE TABLE notifications (       -- every alert that arrived; repeats of one are one row
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL,             -- the alert's labels, hashed
    alertname TEXT NOT NULL, rule TEXT NOT NULL, type TEXT NOT NULL, scope TEXT NOT NULL,
    target TEXT NOT NULL, period TEXT NOT NULL, severity TEXT NOT NULL, action TEXT NOT NULL,
    name TEXT NOT NULL, summary TEXT NOT NULL,
    value REAL, threshold REAL,
    evaluated_at REAL, started_at REAL NOT NULL,
    result TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL, trip_id TEXT,
    first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, ended_at INTEGER,
    deliveries INTEGER NOT NULL
);
CREATE INDEX notifications_key ON notifications (key, id);
CREATE INDEX notifications_last_seen ON notifications (last_seen);
CREATE TABLE trips (               -- what was decided, and how far it has come
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    rule TEXT NOT NULL, target TEXT NOT NULL,
    kind TEXT NOT NULL, kind_id INTEGER NOT NULL,   -- channel, channels.id
    state TEXT NOT NULL,
    created_at INTEGER NOT NULL, changed_at INTEGER NOT NULL,
    ended_at INTEGER               -- when the alert ended
);
CREATE INDEX trips_incident ON trips (rule, target, number);
CREATE TABLE decisions (           -- kept when notifications are deleted by age
    result TEXT NOT NULL, reason TEXT NOT NULL, total INTEGER NOT NULL,
    PRIMARY KEY (result, reason)
);
CREATE TABLE notices (             -- outcomes, to be posted to Alertmanager
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subject TEXT NOT NULL, labels TEXT NOT NULL, annotations TEXT NOT NULL,
    created_at INTEGER NOT NULL, posted_at INTEGER, ends_at INTEGER
);
CREATE INDEX notices_subject ON notices (subject, created_at);
"""

_HOLDING = """
ALTER TABLE trips ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE trips ADD COLUMN cause TEXT NOT NULL DEFAULT '';      -- the alert, as JSON
ALTER TABLE trips ADD COLUMN heard_at INTEGER NOT NULL DEFAULT 0; -- the alert's last delivery
ALTER TABLE trips ADD COLUMN held_at INTEGER;
ALTER TABLE trips ADD COLUMN release_after INTEGER;               -- seconds
ALTER TABLE trips ADD COLUMN doublings INTEGER NOT NULL DEFAULT 0;
ALTER TABLE trips ADD COLUMN released_at INTEGER;
ALTER TABLE trips ADD COLUMN released_by TEXT;
ALTER TABLE trips ADD COLUMN edited TEXT NOT NULL DEFAULT '';     -- State.edited, .tested_at
ALTER TABLE trips ADD COLUMN tested_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE trips ADD COLUMN confirmed TEXT;                      -- what the log table said
UPDATE trips SET heard_at = changed_at, held_at = CASE state WHEN 'held' THEN created_at END;
CREATE INDEX trips_target ON trips (kind, kind_id, state);
CREATE TABLE events (              -- what became of a trip, step by step; never changed
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    trip_id TEXT NOT NULL, at INTEGER NOT NULL, event TEXT NOT NULL, detail TEXT NOT NULL
);
CREATE INDEX events_trip ON events (trip_id, id);
"""

_BEFORE = """
ALTER TABLE trips ADD COLUMN created INTEGER NOT NULL DEFAULT 0;  -- State.created_at
ALTER TABLE trips ADD COLUMN reason_time INTEGER;                 -- by the gateway's clock
ALTER TABLE trips ADD COLUMN marked TEXT NOT NULL DEFAULT '';     -- whose mark the gateway keeps
ALTER TABLE trips ADD COLUMN served INTEGER NOT NULL DEFAULT 0;   -- seen in service, and left so
ALTER TABLE trips ADD COLUMN override_for INTEGER;                -- seconds
UPDATE trips SET reason_time = coalesce(held_at, changed_at) - 300
    WHERE state IN ('writing', 'held', 'releasing');              -- as if the clocks agreed nearly
UPDATE trips SET override_for = CAST(json_extract(cause, '$.labels.override_for') AS INTEGER)
    WHERE json_valid(cause);
DROP INDEX trips_incident;
CREATE INDEX trips_incident ON trips (rule, kind, kind_id, number);
"""

_STEPS = (_TABLES, _HOLDING, _BEFORE)
"""What makes each version of the file out of the one before."""


class RecordError(Exception):
    """The record cannot be read or written; its text is one line."""


def require(folder: Path) -> None:
    """Refuse a folder in which no breaker has kept a record.

    Raises:
        RecordError: there is no such file.
    """
    if not (folder / FILE).is_file():
        raise RecordError(f"{folder / FILE}: there is no such file")


class Store:
    """One SQLite file, used by all threads of the process in turn.

    What a transaction wrote is on the disk when it ends, also when the power fails.

    Args:
        folder: BREAKER_STATE.
        writable: create folder and file where they are missing; otherwise only read.

    Raises:
        RecordError: the file cannot be opened, or is of a newer version.
    """

    def __init__(self, folder: Path, *, writable: bool) -> None:
        self.path = folder / FILE
        self._lock = threading.Lock()
        self.failed_writes = 0
        """How many transactions failed."""
        try:
            if writable:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            mode = "rwc" if writable else "ro"
            self._connection = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode={mode}",
                uri=True,
                timeout=2,
                isolation_level=None,
                check_same_thread=False,
            )
        except (OSError, sqlite3.Error) as error:
            raise self._error(error) from None
        self._connection.row_factory = sqlite3.Row
        try:
            self._prepare(writable)
        except RecordError:
            self.close()
            raise
        except sqlite3.Error as error:
            self.close()
            raise self._error(error) from None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection in a transaction, committed when the block ends without an error.

        Raises:
            RecordError: a statement failed; nothing of the block is kept.
        """
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                    self._connection.execute("COMMIT")
                except BaseException:
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                self.failed_writes += 1
                raise self._error(error) from None

    def probe(self) -> None:
        """Write a page that is there already.

        Raises:
            RecordError: nothing can be written; mostly the disk is full.
        """
        with self.transaction() as connection:
            connection.execute(f"PRAGMA user_version = {len(_STEPS)}")

    def read(self, statement: str, *values: object) -> list[sqlite3.Row]:
        """Give the rows of a SELECT.

        Raises:
            RecordError: it failed.
        """
        with self._lock:
            try:
                return self._connection.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                raise self._error(error) from None

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _prepare(self, writable: bool) -> None:
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(_STEPS):
            raise RecordError(
                f"{self.path}: written by a newer version ({version}, this one knows {len(_STEPS)})"
            )
        if not writable:
            if version < len(_STEPS):
                raise RecordError(
                    f"{self.path}: written by an older version; starting the service converts it"
                )
            return
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        for number, step in enumerate(_STEPS[version:], version + 1):
            self._connection.executescript(
                f"BEGIN IMMEDIATE; {step} PRAGMA user_version = {number}; COMMIT;"
            )

    def _error(self, error: Exception) -> RecordError:
        text = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        return RecordError(f"{self.path}: {' '.join(text.split())}")
