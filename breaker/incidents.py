"""The trips in the record: what was decided to be disabled, how far it has come, what is held.

A trip moves pending -> writing -> held; it is on the disk as `writing` before the gateway's
database is touched, so that after a crash in between the next delivery finds out what was done.
In the same way it moves held -> releasing -> released.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from breaker.decision import FORGOTTEN, SETTLED, Release, Target, Trip, TripState
from breaker.store import Store
from breaker.webhook import Alert
from newapi.switch import BREAKER_MARK, Kind, State

_COLUMNS = (
    "id, state, kind, kind_id, rule, name, ended_at, heard_at, changed_at, held_at, release_after,"
    " doublings, released_at, released_by, created, reason_time, marked, served, edited, tested_at,"
    " cause"
)

HOLDING = (TripState.HELD, TripState.RELEASING)
"""The states in which it is the breaker's that something is off."""


@dataclass(frozen=True)
class Change:
    """A step of a trip, to be written in one transaction with what comes of it."""

    trip_id: str
    state: TripState
    detail: str = ""
    """For the list of events."""
    columns: Mapping[str, object] = field(default_factory=dict)
    """More columns of trips."""


@dataclass(frozen=True)
class Event:
    """A step of a trip, as it was."""

    trip_id: str
    at: int
    """Unix seconds."""
    event: str
    """A TripState, or what else happened."""
    detail: str


