"""What one step changes, and the statements that write it into the exporter's state."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date

from exporter.departed import Entity, Subject
from exporter.failed import Failure
from exporter.position import Step
from exporter.series import Series
from exporter.totals import Labels, Sums
from exporter.windows import Cell

VERSION = 1

SCHEMA = """
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

Statement = tuple[str, Sequence[Sequence[object]]]
"""SQL, and the rows that it is carried out for."""


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


def statements(changes: Changes) -> list[Statement]:
    """Give what writes changes, in order, with the rows of each statement."""
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


def labels_of(text: str) -> Labels:
    """Read label values as they are kept."""
    return tuple(json.loads(text))


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value)


def _storable(value: int) -> int | str:
    """SQLite's integers have 64 bits; a longer sum is kept as text."""
    return value if -_INT64 <= value < _INT64 else str(value)
