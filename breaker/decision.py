"""What to do about an alert: pure functions of the alert, the record, the mode and the channel.

Two steps, since the second needs the gateway's database: decide() tells whether to act at all,
judge() what to do with the channel as it was found.
"""

from dataclasses import dataclass
from enum import StrEnum

from breaker.mode import Mode
from breaker.webhook import Alert
from newapi.switch import BREAKER_MARK, ENABLED, ChannelState

DISABLE_CHANNEL = "disable_channel"


class TripState(StrEnum):
    """How far a trip has come."""

    PENDING = "pending"
    """Decided; nothing has been written to the gateway."""
    WRITING = "writing"
    """The write may have been done: whether it was, only the gateway's database can tell."""
    HELD = "held"
    """Disabled by this breaker, and verified."""
    WOULD = "would"
    """It would have been disabled, were this not a dry run."""
    NOTHING = "nothing"
    """There was nothing to disable."""
    RELEASED = "released"
    """It was held, and is no longer ours."""


@dataclass(frozen=True)
class Trip:
    """The record of one decision to act on a target for a rule."""

    id: str
    state: TripState
    ended: bool
    """Whether the alert has ended since."""


class Result(StrEnum):
    """What a delivered alert came to; label `result` of newapi_breaker_decisions_total."""

    RECORDED = "recorded"
    REPEATED = "repeated"
    """It had been acted upon before."""
    TRIPPED = "tripped"
    WOULD_TRIP = "would_trip"
    REFUSED = "refused"
    FAILED = "failed"
    """It could not be done, and is tried again with the next delivery."""


class Reason(StrEnum):
    """Why an alert was refused or failed; label `reason` of newapi_breaker_decisions_total."""

    OFF = "off"
    BAD_ALERT = "bad_alert"
    UNSUPPORTED_ACTION = "unsupported_action"
    ALREADY_DISABLED = "already_disabled"
    OTHER_BREAKER = "other_breaker"
    NOT_FOUND = "not_found"
    UNVERIFIED = "unverified"
    """The write was done, and the channel is in service nevertheless."""


@dataclass(frozen=True)
class Decision:
    """What an alert came to, as it is recorded."""

    result: Result
    reason: str = ""
    """A Reason, or a Fault of newapi; empty where it needs none."""
    detail: str = ""
    """One line for people, of what the reason does not tell."""
    trip_id: str | None = None


class Step(StrEnum):
    """What to do with a channel as it was found."""

    WRITE = "write"
    SAY = "say"
    """It is a dry run."""
    KEEP = "keep"
    """It is off, by this very trip."""
    UNDONE = "undone"
    """This very trip disabled it, and one of the two tables has it in service again."""
    LEAVE = "leave"
    """It is off by somebody else, or gone."""


def decide(alert: Alert, last: Trip | None, mode: Mode) -> Decision | None:
    """Decide on an alert, where this is possible without a look at the gateway.

    Args:
        alert: as delivered.
        last: the newest trip of its rule and target.
        mode: what the breaker may do now.

    Returns:
        The decision; None to look at the channel and act.
    """
    if not alert.for_breaker or not alert.firing or not alert.action:
        return Decision(Result.RECORDED)
    if alert.action != DISABLE_CHANNEL:
        return Decision(Result.REFUSED, Reason.UNSUPPORTED_ACTION)
    if not alert.rule or not alert.target or alert.channel_id is None:
        return Decision(Result.REFUSED, Reason.BAD_ALERT)
    if last is not None and not last.ended:
        said = last.state is TripState.WOULD and mode is Mode.DRY_RUN
        if said or last.state is TripState.HELD:
            return Decision(Result.REPEATED)
    return Decision(Result.REFUSED, Reason.OFF) if mode is Mode.OFF else None


def judge(channel: ChannelState | None, trip: Trip, mode: Mode) -> tuple[Step, Reason | None]:
    """Judge a channel that an alert asks to disable.

    Args:
        channel: as found; None where there is none.
        trip: the one that is to be done, or was begun or held before.
        mode: what the breaker may do now.

    Returns:
        The step, and where it is LEAVE the reason.
    """
    if channel is None:
        return Step.LEAVE, Reason.NOT_FOUND
    if channel.status == ENABLED:
        return (Step.WRITE if mode is Mode.ENFORCE else Step.SAY), None
    if _done_by(trip, channel):
        return (Step.KEEP if channel.off else Step.UNDONE), None
    return Step.LEAVE, Reason.OTHER_BREAKER if channel.by_breaker else Reason.ALREADY_DISABLED


def written_reason(trip_id: str, text: str) -> str:
    """Give the reason that the gateway keeps, by which a later look knows whose trip it was."""
    return f"{BREAKER_MARK} {trip_id}: {text}"


def _done_by(trip: Trip, channel: ChannelState) -> bool:
    if channel.reason is None:
        # One API keeps no reason. What we had begun to disable and find disabled was ours: the
        # channel was seen enabled just before the write was recorded as begun.
        return trip.state in {TripState.WRITING, TripState.HELD}
    return channel.reason.startswith(written_reason(trip.id, ""))
