"""Counts the requests of which no attempt succeeded, once that is sure."""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from exporter.failed import Failure, due
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

    def due(self, until: float) -> list[Failure]:
        """Give what can be settled now.

        Args:
            until: unix seconds up to which the log table has been counted: what is later is not
                yet known of any request.
        """
        now = self._clock()
        resting = abs(now - self._failed_at) < REST
        return [] if resting else due(self._ledger.pending(), min(now, until))

    def settle(self, failures: Sequence[Failure], connection: Connection, table: LogTable) -> None:
        """Settle failures that are due; after a query that failed it rests.

        Raises:
            DatabaseError: the log table cannot be read.
            StateError: it cannot be saved.
        """
        won = set[str]()
        if table.tells_requests:
            self._failed_at = self._clock()  # should it fail
            won = table.succeeded(connection, [failure.request_id for failure in failures])
            self._failed_at = 0.0
        self._ledger.settle(failures, won)
