"""The breaker's memory: what arrived, what was decided, what is held. The decision comes first.

A trip moves pending -> writing -> held; it is on the disk as `writing` before the gateway's
database is touched, so that after a crash in between the next delivery finds out what was done.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from breaker.decision import Decision, Result, Trip, TripState
from breaker.notice import Notice
from breaker.outbox import enqueue
from breaker.store import Store
from breaker.webhook import Alert


@dataclass(frozen=True)
class Notification:
    """One alert as recorded. Times in unix seconds."""

    id: int
    alertname: str
    rule: str
    type: str
    scope: str
    target: str
    period: str
    severity: str
    action: str
    name: str
    summary: str
    value: float | None
    threshold: float | None
    evaluated_at: float | None
    started_at: float
    result: str
    reason: str
    detail: str
    trip_id: str | None
    first_seen: int
    last_seen: int
    ended_at: int | None
    deliveries: int


class Record:
    """What the breaker knows; every method may raise RecordError, and then has changed nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def last_trip(self, rule: str, target: str) -> Trip | None:
        """Give the newest trip of a rule and target."""
        rows = self._store.read(
            "SELECT id, state, ended_at FROM trips WHERE rule = ? AND target = ?"
            " ORDER BY number DESC LIMIT 1",
            rule, target,
        )  # fmt: skip
        for row in rows:
            return Trip(row["id"], TripState(row["state"]), row["ended_at"] is not None)
        return None

    def open_trip(self, trip_id: str, alert: Alert, now: int) -> Trip:
        """Begin a trip: state pending."""
        with self._store.transaction() as connection:
            connection.execute(
                "INSERT INTO trips (id, rule, target, kind, kind_id, state, created_at, changed_at)"
                " VALUES (?, ?, ?, 'channel', ?, ?, ?, ?)",
                (trip_id, alert.rule, alert.target, alert.channel_id, TripState.PENDING, now, now),
            )
        return Trip(trip_id, TripState.PENDING, ended=False)

    def move_trip(self, trip_id: str, state: TripState, now: int) -> None:
        """Set how far a trip has come; its alert is firing."""
        with self._store.transaction() as connection:
            _move(connection, trip_id, state, now)

    def add(
        self,
        alert: Alert,
        decision: Decision,
        now: int,
        *,
        state: TripState | None = None,
        notice: Notice | None = None,
    ) -> bool:
        """Record what a firing alert came to, the new state of its trip, and the notice of it.

        Returns:
            Whether it is news. A delivery that comes to the same as the one before is counted on
            the same row, without a notice.
        """
        with self._store.transaction() as connection:
            if decision.trip_id is not None and state is not None:
                _move(connection, decision.trip_id, state, now)
            _count(connection, decision)
            last = _last_row(connection, alert)
            if last is not None and last["ended_at"] is None and _same(last, decision):
                _touch(connection, last["id"], now)
                return False
            _insert(connection, alert, decision, now)
            if notice is not None:
                enqueue(connection, notice, now)
        return True

    def end(self, alert: Alert, now: int) -> None:
        """Record that an alert has ended; what it tripped stays as it is."""
        with self._store.transaction() as connection:
            decision = Decision(Result.RECORDED)
            _count(connection, decision)
            last = _last_row(connection, alert)
            if last is None:
                last_id = _insert(connection, alert, decision, now)
            else:
                last_id = last["id"]
                _touch(connection, last_id, now)
            connection.execute(
                "UPDATE notifications SET ended_at = coalesce(ended_at, ?) WHERE id = ?",
                (now, last_id),
            )
            if alert.for_breaker:
                connection.execute(
                    "UPDATE trips SET ended_at = coalesce(ended_at, ?)"
                    " WHERE rule = ? AND target = ?",
                    (now, alert.rule, alert.target),
                )

    def held(self) -> list[tuple[str, int]]:
        """Give (kind, id) of everything that is held."""
        rows = self._store.read(
            "SELECT DISTINCT kind, kind_id FROM trips WHERE state = ? ORDER BY kind, kind_id",
            TripState.HELD,
        )
        return [(row["kind"], row["kind_id"]) for row in rows]

    def totals(self) -> dict[tuple[str, str], int]:
        """Give the decisions ever made, by (result, reason)."""
        rows = self._store.read("SELECT result, reason, total FROM decisions")
        return {(row["result"], row["reason"]): row["total"] for row in rows}

    def notifications(
        self,
        limit: int,
        *,
        rule: str | None = None,
        target: str | None = None,
        result: str | None = None,
    ) -> list[Notification]:
        """Give the newest notifications, the newest first."""
        wanted = {"rule": rule, "target": target, "result": result}
        filters = {name: value for name, value in wanted.items() if value is not None}
        where = " AND ".join(f"{name} = ?" for name in filters) or "1"
        columns = ", ".join(Notification.__dataclass_fields__)
        rows = self._store.read(
            f"SELECT {columns} FROM notifications WHERE {where} ORDER BY id DESC LIMIT ?",  # noqa: S608  (our own names)
            *filters.values(), limit,
        )  # fmt: skip
        return [Notification(*row) for row in rows]

    def forget(self, before: int) -> None:
        """Delete what was last heard of before this time (unix seconds), except what is held."""
        kept: Sequence[str] = (TripState.WRITING, TripState.HELD)
        with self._store.transaction() as connection:
            connection.execute("DELETE FROM notifications WHERE last_seen < ?", (before,))
            connection.execute("DELETE FROM notices WHERE created_at < ?", (before,))
            connection.execute(
                "DELETE FROM trips WHERE changed_at < ? AND state NOT IN (?, ?)", (before, *kept)
            )


