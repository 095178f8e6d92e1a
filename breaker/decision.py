"""What to do about an alert: pure functions of the alert, the record, the mode and the target.

Two steps, since the second needs the gateway's database: decide() tells whether to act at all,
judge() what to do with the channel or API key as it was found.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from breaker.mode import Mode
from breaker.webhook import Alert
from newapi.switch import BREAKER_MARK, DISABLED_BY_HAND, ENABLED, RELEASE_MARK, Kind, State

ACTIONS = {"disable_channel": Kind.CHANNEL, "disable_api_key": Kind.API_KEY}
"""What an alert's label `action` asks to be disabled; its label names the one."""

SETTLED = 120
"""Seconds after its end for which an alert that comes back has not ended: it flaps, or somebody
edited its rule, so that it came back under other labels."""

FORGOTTEN = 3600
"""Seconds without a delivery after which an alert has ended, since one that fires is delivered
each minute: its end was lost."""

IN_DOUBT = 300
"""Seconds after a write was begun for which it counts as done where the target is found disabled
and the gateway keeps no reason; later, in doubt, somebody else did it."""


class Target(NamedTuple):
    """One channel or API key."""

    kind: Kind
    number: int
    """channels.id or tokens.id."""


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
    COVERED = "covered"
    """It is off by another trip, of this breaker or another one."""
    NOTHING = "nothing"
    """There was nothing to disable, or it was refused."""
    RELEASING = "releasing"
    """It is being enabled again: whether it was, only the gateway's database can tell."""
    RELEASED = "released"
    """It was held, or covered, and is no longer."""


class Release(StrEnum):
    """Why a trip is no longer held; label `reason` where the result is `released`."""

    PERSON = "person"
    """Somebody enabled it in the gateway."""
    COMMAND = "command"
    """Somebody ran `newapi-breaker release`."""
    TIMER = "timer"
    """release_after has passed."""
    OTHER_RULE = "other_rule"
    """release_after has passed, and another rule that fires holds it from then on."""
    TAKEN_OVER = "taken_over"
    """It is off, and no longer by us."""
    LAST_CHANNEL = "last_channel"
    """It is in service again, and meanwhile nothing else serves a group and model."""
    GONE = "gone"
    """It was deleted."""


@dataclass(frozen=True)
class Trip:
    """The record of one decision to act on a target for a rule. Times in unix seconds."""

    id: str
    state: TripState
    target: Target
    rule: str = ""
    name: str = ""
    """Of the channel or API key, as last seen."""
    ended_at: int | None = None
    """When its alert ended."""
    heard_at: int = 0
    """When its alert was last delivered."""
    changed_at: int = 0
    held_at: int | None = None
    """When it was first held."""
    release_after: int | None = None
    """Seconds after which it is released by itself; None for never."""
    doublings: int = 0
    """How often release_after is doubled."""
    released_at: int | None = None
    released_by: Release | None = None
    created_at: int = 0
    """State.created_at; 0 where it was not seen."""
    reason_time: int | None = None
    """The newest time that the gateway itself had given a reason before the write; None where
    none is known. By the gateway's clock."""
    marked: str = ""
    """The id of the trip that this one took over, whose mark the gateway keeps still."""
    served: bool = False
    """It was last seen in service, and left so: it is not by this trip that it is off next."""
    edited: str = ""
    """State.edited when it was last seen off."""
    tested_at: int = 0
    """State.tested_at when it was last seen off."""
    cause: str = ""
    """The alert, as JSON."""

    def over(self, now: float) -> bool:
        """Tell whether its alert has ended, so that the next one is another incident."""
        if self.ended_at is not None and now - self.ended_at >= SETTLED:
            return True
        return now - self.heard_at >= FORGOTTEN

    @property
    def mark(self) -> str:
        """What the reason begins with that the gateway keeps of this trip."""
        return written_reason(self.marked or self.id, "")


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
    RELEASED = "released"
    """No alert came: what was held is no longer. Its reason is a Release."""
    SET_AGAIN = "set_again"
    """No alert came: what was held had been undone. Its reason is an Undone."""


