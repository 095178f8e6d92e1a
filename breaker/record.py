"""The breaker's memory of what arrived and what it came to; the decision is on the disk first."""

import sqlite3
from dataclasses import dataclass

from breaker.decision import Decision, Release, Result, Target, TripState, target_of
from breaker.incidents import HOLDING, Change, Incidents, apply, heard, log_event
from breaker.notice import Notice
from breaker.outbox import annotate, enqueue
from breaker.store import Store
from breaker.webhook import Alert
from newapi.switch import Kind


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
        self.incidents = Incidents(store)
        """The trips in it."""

    def add(
        self,
        alert: Alert,
        decision: Decision,
        now: int,
        *,
        change: Change | None = None,
        notice: Notice | None = None,
        ended_at: int | None = None,
    ) -> bool:
        """Record what a firing alert came to, the step of its trip, and the notice of it.

        Args:
            alert: as delivered.
            decision: what it came to.
            now: unix seconds.
            change: the step of its trip.
            notice: to be sent where it is news.
            ended_at: when the alert ended, where it is recorded only after its end.

        Returns:
            Whether it is news. A delivery that comes to the same as the one before is counted on
            the same row, without a notice.
        """
        with self._store.transaction() as connection:
            if change is not None:
                apply(connection, change, now)
            if decision.trip_id is not None and ended_at is None:
                heard(connection, decision.trip_id, alert, now)
            _count(connection, decision)
            last = _last_row(connection, alert)
            if last is not None and last["ended_at"] is None and _same(last, decision):
                _touch(connection, last["id"], now)
                return False
            _insert(connection, alert, decision, now, ended_at)
            if notice is not None:
                enqueue(connection, notice, now)
        return True

    def note(self, decision: Decision, now: int, *changes: Change, notice: Notice | None) -> None:
        """Record what was done without an alert, the steps of trips, and the notice of it."""
        with self._store.transaction() as connection:
            _count(connection, decision)
            for change in changes:
                apply(connection, change, now)
            if not changes and decision.trip_id is not None:
                what = ": ".join(filter(None, (decision.reason, decision.detail)))
                log_event(connection, decision.trip_id, now, decision.result, what)
            if notice is not None:
                enqueue(connection, notice, now)

    def tell(self, notice: Notice, now: int) -> None:
        """Have a notice sent that belongs to no decision."""
        with self._store.transaction() as connection:
            enqueue(connection, notice, now)

    def annotate(self, trip_id: str, name: str, text: str) -> None:
        """Add an annotation to the notice of a trip."""
        with self._store.transaction() as connection:
            annotate(connection, trip_id, name, text)

    def end(self, alert: Alert, now: int) -> None:
        """Record that an alert has ended; what it tripped stays as it is."""
        with self._store.transaction() as connection:
            decision = Decision(Result.RECORDED)
            _count(connection, decision)
            last = _last_row(connection, alert)
            if last is None:
                _insert(connection, alert, decision, now, now)
            else:
                _touch(connection, last["id"], now)
            connection.execute(
                "UPDATE notifications SET ended_at = ? WHERE key = ? AND ended_at IS NULL",
                (now, alert.key),
            )
            target = target_of(alert)
            if alert.for_breaker and target is not None:
                connection.execute(
                    "UPDATE trips SET ended_at = coalesce(ended_at, ?)"
                    " WHERE rule = ? AND kind = ? AND kind_id = ?",
                    (now, alert.rule, *target),
                )

    def held(self) -> list[Target]:
        """Give everything that is held."""
        rows = self._store.read(
            "SELECT DISTINCT kind, kind_id FROM trips WHERE state IN (?, ?) ORDER BY kind, kind_id",
            *HOLDING,
        )
        return [Target(Kind(row["kind"]), row["kind_id"]) for row in rows]

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
        action: str | None = None,
        trip_id: str | None = None,
        since: float | None = None,
    ) -> list[Notification]:
        """Give the newest notifications, the newest first; `since` is unix seconds."""
        wanted = {
            "rule = ?": rule, "target = ?": target, "result = ?": result, "action = ?": action,
            "trip_id = ?": trip_id, "last_seen >= ?": since,
        }  # fmt: skip
        filters = {condition: value for condition, value in wanted.items() if value is not None}
        where = " AND ".join(filters) or "1"
        columns = ", ".join(Notification.__dataclass_fields__)
        rows = self._store.read(
            f"SELECT {columns} FROM notifications WHERE {where} ORDER BY id DESC LIMIT ?",  # noqa: S608  (our own names)
            *filters.values(), limit,
        )  # fmt: skip
        return [Notification(*row) for row in rows]

    def forget(self, before: int, now: int) -> None:
        """Delete what was last heard of before this time, except what counts still.

        That is what is held, and a person's release for as long as its rule says.

        Args:
            before: unix seconds.
            now: unix seconds.
        """
        kept = (TripState.WRITING, *HOLDING)
        persons = (Release.PERSON, Release.COMMAND)
        with self._store.transaction() as connection:
            connection.execute("DELETE FROM notifications WHERE last_seen < ?", (before,))
            connection.execute("DELETE FROM notices WHERE created_at < ?", (before,))
            connection.execute(
                "DELETE FROM trips WHERE max(changed_at, heard_at) < ? AND state NOT IN (?, ?, ?)"
                " AND NOT (state = ? AND released_by IN (?, ?)"
                " AND released_at + coalesce(override_for, 0) > ?)",
                (before, *kept, TripState.RELEASED, *persons, now),
            )
            connection.execute(
                "DELETE FROM events WHERE at < ? AND trip_id NOT IN (SELECT id FROM trips)",
                (before,),
            )


def _count(connection: sqlite3.Connection, decision: Decision) -> None:
    connection.execute(
        "INSERT INTO decisions (result, reason, total) VALUES (?, ?, 1)"
        " ON CONFLICT DO UPDATE SET total = total + 1",
        (decision.result, decision.reason),
    )


def _last_row(connection: sqlite3.Connection, alert: Alert) -> sqlite3.Row | None:
    row: sqlite3.Row | None = connection.execute(
        "SELECT id, result, reason, trip_id, ended_at FROM notifications WHERE key = ?"
        " ORDER BY id DESC LIMIT 1",
        (alert.key,),
    ).fetchone()
    return row


def _same(row: sqlite3.Row, decision: Decision) -> bool:
    if decision.result is Result.REPEATED:
        return True
    if decision.result is Result.TRIPPED and row["trip_id"] != decision.trip_id:
        return False  # released, and tripped again while it fired
    # A failure has many causes, which may alternate with each attempt.
    return row["result"] == decision.result and (
        decision.result is Result.FAILED or row["reason"] == decision.reason
    )


def _touch(connection: sqlite3.Connection, row_id: int, now: int) -> None:
    connection.execute(
        "UPDATE notifications SET last_seen = ?, deliveries = deliveries + 1 WHERE id = ?",
        (now, row_id),
    )


def _insert(
    connection: sqlite3.Connection,
    alert: Alert,
    decision: Decision,
    now: int,
    ended_at: int | None,
) -> None:
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
        "ended_at": ended_at,
        "deliveries": 1,
    }
    names, places = ", ".join(row), ", ".join("?" * len(row))
    connection.execute(
        f"INSERT INTO notifications ({names}) VALUES ({places})",  # noqa: S608  (our own names)
        tuple(row.values()),
    )
