"""Whether the gateway's database and the record can be written, tried now and then."""

import logging
from collections.abc import Callable, Mapping, Sequence

from breaker.mode import Mode
from breaker.store import RecordError, Store
from newapi.database import Database, DatabaseError
from newapi.options import read_options
from newapi.rights import excess, grants, look
from newapi.schema import Schema, inspect
from newapi.switch import Kind, Switch, as_text
from service.log import OncePerMinute

log = logging.getLogger(__name__)
_statements = logging.getLogger("breaker.statements")
_statements.setLevel(logging.INFO)  # whatever LOG_LEVEL says: what may be written is to be known

_AGAIN = 60
"""Seconds after which the account's rights and the record are tried again: a server may have turned
read-only, a disk be full."""
_AGAIN_IN_FILE = 3600
"""The same of SQLite, whose only writer is kept from its work meanwhile."""


class _Record:
    """Whether the record can be written."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tried_at: float | None = None
        self._failed_writes = 0
        self.trouble: str | None = None

    def check(self, now: float) -> str | None:
        """Try it where it is time, where a write has failed, and until one succeeds again."""
        again = self.trouble is not None or self._failed_writes != self._store.failed_writes
        if again or self._tried_at is None or not 0 <= now - self._tried_at < _AGAIN:
            try:
                self._store.probe()
                self.trouble = None
            except RecordError as error:
                self.trouble = f"BREAKER_STATE: {error}"
            self._tried_at, self._failed_writes = now, self._store.failed_writes
        return self.trouble


class Health:
    """The state of the gateway's database and of the record when they were last looked at.

    Args:
        database: the gateway's, opened writable.
        store: the record, without which nothing is disabled.
        switches: one for each kind; where channels cannot be switched the breaker is not ready.
        needed: columns beside those of the switches, as (table, column).
        mode: gives the mode at this moment; off needs no database.
        clock: gives unix seconds.
    """

    def __init__(
        self,
        database: Database,
        store: Store,
        switches: Mapping[Kind, Switch],
        needed: Sequence[tuple[str, str]],
        *,
        mode: Callable[[], Mode],
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._record = _Record(store)
        self._switches = switches
        self._needed = needed
        self._mode = mode
        self._clock = clock
        self._troubles = OncePerMinute(log)
        self._trouble: str | None = f"{database.name}: not looked at yet"
        self._again = _AGAIN_IN_FILE if database.dialect == "sqlite" else _AGAIN
        self._tried_at: float | None = None
        self._doubts = 0
        self._told: set[str] = set()
        self.without: dict[Kind, str] = {}
        """What cannot be switched, and why, beside channels."""

    def check(self) -> None:
        """Look at both, and log once a minute what is wrong."""
        if trouble := self._record.check(self._clock()):
            self._troubles.warning(trouble, self._clock())
        if self._mode() is Mode.OFF:
            return
        try:
            with self._database.connect() as connection:
                schema = inspect(connection)
            self._switches[Kind.CHANNEL].require(schema)
            for table, column in self._needed:
                schema.require(table, column)
            if self._in_doubt():
                self._try_rights(schema)
                self._tried_at = self._clock()
                self._doubts = self._database.doubts
        except DatabaseError as error:
            text = str(error)
            self._trouble = (
                text if text.startswith(self._database.name) else f"{self._database.name}: {text}"
            )
            self._tried_at = None
            self._troubles.warning(self._trouble, self._clock())
        else:
            if self._trouble is not None:
                log.info("%s: found", self._database.name)
            self._trouble = None

    def _in_doubt(self) -> bool:
        """Tell whether rights are to be tried: it is time, or a write failed since, or was slow."""
        if self._tried_at is None or self._doubts != self._database.doubts:
            return True
        return not 0 <= self._clock() - self._tried_at < self._again

    def reasons(self) -> list[str]:
        """Give what keeps the breaker from disabling anything, nothing when it is ready."""
        database = None if self._mode() is Mode.OFF else self._trouble
        return [trouble for trouble in (self._record.trouble, database) if trouble is not None]

    def _try_rights(self, schema: Schema) -> None:
        """Say what may be written, and write it to rows that do not exist.

        Raises:
            DatabaseError: the account may not disable a channel.
        """
        with self._database.connect() as connection:
            rights = look(connection)
        writes = {name: of for s in self._switches.values() for name, of in s.writes.items()}
        if too_much := excess(rights, writes):
            self._say(
                f"this account may do more than the breaker needs: {too_much}; deploy/grants has"
                " the SQL for one that may not",
                level=logging.WARNING,
            )
        for kind, switch in self._switches.items():
            try:
                with self._database.begin() as connection:
                    for statement in switch.statements(schema):
                        self._say(f"may run: {as_text(statement, connection)}", _statements)
                    switch.rehearse(connection, schema)
            except DatabaseError as error:
                lacking = grants(rights, {}, switch.writes)
                text = "; ".join((str(error), *(f"needed: {grant}" for grant in lacking)))
                if kind is Kind.CHANNEL:
                    raise DatabaseError(error.fault, text) from None
                if self.without.get(kind) != text:
                    log.warning("%ss cannot be disabled: %s", kind, text)
                self.without[kind] = text
            else:
                self.without.pop(kind, None)
        if not schema.has("channels", "other_info"):
            self._warn_of_tests(schema)

    def _warn_of_tests(self, schema: Schema) -> None:
        """One API enables what its tests find well, also what was disabled by hand."""
        try:
            with self._database.connect() as connection:
                options = read_options(connection, schema)
        except DatabaseError:
            return
        if options.enabled("AutomaticEnableChannelEnabled"):
            self._say(
                "AutomaticEnableChannelEnabled is on: One API's channel tests enable what the"
                " breaker disables, and it will disable that again; better turn it off"
            )

    def _say(self, line: str, logger: logging.Logger = log, *, level: int = logging.INFO) -> None:
        """Log a line unless it was logged since the start."""
        if line not in self._told:
            self._told.add(line)
            logger.log(level, "%s: %s", self._database.name, line)
