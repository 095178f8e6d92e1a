"""The switch of a channel.

Routing reads abilities.enabled or channels.status, by the gateway's mode: both are written.
What may be written is in the statements below alone: channels.status, channels.other_info and
abilities.enabled (New API model/channel.go UpdateChannelStatus, model/ability.go).
"""

import json
from collections.abc import Sequence
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    Connection,
    Executable,
    Text,
    bindparam,
    column,
    select,
    table,
    update,
)

from newapi.database import Database, DatabaseError
from newapi.schema import Schema
from newapi.switch import (
    DISABLED_BY_HAND,
    ENABLED,
    NO_ROW,
    Kind,
    NotVerifiedError,
    Outcome,
    Result,
    State,
    fingerprint,
    groups_of,
)

_FORM = ("name", "models", "group", "priority", "weight", "tag", "remark", "model_mapping",
         "auto_ban")  # fmt: skip
"""Columns that people change in the gateway's edit form, none of them a secret."""

_CHANNELS = table(
    "channels",
    column("id", BigInteger),
    column("status", BigInteger),
    column("other_info", Text),
    column("test_time", BigInteger),
    column("created_time", BigInteger),
    *(column(name) for name in _FORM),
)
_ABILITIES = table(
    "abilities",
    column("channel_id", BigInteger),
    column("enabled", Boolean),
    column("group", Text),
    column("model", Text),
)

_CHOSEN = _CHANNELS.c.id == bindparam("number")
_SWITCH = (
    update(_CHANNELS)
    .where(_CHOSEN, _CHANNELS.c.status == bindparam("found"))
    .values(status=bindparam("wanted"))
)
_INFO = select(_CHANNELS.c.other_info).where(_CHOSEN)
_NOTE = update(_CHANNELS).where(_CHOSEN).values(other_info=bindparam("info"))
_ABLE = (
    update(_ABILITIES)
    .where(_ABILITIES.c.channel_id == bindparam("number"))
    .values(enabled=bindparam("on"))
)


class _NotOursError(Exception):
    """The row is as expected but for its reason: what was written is taken back."""


class ChannelSwitch:
    """Switches channels. Its methods are those of newapi.switch.Switch."""

    kind = Kind.CHANNEL
    writes: ClassVar = {"channels": ("status", "other_info"), "abilities": ("enabled",)}

    def require(self, schema: Schema) -> None:
        """Refuse a database in which no channel can be disabled.

        Raises:
            DatabaseError: a column is missing or not granted.
        """
        schema.require("channels", "id", "status")
        schema.require("abilities", "channel_id", "enabled")

    def read(self, database: Database, schema: Schema, number: int) -> State | None:
        """Look at a channel; None where there is no such channel."""
        self.require(schema)
        with database.connect() as connection:
            return _read(connection, schema, number)

    def disable(
        self, database: Database, schema: Schema, number: int, reason: str, now: int
    ) -> Outcome:
        """Disable a channel whose status is 1, in both tables."""
        return self._off(database, schema, number, ENABLED, reason, now)

    def set_again(
        self, database: Database, schema: Schema, number: int, seen: State, reason: str, now: int
    ) -> Outcome:
        """Disable a channel that the gateway put back into service, or took for its own."""
        return self._off(database, schema, number, seen.status, reason, now)

    def release(
        self, database: Database, schema: Schema, number: int, mark: str, reason: str, now: int
    ) -> Outcome:
        """Enable a channel again, in both tables."""
        self.require(schema)
        written = False
        try:
            with database.begin() as connection:
                written = _write(
                    connection, schema, number, (DISABLED_BY_HAND, ENABLED), reason, now, mark
                )
            state = self.read(database, schema, number)
        except _NotOursError:
            written, state = False, self.read(database, schema, number)
        except DatabaseError as error:
            if not written:
                raise
            raise NotVerifiedError(f"the write may have been done: {error}") from None
        if state is None:
            return Outcome(Result.NOT_FOUND, None)
        if not written:
            return Outcome(Result.UNTOUCHED, state)
        if state.status != ENABLED or state.enabled_abilities != state.abilities:
            raise NotVerifiedError(f"channel {number} is not in service: {_seen(state)}")
        return Outcome(Result.DONE, state)

    def sole(self, database: Database, schema: Schema, number: int) -> list[tuple[str, str]]:
        """Give each (group, model) that no other enabled channel serves, in order."""
        self.require(schema)
        schema.require("abilities", "group", "model")
        mine, others = _ABILITIES.alias("mine"), _ABILITIES.alias("others")
        served = (
            select(others.c.channel_id)
            .join(_CHANNELS, _CHANNELS.c.id == others.c.channel_id)
            .where(
                others.c.group == mine.c.group,
                others.c.model == mine.c.model,
                others.c.channel_id != number,
                others.c.enabled.is_(True),
                _CHANNELS.c.status == ENABLED,
            )
        )
        statement = select(mine.c.group, mine.c.model).where(
            mine.c.channel_id == number, ~served.exists()
        )
        with database.connect() as connection:
            return sorted((str(row[0]), str(row[1])) for row in connection.execute(statement))

    def statements(self, schema: Schema) -> Sequence[Executable]:
        """Give every statement that may write, as it is run."""
        noted = (_NOTE,) if schema.has("channels", "other_info") else ()
        return (_SWITCH, *noted, _ABLE)

    def rehearse(self, connection: Connection, schema: Schema) -> None:
        """Run each of statements() on a row that does not exist."""
        self.require(schema)
        nothing = {"number": NO_ROW, "found": NO_ROW, "wanted": NO_ROW, "info": "", "on": False}
        for statement in self.statements(schema):
            connection.execute(statement, nothing)

    def _off(
        self, database: Database, schema: Schema, number: int, found: int, reason: str, now: int
    ) -> Outcome:
        self.require(schema)
        written = False
        try:
            with database.begin() as connection:
                change = (found, DISABLED_BY_HAND)
                if not _write(connection, schema, number, change, reason, now):
                    return _untouched(_read(connection, schema, number), number)
                written = True
            state = self.read(database, schema, number)
        except DatabaseError as error:
            if not written:
                raise
            raise NotVerifiedError(f"the write may have been done: {error}") from None
        if state is not None and not state.off:
            raise NotVerifiedError(in_service(state, number))
        return Outcome(Result.DONE, state)