class Reason(StrEnum):
    """Why an alert was refused or failed; label `reason` of newapi_breaker_decisions_total."""

    OFF = "off"
    BAD_ALERT = "bad_alert"
    UNSUPPORTED_ACTION = "unsupported_action"
    OVERRIDDEN = "overridden"
    """A person enabled it, and that counts still."""
    ALREADY_DISABLED = "already_disabled"
    OTHER_TRIP = "other_trip"
    """It is off by another rule's trip, or by another breaker's."""
    NOT_FOUND = "not_found"
    PROTECTED = "protected"
    TOO_MANY_TRIPS = "too_many_trips"
    STALE = "stale"
    """A health rule's alert that is too old to act upon."""
    LAST_CHANNEL = "last_channel"
    """A health rule would take the last enabled channel of a group and model."""
    UNVERIFIED = "unverified"
    """The write was done, and it is in service nevertheless."""


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
    """What to do with a channel or API key as it was found."""

    WRITE = "write"
    SAY = "say"
    """It is a dry run."""
    KEEP = "keep"
    """It is off, by this very trip."""
    UNDONE = "undone"
    """This very trip disabled it, and something of it is in service again."""
    COVERED = "covered"
    """It is off by another trip."""
    LEAVE = "leave"
    """It is off by somebody else, or gone."""


def decide(alert: Alert, last: Trip | None, mode: Mode, now: float) -> Decision | None:
    """Decide on an alert, where this is possible without a look at the gateway.

    Args:
        alert: as delivered.
        last: the newest trip of its rule and target.
        mode: what the breaker may do now.
        now: unix seconds.

    Returns:
        The decision; None to look at the target and act.
    """
    if not alert.for_breaker or not alert.firing or not alert.action:
        return Decision(Result.RECORDED)
    if alert.action not in ACTIONS:
        return Decision(Result.REFUSED, Reason.UNSUPPORTED_ACTION)
    if not alert.rule or not alert.target or target_of(alert) is None:
        return Decision(Result.REFUSED, Reason.BAD_ALERT)
    if last is not None:
        if overridden(last, alert.override_for, now):
            return Decision(Result.REFUSED, Reason.OVERRIDDEN, trip_id=last.id)
        # In earnest it would be held now, whether or not its alert has ended in between.
        said = last.state is TripState.WOULD and now - last.heard_at < FORGOTTEN
        held = last.state in {TripState.HELD, TripState.RELEASING} and not last.over(now)
        if (said and mode is Mode.DRY_RUN) or held:
            return Decision(Result.REPEATED, trip_id=last.id)
    return Decision(Result.REFUSED, Reason.OFF) if mode is Mode.OFF else None


def target_of(alert: Alert) -> Target | None:
    """Give what an alert asks to disable; None where its labels do not say."""
    kind = ACTIONS.get(alert.action)
    number = alert.number(f"{kind}_id") if kind is not None else None
    return Target(kind, number) if kind is not None and number is not None else None


def overridden(trip: Trip, override_for: int | None, now: float) -> bool:
    """Tell whether a person released a trip, and that counts still."""
    if trip.state is not TripState.RELEASED or trip.released_at is None:
        return False
    if trip.released_by not in {Release.PERSON, Release.COMMAND}:
        return False
    if override_for is not None:
        return now - trip.released_at < override_for
    return not trip.over(now)


def judge(
    state: State | None, trip: Trip, mode: Mode, now: float, *, covered: bool
) -> tuple[Step, str]:
    """Judge a channel or API key that an alert asks to disable.

    Args:
        state: as found; None where there is none.
        trip: the one that is to be done, or was begun before.
        mode: what the breaker may do now.
        now: unix seconds.
        covered: whether another trip of this breaker holds it.

    Returns:
        The step, and where it is LEAVE the Reason.
    """
    if state is None:
        return Step.LEAVE, Reason.NOT_FOUND
    if covered:
        return Step.COVERED, ""
    if state.status == ENABLED:
        return (Step.WRITE if mode is Mode.ENFORCE else Step.SAY), ""
    if _done_by(trip, state, now):
        return (Step.KEEP if state.off else Step.UNDONE), ""
    return (Step.COVERED, "") if state.by_breaker else (Step.LEAVE, Reason.ALREADY_DISABLED)


def written_reason(trip_id: str, text: str) -> str:
    """Give the reason that the gateway keeps, by which a later look knows whose trip it was."""
    return f"{BREAKER_MARK} {trip_id}: {text}"


def released_reason(trip_id: str, by: Release) -> str:
    """Give the reason that the gateway keeps when a trip was released."""
    return f"{RELEASE_MARK} {trip_id}: by {by}"


def _done_by(trip: Trip, state: State, now: float) -> bool:
    if state.reason is not None:
        return state.reason.startswith(trip.mark)
    # One API, and both gateways for API keys, keep no reason. What we began to disable a moment ago
    # and find disabled is ours: it was enabled just before the write was recorded as begun.
    begun = trip.state is TripState.WRITING and now - trip.changed_at < IN_DOUBT
    return begun and state.status == DISABLED_BY_HAND
