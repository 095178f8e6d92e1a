"""Counts the requests of which no attempt succeeded, once that is sure."""

from collections.abc import Callable

from sqlalchemy import Connection

from exporter.failed import due
from exporter.ledger import Ledger
from newapi.logs import LogTable

REST = 30
"""Seconds until the next query after one that failed."""


class Settler:
    """Settles failures by what the log table says of their requests.

    Args:
        ledger: where they are.
        clock: gives unix seconds.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._failed_at = 0.0

    @property
    def busy(self) -> bool:
        """Whether something can be settled now."""
        now = self._clock()
        return abs(now - self._failed_at) >= REST and bool(due(self._ledger.pending(), now))

    def work(self, connection: Connection, table: LogTable) -> None:
        """Settle what is due; after a query that failed it rests.

        Raises:
            DatabaseError: the log table cannot be read.
            StateError: it cannot be saved.
        """
        now, won = self._clock(), set[str]()
        failures = due(self._ledger.pending(), now)
        if table.tells_requests:
            self._failed_at = now  # should it fail
            requests = [failure.request_id for failure in failures]
            won = table.succeeded(connection, requests)
            # In a backlog more of a request may be to come: it would be counted twice.
            counted = self._ledger.position.last_id
            unfinished = table.failed_after(connection, requests, counted)
            failures = [f for f in failures if f.request_id not in unfinished]
            self._failed_at = 0.0
        self._ledger.settle(failures, won)
