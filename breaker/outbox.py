"""Notices on their way to Alertmanager: kept in the record until they arrived.

A notice is stored in the transaction that records its outcome, so that none is lost by a crash.
It lives for five minutes from the first time that Alertmanager took it, and is posted again each
minute until then, since Alertmanager forgets what it had taken when it is restarted. The notice of
a trip lives on while its alert fires and for as long after that as the alert that tells remembers
its condition: it inhibits that one, which would otherwise be a second message about the same.
"""

import json
import logging
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import requests

from breaker.decision import TripState
from breaker.notice import TRIPPED, Notice
from breaker.store import Store
from service.log import OncePerMinute

log = logging.getLogger(__name__)

_LIFE = 300
_AGAIN = 60
_HOUR = 3600
_REMEMBERED = 3600 + _LIFE
"""Seconds for which the alert that tells goes on after its condition (prometheus/rules)."""
_LONGEST = 96 * 3600
"""Seconds for which a notice of a trip lives at most: Alertmanager would send it again after the
repeat_interval of 120 h (alertmanager.yml)."""
_STALE = 24 * 3600
"""Seconds after which a notice that never arrived is no news any more."""


def enqueue(connection: sqlite3.Connection, notice: Notice, now: int) -> None:
    """Store a notice, unless it is one for once an hour and its subject was one within it."""
    if notice.hourly:
        told = connection.execute(
            "SELECT 1 FROM notices WHERE subject = ? AND created_at > ?",
            (notice.subject, now - _HOUR),
        ).fetchone()
        if told is not None:
            return
    connection.execute(
        "INSERT INTO notices (subject, labels, annotations, created_at) VALUES (?, ?, ?, ?)",
        (notice.subject, json.dumps(notice.labels), json.dumps(notice.annotations), now),
    )


def annotate(connection: sqlite3.Connection, trip_id: str, name: str, text: str) -> None:
    """Add an annotation to the notice of a trip, which is no new message."""
    connection.execute(
        "UPDATE notices SET annotations = json_set(annotations, ?, ?)"
        " WHERE json_extract(labels, '$.trip_id') = ?"
        " AND json_extract(labels, '$.alertname') = ?",
        (f"$.{name}", text, trip_id, TRIPPED),
    )


class Outbox:
    """Posts what is due.

    Args:
        store: the record's file.
        alertmanager: base URL.
        source: where people find more, the link of the alerts; None for none.
        clock: gives unix seconds.
        waiting: gives the ids of the trips whose notice is not complete yet.
    """

    def __init__(
        self,
        store: Store,
        alertmanager: str,
        source: str | None,
        clock: Callable[[], float],
        waiting: Callable[[], set[str]] = set,
    ) -> None:
        self._store = store
        self._url = f"{alertmanager.rstrip('/')}/api/v2/alerts"
        self._source = source
        self._clock = clock
        self._incomplete = waiting
        self._troubles = OncePerMinute(log)
        self._session = requests.Session()
        # A proxy that the environment names is for the Internet, not for our neighbour.
        self._session.trust_env = False

    def post(self) -> None:
        """Post what is due; what Alertmanager does not take stays due.

        Raises:
            RecordError: the record cannot be read or written.
        """
        now = int(self._clock())
        incomplete = self._incomplete()  # before the look, since what is told changes the notice
        due = self._store.read(
            "SELECT n.id, n.labels, n.annotations, n.created_at, CASE WHEN n.ends_at IS NULL"
            " OR (t.heard_at > ? AND n.created_at > ?) THEN ? ELSE n.ends_at END AS ends_at"
            " FROM notices n LEFT JOIN trips t ON t.id = json_extract(n.labels, '$.trip_id')"
            " AND json_extract(n.labels, '$.alertname') = ? AND t.state IN (?, ?)"
            " WHERE (n.posted_at IS NULL AND n.created_at > ?)"
            " OR (n.posted_at <= ? AND n.ends_at > ?) ORDER BY n.id LIMIT 100",
            now - _REMEMBERED, now - _LONGEST, now + _LIFE,
            TRIPPED, TripState.HELD, TripState.RELEASING,
            now - _STALE, now - _AGAIN, now,
        )  # fmt: skip
        due = [row for row in due if _trip_of(row) not in incomplete]
        if not due or not self._sent([self._alert(row) for row in due], now):
            return
        with self._store.transaction() as connection:
            connection.executemany(
                "UPDATE notices SET posted_at = ?, ends_at = ? WHERE id = ?",
                [(now, row["ends_at"], row["id"]) for row in due],
            )

    def waiting(self) -> int:
        """Count the notices that Alertmanager has not taken yet.

        Raises:
            RecordError: the record cannot be read.
        """
        rows = self._store.read(
            "SELECT count(*) FROM notices WHERE posted_at IS NULL AND created_at > ?",
            int(self._clock()) - _STALE,
        )
        return int(rows[0][0])

    def close(self) -> None:
        """Close the connections that are kept."""
        self._session.close()

    def _alert(self, row: sqlite3.Row) -> dict[str, Any]:
        alert = {
            "labels": json.loads(row["labels"]),
            "annotations": json.loads(row["annotations"]),
            "startsAt": _moment(row["created_at"]),
            "endsAt": _moment(row["ends_at"]),
        }
        return alert | {"generatorURL": self._source} if self._source else alert

    def _sent(self, alerts: list[dict[str, Any]], now: int) -> bool:
        try:
            response = self._session.post(self._url, json=alerts, timeout=(2, 5))
        except requests.RequestException as error:
            # Its text may hold the URL, and the URL a password.
            self._troubles.warning(f"Alertmanager: {type(error).__name__}", now)
            return False
        if not response.ok:
            said = " ".join(response.text[:200].split())
            self._troubles.warning(f"Alertmanager: status {response.status_code}: {said}", now)
        return response.ok


def _trip_of(row: sqlite3.Row) -> str | None:
    """Give the id of the trip whose notice this is."""
    labels = json.loads(row["labels"])
    return labels.get("trip_id") if labels["alertname"] == TRIPPED else None


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