def _move(connection: sqlite3.Connection, trip_id: str, state: TripState, now: int) -> None:
    connection.execute(
        "UPDATE trips SET state = ?, changed_at = ?, ended_at = NULL WHERE id = ?",
        (state, now, trip_id),
    )


def _count(connection: sqlite3.Connection, decision: Decision) -> None:
    connection.execute(
        "INSERT INTO decisions (result, reason, total) VALUES (?, ?, 1)"
        " ON CONFLICT DO UPDATE SET total = total + 1",
        (decision.result, decision.reason),
    )


def _last_row(connection: sqlite3.Connection, alert: Alert) -> sqlite3.Row | None:
    row: sqlite3.Row | None = connection.execute(
        "SELECT id, result, reason, ended_at FROM notifications WHERE key = ?"
        " ORDER BY id DESC LIMIT 1",
        (alert.key,),
    ).fetchone()
    return row


def _same(row: sqlite3.Row, decision: Decision) -> bool:
    if decision.result is Result.REPEATED:
        return True
    # A failure has many causes, which may alternate with each attempt.
    return row["result"] == decision.result and (
        decision.result is Result.FAILED or row["reason"] == decision.reason
    )


def _touch(connection: sqlite3.Connection, row_id: int, now: int) -> None:
    connection.execute(
        "UPDATE notifications SET last_seen = ?, deliveries = deliveries + 1 WHERE id = ?",
        (now, row_id),
    )


def _insert(connection: sqlite3.Connection, alert: Alert, decision: Decision, now: int) -> int:
    labels = ("alertname", "rule", "type", "scope", "target", "period", "severity", "action")
    row = {
        "key": alert.key,
        **{name: alert.label(name) for name in labels},
        "name": alert.name,
        "summary": alert.annotation("summary"),
        "value": alert.value,
        "threshold": alert.threshold,
        "evaluated_at": alert.evaluated_at,
        "started_at": alert.starts_at.timestamp(),
        "result": decision.result,
        "reason": decision.reason,
        "detail": decision.detail,
        "trip_id": decision.trip_id,
        "first_seen": now,
        "last_seen": now,
        "deliveries": 1,
    }
    names, places = ", ".join(row), ", ".join("?" * len(row))
    cursor = connection.execute(
        f"INSERT INTO notifications ({names}) VALUES ({places})",  # noqa: S608  (our own names)
        tuple(row.values()),
    )
    return cursor.lastrowid or 0
