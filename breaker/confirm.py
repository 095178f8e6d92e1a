"""After a trip: what the log table says, which only the gateway that follows can make quiet."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from breaker.decision import Trip
from breaker.notice import read_cause, still_serving
from breaker.record import Record
from breaker.settings import Language
from newapi.database import Database, DatabaseError, Fault
from newapi.log_requests import requests_of
from newapi.schema import Flavour, inspect
from service.log import OncePerMinute

log = logging.getLogger(__name__)

FOLLOWED = 60
"""Seconds after a trip from which on no request should begin: the gateway's SYNC_FREQUENCY."""

_FOLLOWED_BY_ONE_API = 600
"""What SYNC_FREQUENCY is for One API unless set: until then requests are nothing to tell of."""

_WATCHED = 30
"""Seconds for which requests are watched for after that."""

_BEFORE = 60
"""Seconds before the trip in which the last request is looked for."""

_GIVEN_UP = 3600
"""Seconds after a trip after which its last request is not looked for any more."""


class Confirmation:
    """Looks up the requests after each trip, once the gateway should have followed.

    Args:
        logs: the database of the log table.
        record: for what is told.
        language: of the notices.
        clock: gives unix seconds.
    """

    def __init__(
        self,
        logs: Database,
        record: Record,
        *,
        language: Language,
        clock: Callable[[], float],
    ) -> None:
        self._logs = logs
        self._record = record
        self._incidents = record.incidents
        self._language = language
        self._clock = clock
        self._troubles = OncePerMinute(log)

    def look(self) -> None:
        """Confirm the trips whose time has come; one that is not quiet is looked at again.

        Raises:
            RecordError: the record cannot be read or written.
        """
        now = int(self._clock())
        for trip in self._incidents.unconfirmed(now - _GIVEN_UP):
            if trip.held_at is None or now < trip.held_at + FOLLOWED + _WATCHED:
                continue
            try:
                self._confirm(trip, trip.held_at, now)
            except DatabaseError as error:
                self._troubles.warning(f"requests after a trip: {error}", now)
                if error.fault is not Fault.MISSING:  # the others would fail too, and take as long
                    return
                # The account may not read the log table.
                self._incidents.confirm(trip.id, f"not known: {error}", now)

    def _confirm(self, trip: Trip, held_at: int, now: int) -> None:
        with self._logs.connect() as connection:
            schema = inspect(connection)
        # A stretch in which no request began is enough, however long the gateway took to follow.
        after = max(held_at + FOLLOWED, now - FOLLOWED)
        found = requests_of(
            self._logs, schema, trip.target.kind, trip.target.number,
            since=held_at - _BEFORE, begun_after=after,
        )  # fmt: skip
        if found.begun:
            one_api = schema.flavour is Flavour.ONE_API
            if now < held_at + _WATCHED + (_FOLLOWED_BY_ONE_API if one_api else FOLLOWED):
                return
            self._record.tell(
                still_serving(read_cause(trip), trip, found.begun, after - held_at, self._language),
                now,
            )
            return
        text = "no request in the minute before it, or since"
        if found.last is not None:
            text = f"last request at {datetime.fromtimestamp(found.last, UTC):%Y-%m-%dT%H:%M:%SZ}"
        self._incidents.confirm(trip.id, text, now)
        self._record.annotate(trip.id, "last_request", text)
