"""What to make of something that was disabled, as it is found some seconds later: pure functions.

Who enabled it is told by what the gateways write (New API v1.0.0-rc.24, controller/channel.go,
controller/channel-test.go, service/channel.go, model/channel.go):

- The switch in the list writes the status alone (until v1.0.0-rc.15, and by tag), or the reason
  "manual operation" with the time (since v1.0.0-rc.16).
- A channel test that loaded the row while it was 3 writes 1, an empty reason and the time.
- An edit form that was opened before the trip writes all its fields, among them the status and
  the other_info that it had loaded (until v1.0.0-rc.15); so does a save of the whole row.

A reason is therefore news where its time is later than the one that stood there before the trip.
Both are by the gateway's clock, whatever ours says.

One API and API keys have no reason. There a form is told by the fields that changed with the
status, and a test of One API by its time, where the gateway may enable channels by itself.
"""

from enum import StrEnum

from breaker.decision import Release, Trip
from newapi.switch import (
    BREAKER_MARK,
    DISABLED_BY_GATEWAY,
    DISABLED_BY_HAND,
    ENABLED,
    Kind,
    State,
)


class Undone(StrEnum):
    """How something that was held came to be in service, or near to it."""

    GATEWAY_DISABLED = "gateway_disabled"
    """The gateway disabled it too, and could enable that again by itself."""
    GATEWAY_TEST = "gateway_test"
    EDIT_FORM = "edit_form"
    ABILITIES = "abilities"
    """The status is right, and abilities were enabled."""
    REASON = "reason"
    """It is off, and an old form took our reason away."""


def row_of(trip: Trip, state: State | None) -> State | None:
    """Give what was found, unless it is another row that was given the id of a deleted one."""
    known = state is not None and state.created_at and trip.created_at
    return None if state is not None and known and state.created_at != trip.created_at else state


def look(state: State | None, trip: Trip, *, tests_enable: bool) -> Undone | Release | None:
    """Judge something that is held.

    Args:
        state: as found by row_of(); None where it is gone.
        trip: what holds it.
        tests_enable: whether the gateway enables channels by itself whose test succeeds.

    Returns:
        How it was undone, so that it is to be set again; why it is no longer ours; None to leave
        it as it is.
    """
    if state is None:
        return Release.GONE
    if state.status == ENABLED:
        undone = who_enabled(state, trip, trip.mark, tests_enable=tests_enable)
        return undone if undone is not None else Release.PERSON
    if trip.served and not _ours(state, trip):
        return Release.TAKEN_OVER
    if state.status == DISABLED_BY_GATEWAY and trip.target.kind is Kind.CHANNEL:
        return Undone.GATEWAY_DISABLED
    if state.status == DISABLED_BY_HAND and not (state.reason is None or _ours(state, trip)):
        # The gateway gives no 2 by itself: whoever wrote after us meant it to be off.
        return Release.TAKEN_OVER if _newer(state, trip) else Undone.REASON
    return None if state.off else Undone.ABILITIES


def who_enabled(state: State, trip: Trip, mark: str, *, tests_enable: bool) -> Undone | None:
    """Tell how something that was disabled, or may have been, came to be enabled.

    Args:
        state: as found, enabled.
        trip: when it was last seen off, and with which fields.
        mark: what the reason began with while it was off.
        tests_enable: as look().

    Returns:
        The gateway's race; None where a person did it, and in doubt.
    """
    changed = bool(trip.edited) and state.edited != trip.edited
    if state.reason is None:
        if changed:
            return Undone.EDIT_FORM
        tested = tests_enable and state.tested_at > trip.tested_at
        return Undone.GATEWAY_TEST if tested else None
    if state.reason.startswith(mark):
        return Undone.EDIT_FORM if changed else None
    if not _newer(state, trip):
        return Undone.EDIT_FORM
    return None if state.reason else Undone.GATEWAY_TEST


def _ours(state: State, trip: Trip) -> bool:
    return (state.reason or "").startswith(trip.mark)


def _newer(state: State, trip: Trip) -> bool:
    """Tell whether the reason was given after the trip, by the clock of whoever gave it."""
    if state.reason_time is None:
        return False
    by_breaker = (state.reason or "").startswith(BREAKER_MARK)
    before = (trip.held_at or trip.changed_at) if by_breaker else trip.reason_time
    return before is None or state.reason_time > before
