"""The switch: what taking a channel or an API key out of service has in common for both.

ChannelSwitch (newapi/switch_channel.py) and ApiKeySwitch (newapi/switch_key.py) write as the
gateway itself does, each in one short transaction that changes nothing unless the row holds what
it is expected to hold, and look afterwards whether it helped.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from sqlalchemy import Connection, Executable
from sqlalchemy.sql import ClauseElement

from newapi.database import Database
from newapi.schema import Schema

ENABLED = 1
DISABLED_BY_HAND = 2
"""The status that the gateway never turns back by itself, unlike a channel's 3 (New API
service/channel.go ShouldEnableChannel)."""
DISABLED_BY_GATEWAY = 3
"""channels.status alone; tokens.status 3 means expired."""

BREAKER_MARK = "newapi-breaker"
"""What the reason begins with when a breaker of this project disabled a channel."""
RELEASE_MARK = f"{BREAKER_MARK} released"
"""What it begins with when that breaker enabled it again."""

NO_ROW = 0
"""An id that no row has: ids begin with 1."""


class Kind(StrEnum):
    """What can be switched; label `kind` of newapi_breaker_held."""

    CHANNEL = "channel"
    API_KEY = "api_key"


class NotVerifiedError(Exception):
    """The write was done, or may have been, and it is not seen to have helped; one line."""


@dataclass(frozen=True)
class State:
    """Whether a channel or an API key is in service, and who had a hand in it."""

    name: str
    status: int
    """1 enabled, 2 disabled by hand; 0 where the row holds NULL."""
    named: bool = True
    """Whether its name can be seen."""
    groups: tuple[str, ...] | None = None
    """The groups that it serves or belongs to; None where they cannot be seen."""
    reason: str | None = None
    """other_info.status_reason, empty where none is given; None where the gateway keeps none."""
    reason_time: int | None = None
    """other_info.status_time, unix seconds; None where none is given."""
    abilities: int = 0
    """A channel's rows of abilities, one for each group and model; an API key has none."""
    enabled_abilities: int = 0
    edited: str = ""
    """Changes when somebody saves the gateway's edit form with other values."""
    tested_at: int = 0
    """When the gateway last tested the channel, unix seconds; 0 where this cannot be seen."""
    created_at: int = 0
    """When the row was made, unix seconds; 0 where this cannot be seen. SQLite gives the id of the
    newest row again when that was deleted."""

    @property
    def off(self) -> bool:
        """Whether no mode of routing chooses it."""
        return self.status != ENABLED and self.enabled_abilities == 0

    @property
    def by_breaker(self) -> bool:
        """Whether a breaker of this project gave the reason, in order to disable it."""
        reason = self.reason or ""
        return reason.startswith(f"{BREAKER_MARK} ") and not reason.startswith(RELEASE_MARK)


class Result(StrEnum):
    """What a write came to."""

    DONE = "done"
    UNTOUCHED = "untouched"
    """The row did not hold what was expected; nothing was written."""
    NOT_FOUND = "not_found"


@dataclass(frozen=True)
class Outcome:
    """What a write came to, and the state as found: afterwards, or untouched."""

    result: Result
    state: State | None


class Switch(Protocol):
    """Switches one kind of thing; each method may raise DatabaseError, and then wrote nothing."""

    @property
    def kind(self) -> Kind:
        """What it switches."""

    @property
    def writes(self) -> Mapping[str, Sequence[str]]:
        """The columns that it writes, by table."""

    def require(self, schema: Schema) -> None:
        """Refuse a database whose columns do not allow it (DatabaseError names the column)."""

    def read(self, database: Database, schema: Schema, number: int) -> State | None:
        """Look at one; None where there is none of that id."""

    def disable(
        self, database: Database, schema: Schema, number: int, reason: str, now: int
    ) -> Outcome:
        """Disable one that is enabled, and verify it.

        Args:
            database: opened writable.
            schema: its columns.
            number: its id.
            reason: for other_info, which New API shows to its administrators.
            now: unix seconds, for other_info.

        Raises:
            NotVerifiedError: it is in service after the write was committed, or the connection
                was lost at that moment.
        """

    def set_again(
        self, database: Database, schema: Schema, number: int, seen: State, reason: str, now: int
    ) -> Outcome:
        """Disable one that was put back into service, unless its status is not `seen`'s any more.

        Raises:
            NotVerifiedError: as disable().
        """

    def release(
        self, database: Database, schema: Schema, number: int, mark: str, reason: str, now: int
    ) -> Outcome:
        """Enable one whose status is 2 and whose reason, where there is one, begins with `mark`.

        An API key, and a channel of One API, has no reason: there the status alone is looked at,
        and the caller answers for it that the 2 is its own.

        Raises:
            NotVerifiedError: it is not wholly in service after the write was committed.
        """

    def sole(self, database: Database, schema: Schema, number: int) -> list[tuple[str, str]]:
        """Give each (group, model) that nothing but this one serves, in order."""

    def statements(self, schema: Schema) -> Sequence[Executable]:
        """Give every statement that may write, as it is run."""

    def rehearse(self, connection: Connection, schema: Schema) -> None:
        """Run each of statements() on a row that does not exist: the account may, or it fails."""


def as_text(statement: Executable, connection: Connection) -> str:
    """Give a statement as this database gets it, on one line, with places for its values."""
    if not isinstance(statement, ClauseElement):
        raise TypeError(f"{statement!r} has no text")
    return " ".join(str(statement.compile(dialect=connection.dialect)).split())


def fingerprint(values: Sequence[object]) -> str:
    """Give a short text that is another one when a value is another one."""
    return hashlib.sha256(repr(list(values)).encode()).hexdigest()[:16]


def groups_of(text: object) -> tuple[str, ...]:
    """Read a column `group`, which for a channel holds a list with commas."""
    names = (name.strip() for name in str(text or "").split(","))
    return tuple(name for name in names if name)
