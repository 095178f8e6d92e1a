"""Letting go of what is held: by command, or by time with back-off."""

import logging
from collections.abc import Callable

from breaker.decision import Decision, Release, Result, Trip, TripState, released_reason
from breaker.guards import about_health
from breaker.holding import Undone, look, row_of
from breaker.incidents import Change
from breaker.notice import compose, read_cause
from breaker.record import Record
from breaker.settings import Language
from breaker.switchboard import Switchboard
from newapi.switch import ENABLED, State
from newapi.switch import Result as Switched

log = logging.getLogger(__name__)

LONGEST = 24 * 3600
"""Seconds up to which release_after is doubled."""

_QUIET = 3600
"""Seconds after a release by timer, or as long as the trip was held where that is longer, after
which a new trip begins without doublings."""


def hold_for(release_after: int, doublings: int) -> int:
    """Give the seconds for which something is held: doubled with each trip in a row, and capped."""
    longest = max(release_after, LONGEST)
    return min(release_after << min(doublings, 32), longest)


def due_at(trip: Trip) -> int | None:
    """Give when a trip is released by itself, unix seconds; None for never."""
    if trip.held_at is None or trip.release_after is None:
        return None
    return trip.held_at + hold_for(trip.release_after, trip.doublings)


def doublings_after(last: Trip | None, now: float) -> int:
    """Give how often release_after is doubled for a trip that follows another one."""
    if last is None or last.released_at is None:
        return 0
    if last.released_by not in {Release.TIMER, Release.OTHER_RULE}:
        return 0
    held = last.released_at - last.held_at if last.held_at is not None else 0
    return last.doublings + 1 if now - last.released_at <= max(held, _QUIET) else 0


class Releases:
    """Enables what is held, in steps that a crash does not tear apart.

    Args:
        board: the gateway.
        record: what was decided before.
        language: of the notices.
        clock: gives unix seconds.
    """

    def __init__(
        self,
        board: Switchboard,
        record: Record,
        *,
        language: Language,
        clock: Callable[[], float],
    ) -> None:
        self._board = board
        self._record = record
        self._incidents = record.incidents
        self._language = language
        self._clock = clock

    def release(self, trip: Trip, by: Release) -> Release:
        """Enable what a trip holds.

        Returns:
            How it came to be released: TAKEN_OVER or GONE where there was nothing to enable.

        Raises:
            DatabaseError: the gateway's database does not answer; finish() goes on with it.
            NotVerifiedError: it is not seen to be in service; the same.
            RecordError: the record cannot be written.
        """
        begun = Change(trip.id, TripState.RELEASING, f"by {by}", {"released_by": by})
        self._incidents.move(begun, int(self._clock()))
        return self._finish(trip, by)

    def let_go(self, trip: Trip) -> None:
        """Let go of a trip whose time has passed: to another rule that fires, or of the target.

        Raises:
            DatabaseError: as release().
            NotVerifiedError: as release().
            RecordError: as release().
        """
        now = int(self._clock())
        heir = self._heir(trip, now)
        if heir is None:
            self.release(trip, Release.TIMER)
            return
        decision = Decision(Result.RELEASED, Release.OTHER_RULE, heir.rule, trip.id)
        notice = compose(read_cause(trip), decision, trip.name, self._language)
        gone = {"released_by": Release.OTHER_RULE}
        held = {
            "held_at": now,
            "marked": trip.marked or trip.id,
            "name": trip.name,
            "edited": trip.edited,
            "tested_at": trip.tested_at,
            "created": trip.created_at,
            "reason_time": trip.reason_time,
            "served": False,
        }
        self._record.note(
            decision,
            now,
            Change(trip.id, TripState.RELEASED, f"{Release.OTHER_RULE} {heir.rule}", gone),
            Change(heir.id, TripState.HELD, f"after trip {trip.id}", held),
            notice=notice,
        )
        log.warning("%s %d: held by rule %r, trip %s", *trip.target, heir.rule, heir.id)

    def _heir(self, trip: Trip, now: int) -> Trip | None:
        """Give the trip that takes over; a rule about health leaves the last channel in service."""
        heir = self._incidents.heir(trip, now)
        if heir is not None and about_health(read_cause(heir)) and self._board.sole(trip.target):
            return None
        return heir

    def finish(self, trip: Trip) -> Release:
        """Go on with a release that was begun; as release()."""
        return self._finish(trip, trip.released_by or Release.COMMAND)

    def drop(self, trip: Trip, by: Release, state: State | None) -> None:
        """Record that a trip is no longer held, without a write: somebody else saw to that."""
        now = int(self._clock())
        detail = "" if state is None else f"status {state.status}"
        decision = Decision(Result.RELEASED, by, detail, trip.id)
        change = Change(trip.id, TripState.RELEASED, f"{by} {detail}".strip(), {"released_by": by})
        name = state.name if state is not None else trip.name
        notice = compose(read_cause(trip), decision, name, self._language)
        self._record.note(decision, now, change, notice=notice)
        log.warning("%s %d: released (%s), trip %s", *trip.target, by, trip.id)

    def _finish(self, trip: Trip, by: Release) -> Release:
        now = int(self._clock())
        state = row_of(trip, self._board.read(trip.target))
        found = look(state, trip, tests_enable=False)
        if isinstance(found, Release) and found is not Release.PERSON:
            by = found
        elif state is not None and state.status != ENABLED:
            if found in {Undone.GATEWAY_DISABLED, Undone.REASON}:
                self._board.set_again(trip.target, state, trip.mark, now)
            outcome = self._board.release(trip.target, trip.mark, released_reason(trip.id, by), now)
            state = outcome.state
            if outcome.result is Switched.UNTOUCHED and state is not None:
                by = by if state.status == ENABLED else Release.TAKEN_OVER
        if state is None:
            by = Release.GONE
        current = self._incidents.get(trip.id)
        if current is not None and current.state is TripState.RELEASED:  # somebody was quicker
            return current.released_by or by
        self.drop(trip, by, state)
        return by