def in_service(state: State, number: int) -> str:
    """Say in one line what both tables say of a channel that should be off."""
    return f"channel {number} is still in service: {_seen(state)}"


def _seen(state: State) -> str:
    return (
        f"its status is {state.status}, and "
        f"{state.enabled_abilities} of its {state.abilities} abilities are enabled"
    )


def _write(
    connection: Connection,
    schema: Schema,
    number: int,
    change: tuple[int, int],
    reason: str,
    now: int,
    mark: str = "",
) -> bool:
    """Write both tables unless the status is not the one expected; tell whether it was written."""
    # This statement comes first: it locks the row, so that nothing is lost of the other_info that
    # is read after it, and no SELECT ... FOR UPDATE is needed, whose grants differ.
    found, wanted = change
    switched = connection.execute(_SWITCH, {"number": number, "found": found, "wanted": wanted})
    if switched.rowcount == 0:
        return False
    if schema.has("channels", "other_info"):
        info = connection.execute(_INFO, {"number": number}).scalar()
        if not str(_object(info).get("status_reason") or "").startswith(mark):
            raise _NotOursError
        connection.execute(_NOTE, {"number": number, "info": _merged(info, reason, now)})
    connection.execute(_ABLE, {"number": number, "on": wanted == ENABLED})
    return True


def _untouched(state: State | None, number: int) -> Outcome:
    if state is None:
        return Outcome(Result.NOT_FOUND, None)
    if state.status == ENABLED:  # it was enabled between the two statements: try again later
        raise NotVerifiedError(in_service(state, number))
    return Outcome(Result.UNTOUCHED, state)


def _read(connection: Connection, schema: Schema, number: int) -> State | None:
    names = [c.name for c in _CHANNELS.c if schema.has("channels", c.name)]
    found = (
        connection.execute(
            select(*(_CHANNELS.c[n] for n in names)).where(_CHOSEN), {"number": number}
        )
        .mappings()
        .first()
    )
    if found is None:
        return None
    rows = connection.execute(select(_ABILITIES.c.enabled).where(_ABILITIES.c.channel_id == number))
    enabled = [bool(value) for value in rows.scalars()]
    reason, reason_time = None, None
    if "other_info" in found:
        info = _object(found["other_info"])
        reason = str(info.get("status_reason") or "")
        reason_time = _time(info.get("status_time"))
    return State(
        name=str(found.get("name") or ""),
        named="name" in found,
        status=int(found["status"] or 0),
        groups=groups_of(found["group"]) if "group" in found else None,
        reason=reason,
        reason_time=reason_time,
        abilities=len(enabled),
        enabled_abilities=sum(enabled),
        edited=fingerprint([found[name] for name in _FORM if name in found]),
        tested_at=int(found.get("test_time") or 0),
        created_at=int(found.get("created_time") or 0),
    )


def _time(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 < value < 2**53 else None


def _merged(info: str | None, reason: str, now: int) -> str:
    """Add our reason to other_info; of what is no JSON object nothing can be kept."""
    ours: dict[str, Any] = {"status_reason": reason, "status_time": now}
    try:
        return json.dumps(_object(info) | ours, allow_nan=False)
    except (ValueError, RecursionError):  # NaN and the like, which the gateway's reader refuses
        return json.dumps(ours)


def _object(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except (ValueError, TypeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
