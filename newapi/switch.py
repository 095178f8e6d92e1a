"""The switch: takes a channel out of service as the gateway itself does, and looks whether it is.

Routing reads abilities.enabled or channels.status, by the gateway's mode: both are written.
What may be written is in _CHANNELS and _ABILITIES alone: channels.status, channels.other_info and
abilities.enabled (New API model/channel.go UpdateChannelStatus, model/ability.go).
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Boolean, Connection, Text, column, select, table, update

from newapi.database import Database, DatabaseError
from newapi.schema import Schema

ENABLED = 1
DISABLED_BY_HAND = 2
"""channels.status that the gateway never turns back by itself, unlike 3 (New API
service/channel.go ShouldEnableChannel)."""

BREAKER_MARK = "newapi-breaker"
"""What the reason begins with when a breaker of this project disabled a channel."""

_CHANNELS = table(
    "channels",
    column("id", BigInteger),
    column("name", Text),
    column("status", BigInteger),
    column("other_info", Text),
)
_ABILITIES = table("abilities", column("channel_id", BigInteger), column("enabled", Boolean))


class NotVerifiedError(Exception):
    """The write was done, or may have been, and the channel is not seen to be off; one line."""


@dataclass(frozen=True)
class ChannelState:
    """Whether a channel is in service, as both tables say."""

    name: str
    status: int
    """1 enabled, 2 disabled by hand, 3 by the gateway; 0 where the row holds NULL."""
    reason: str | None
    """other_info.status_reason, empty where none is given; None where the gateway keeps none."""
    abilities: int
    """Rows of abilities, one for each group and model."""
    enabled_abilities: int

    @property
    def off(self) -> bool:
        """Whether no mode of routing chooses this channel."""
        return self.status != ENABLED and self.enabled_abilities == 0

    @property
    def by_breaker(self) -> bool:
        """Whether a breaker of this project gave the reason."""
        return (self.reason or "").startswith(f"{BREAKER_MARK} ")


class Result(StrEnum):
    """What disabling a channel came to."""

    DISABLED = "disabled"
    ALREADY_DISABLED = "already_disabled"
    NOT_FOUND = "not_found"


@dataclass(frozen=True)
class Outcome:
    """What disabling a channel came to, and the channel as found: afterwards, or untouched."""

    result: Result
    channel: ChannelState | None


def require_columns(schema: Schema) -> None:
    """Refuse a database in which a channel cannot be disabled.

    Raises:
        DatabaseError: a column is missing or not granted.
    """
    schema.require("channels", "id", "status")
    schema.require("abilities", "channel_id", "enabled")


def read_channel(database: Database, schema: Schema, channel_id: int) -> ChannelState | None:
    """Look at a channel; None where there is no such channel.

    Raises:
        DatabaseError: the database does not answer, or a column is missing or not granted.
    """
    require_columns(schema)
    with database.connect() as connection:
        return _read(connection, schema, channel_id)


def disable_channel(
    database: Database, schema: Schema, channel_id: int, reason: str, now: int
) -> Outcome:
    """Disable a channel that is enabled, in one short transaction, and verify it.

    Args:
        database: opened writable.
        schema: its columns.
        channel_id: channels.id.
        reason: for other_info, which New API shows to its administrators.
        now: unix seconds, for other_info.

    Raises:
        DatabaseError: the database does not answer, or a column is missing or not granted;
            nothing was written.
        NotVerifiedError: the channel is in service after the write was committed, or the
            connection was lost at that moment.
    """
    require_columns(schema)
    written = False
    try:
        with database.begin() as connection:
            if not _switch_off(connection, schema, channel_id, reason, now):
                return _untouched(_read(connection, schema, channel_id), channel_id)
            written = True
        channel = read_channel(database, schema, channel_id)
    except DatabaseError as error:
        if not written:
            raise
        raise NotVerifiedError(f"the write may have been done: {error}") from None
    if channel is not None and not channel.off:
        raise NotVerifiedError(in_service(channel, channel_id))
    return Outcome(Result.DISABLED, channel)


def in_service(channel: ChannelState, channel_id: int) -> str:
    """Say in one line what both tables say of a channel that should be off."""
    return (
        f"channel {channel_id} is still in service: its status is {channel.status}, and "
        f"{channel.enabled_abilities} of its {channel.abilities} abilities are enabled"
    )


def _switch_off(
    connection: Connection, schema: Schema, channel_id: int, reason: str, now: int
) -> bool:
    """Write both tables unless the channel is not enabled; tell whether it was written."""
    chosen = _CHANNELS.c.id == channel_id
    # This statement comes first: it locks the row, so that nothing is lost of the other_info that
    # is read after it, and no SELECT ... FOR UPDATE is needed, whose grants differ.
    switched = connection.execute(
        update(_CHANNELS)
        .where(chosen, _CHANNELS.c.status == ENABLED)
        .values(status=DISABLED_BY_HAND)
    )
    if switched.rowcount == 0:
        return False
    if schema.has("channels", "other_info"):
        info = connection.execute(select(_CHANNELS.c.other_info).where(chosen)).scalar()
        connection.execute(
            update(_CHANNELS).where(chosen).values(other_info=_merged(info, reason, now))
        )
    connection.execute(
        update(_ABILITIES).where(_ABILITIES.c.channel_id == channel_id).values(enabled=False)
    )
    return True


def _untouched(channel: ChannelState | None, channel_id: int) -> Outcome:
    if channel is None:
        return Outcome(Result.NOT_FOUND, None)
    if channel.status == ENABLED:  # it was enabled between the two statements: try again later
        raise NotVerifiedError(in_service(channel, channel_id))
    return Outcome(Result.ALREADY_DISABLED, channel)


def _read(connection: Connection, schema: Schema, channel_id: int) -> ChannelState | None:
    wanted = [_CHANNELS.c[c] for c in ("status", "name", "other_info") if schema.has("channels", c)]
    chosen = select(*wanted).where(_CHANNELS.c.id == channel_id)
    found = connection.execute(chosen).mappings().first()
    if found is None:
        return None
    rows = connection.execute(
        select(_ABILITIES.c.enabled).where(_ABILITIES.c.channel_id == channel_id)
    )
    enabled = [bool(value) for value in rows.scalars()]
    reason = None
    if "other_info" in found:
        reason = str(_object(found["other_info"]).get("status_reason") or "")
    return ChannelState(
        name=str(found.get("name") or ""),
        status=int(found["status"] or 0),
        reason=reason,
        abilities=len(enabled),
        enabled_abilities=sum(enabled),
    )


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
