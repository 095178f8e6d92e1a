"""Reads the gateway's inventory and options from time to time, and holds what was read last."""

import logging
from collections.abc import Callable

from exporter.departed import present
from exporter.ledger import Ledger
from exporter.seen import Seen
from exporter.state import StateError
from exporter.status import OwnFault, Status
from newapi.database import Database, DatabaseError, Fault
from newapi.inventory import Inventory, read_inventory
from newapi.options import Options, read_options
from newapi.schema import inspect
from service.log import OncePerMinute

log = logging.getLogger(__name__)

EVERY = 15
"""Seconds between two readings: as often as Prometheus asks for it."""


class Stock:
    """The inventory as it was seen last; None before it was read.

    Args:
        database: where channels, tokens, users, abilities and options are.
        logs: where the log table is, which tells the flavour.
        ledger: what is told what exists, so that it remembers what is deleted.
        status: what is told how it goes.
        clock: gives unix seconds.
    """

    def __init__(
        self,
        database: Database,
        logs: Database,
        ledger: Ledger,
        status: Status,
        clock: Callable[[], float],
    ) -> None:
        self.seen = Seen(ledger)
        """What was seen enabled, for rules with "*"."""
        self.read_at = 0.0
        """Unix time of the last reading; 0 before the first."""
        self.inventory: Inventory | None = None
        self.options: Options | None = None
        self._database = database
        self._logs = logs
        self._ledger = ledger
        self._status = status
        self._clock = clock
        self._said = OncePerMinute(log)
        self._read_at = float("-inf")
        self._newcomers = 0

    def read(self) -> None:
        """Read everything, if it was read too long ago or somebody new was met in the log table.

        What fails is tried again next time, but for what takes too long: counting waits for it.
        """
        now = self._clock()
        try:
            if abs(now - self._read_at) >= EVERY or self._ledger.newcomers != self._newcomers:
                self._read(now)
                self._newcomers = self._ledger.newcomers
        finally:
            if self._status.caught_up and not self._status.inventory_tried:
                self._ledger.exposed()
                self._status.inventory_tried = True

    def _read(self, now: float) -> None:
        try:
            with self._logs.connect() as connection:
                schema = inspect(connection)
            with self._database.connect() as connection:
                tables = schema if self._logs is self._database else inspect(connection)
                inventory = read_inventory(connection, tables, schema.flavour, now)
                options = read_options(connection, tables)
            self._ledger.compare(present(inventory))
            self.seen.look(inventory, now)
        except StateError as error:
            self._status.failed("state", OwnFault.STATE, f"state: {error}")
            return
        except DatabaseError as error:
            message = f"inventory: {error}"
            self._status.failed("inventory", error.fault.value, message)
            self._said.warning(message, now)
            if error.fault is Fault.TIMEOUT:
                self._read_at = self._clock()
            return
        self.inventory, self.options = inventory, options
        self.read_at = now
        if self._ledger.counting_since is not None:
            self._read_at = now
        self._status.works("inventory")