class Incidents:
    """Trips; every method may raise RecordError, and then has changed nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def last(self, rule: str, target: Target) -> Trip | None:
        """Give the newest trip of a rule and target."""
        found = self._trips(
            "rule = ? AND kind = ? AND kind_id = ? ORDER BY number DESC LIMIT 1", rule, *target
        )
        return found[0] if found else None

    def get(self, trip_id: str) -> Trip | None:
        """Give a trip."""
        found = self._trips("id = ?", trip_id)
        return found[0] if found else None

    def holding(self) -> list[Trip]:
        """Give everything that is held or being released, the oldest first."""
        return self._trips("state IN (?, ?) ORDER BY number", *HOLDING)

    def writing(self) -> list[Trip]:
        """Give each trip of which it is not known whether its write was done."""
        return self._trips("state = ? ORDER BY number", TripState.WRITING)

    def holder(self, target: Target, *, other_than: str) -> Trip | None:
        """Give the trip that holds a target, if it is another one."""
        found = self._trips(
            "kind = ? AND kind_id = ? AND state IN (?, ?) AND id <> ?",
            *target, *HOLDING, other_than,
        )  # fmt: skip
        return found[0] if found else None

    def heir(self, trip: Trip, now: float) -> Trip | None:
        """Give a trip that another one covers, and whose alert has not ended."""
        found = self._trips(
            "kind = ? AND kind_id = ? AND state = ? ORDER BY number",
            *trip.target, TripState.COVERED,
        )  # fmt: skip
        return next((heir for heir in found if not heir.over(now)), None)

    def unconfirmed(self, since: int) -> list[Trip]:
        """Give what is held since a moment or later, and whose last request is not known."""
        return self._trips(
            "state = ? AND held_at >= ? AND confirmed IS NULL ORDER BY number",
            TripState.HELD, since,
        )  # fmt: skip

    def tripped_since(self, moment: float, *, dry: bool) -> int:
        """Count the trips since a moment, or those that would have been."""
        comparison = "=" if dry else "<>"
        rows = self._store.read(
            f"SELECT count(*) FROM trips WHERE held_at > ? AND state {comparison} ?",  # noqa: S608  (our own words)
            moment, TripState.WOULD,
        )  # fmt: skip
        return int(rows[0][0])

    def open(self, trip_id: str, alert: Alert, target: Target, now: int, doublings: int) -> Trip:
        """Begin a trip: state pending."""
        with self._store.transaction() as connection:
            connection.execute(
                "INSERT INTO trips (id, rule, target, kind, kind_id, state, created_at, changed_at,"
                " heard_at, release_after, override_for, doublings, cause, reason_time)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT reason_time FROM trips"
                " WHERE kind = ? AND kind_id = ? ORDER BY number DESC LIMIT 1))",
                (
                    trip_id, alert.rule, alert.target, *target, TripState.PENDING, now, now, now,
                    alert.release_after, alert.override_for, doublings,
                    alert.model_dump_json(by_alias=True), *target,
                ),
            )  # fmt: skip
            log_event(connection, trip_id, now, TripState.PENDING, f"rule {alert.rule}")
        trip = self.get(trip_id)
        if trip is None:
            raise LookupError(trip_id)
        return trip

    def move(self, change: Change, now: int) -> None:
        """Set how far a trip has come."""
        with self._store.transaction() as connection:
            apply(connection, change, now)

    def seen(self, trip: Trip, **columns: object) -> None:
        """Remember how something looks; nothing is written where it looks as before."""
        names = ", ".join(columns)
        known = self._store.read(f"SELECT {names} FROM trips WHERE id = ?", trip.id)  # noqa: S608  (our own names)
        if not known or tuple(known[0]) == tuple(columns.values()):
            return
        places = ", ".join(f"{name} = ?" for name in columns)
        with self._store.transaction() as connection:
            connection.execute(
                f"UPDATE trips SET {places} WHERE id = ?",  # noqa: S608  (our own names)
                (*columns.values(), trip.id),
            )

    def confirm(self, trip_id: str, text: str, now: int) -> None:
        """Remember what the log table said of a trip."""
        with self._store.transaction() as connection:
            connection.execute("UPDATE trips SET confirmed = ? WHERE id = ?", (text, trip_id))
            log_event(connection, trip_id, now, "confirmed", text)

    def events(self, trip_ids: Sequence[str]) -> list[Event]:
        """Give the events of trips, the oldest first."""
        places = ", ".join("?" * len(trip_ids))
        rows = self._store.read(
            f"SELECT trip_id, at, event, detail FROM events WHERE trip_id IN ({places})"  # noqa: S608  (question marks)
            " ORDER BY id",
            *trip_ids,
        )
        return [Event(*row) for row in rows]

    def _trips(self, where: str, *values: object) -> list[Trip]:
        rows = self._store.read(f"SELECT {_COLUMNS} FROM trips WHERE {where}", *values)  # noqa: S608  (our own words)
        return [_trip(row) for row in rows]


def seen_columns(state: State) -> dict[str, object]:
    """Give the columns of trips that say how something looks while it is off."""
    return {
        "edited": state.edited,
        "tested_at": state.tested_at,
        "name": state.name,
        "created": state.created_at,
        "served": False,
    }


def before_columns(state: State) -> dict[str, object]:
    """Give the columns that say how something looked before it was disabled."""
    columns = seen_columns(state)
    if state.reason_time is not None and not (state.reason or "").startswith(BREAKER_MARK):
        columns["reason_time"] = state.reason_time
    return columns


def apply(connection: sqlite3.Connection, change: Change, now: int) -> None:
    """Write a step of a trip.

    What a person enables is enabled for the trips that it covers too, whose alerts have not ended.
    """
    columns = {"state": change.state, "changed_at": now, **change.columns}
    if change.state is TripState.RELEASED:
        columns["released_at"] = now
    names = ", ".join(f"{name} = ?" for name in columns)
    connection.execute(
        f"UPDATE trips SET {names} WHERE id = ?",  # noqa: S608  (our own names)
        (*columns.values(), change.trip_id),
    )
    log_event(connection, change.trip_id, now, change.state, change.detail)
    by = columns.get("released_by")
    if by in {Release.PERSON, Release.COMMAND}:
        connection.execute(
            "UPDATE trips SET state = ?, changed_at = ?, released_at = ?, released_by = ?"
            " WHERE state = ? AND heard_at > ? AND (ended_at IS NULL OR ended_at > ?)"
            " AND (kind, kind_id) IN (SELECT kind, kind_id FROM trips WHERE id = ?)",
            (
                TripState.RELEASED,
                now,
                now,
                by,
                TripState.COVERED,
                now - FORGOTTEN,
                now - SETTLED,
                change.trip_id,
            ),
        )


def heard(connection: sqlite3.Connection, trip_id: str, alert: Alert, now: int) -> None:
    """Note that the alert of a trip fires; its rule may have been edited since it began."""
    connection.execute(
        "UPDATE trips SET heard_at = ?, ended_at = NULL, release_after = ?, override_for = ?"
        " WHERE id = ?",
        (now, alert.release_after, alert.override_for, trip_id),
    )


def log_event(
    connection: sqlite3.Connection, trip_id: str, at: int, event: str, detail: str
) -> None:
    """Add an event, which is never changed."""
    connection.execute(
        "INSERT INTO events (trip_id, at, event, detail) VALUES (?, ?, ?, ?)",
        (trip_id, at, event, detail),
    )


def _trip(row: sqlite3.Row) -> Trip:
    return Trip(
        id=row["id"],
        state=TripState(row["state"]),
        target=Target(Kind(row["kind"]), row["kind_id"]),
        rule=row["rule"],
        name=row["name"],
        ended_at=row["ended_at"],
        heard_at=row["heard_at"],
        changed_at=row["changed_at"],
        held_at=row["held_at"],
        release_after=row["release_after"],
        doublings=row["doublings"],
        released_at=row["released_at"],
        released_by=Release(row["released_by"]) if row["released_by"] else None,
        created_at=row["created"],
        reason_time=row["reason_time"],
        marked=row["marked"],
        served=bool(row["served"]),
        edited=row["edited"],
        tested_at=row["tested_at"],
        cause=row["cause"],
    )
