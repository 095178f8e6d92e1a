"""From an alert to what is disabled: intent, write, verification, result, each on the disk."""

from collections.abc import Callable
from dataclasses import replace

from breaker.decision import (
    Decision,
    Reason,
    Release,
    Result,
    Step,
    Target,
    Trip,
    TripState,
    decide,
    judge,
    released_reason,
    target_of,
    written_reason,
)
from breaker.guards import HOUR, Guards, about_health, last_of
from breaker.holding import row_of, who_enabled
from breaker.incidents import Change, before_columns
from breaker.keeper import Keeper, is_held
from breaker.mode import Mode
from breaker.notice import explain, read_cause
from breaker.outcome import Outcomes
from breaker.record import Record
from breaker.release import doublings_after
from breaker.settings import Language
from breaker.switchboard import Switchboard
from breaker.webhook import Alert
from newapi.database import DatabaseError
from newapi.switch import BREAKER_MARK, ENABLED, RELEASE_MARK, NotVerifiedError, State
from newapi.switch import Result as Switched

ON_ITS_WAY = 30
"""Seconds for which a write that was begun may still come: far longer than a statement may take."""


class Trips:
    """Handles one alert after another; the caller sees to it that none run at the same time.

    Args:
        board: the gateway.
        record: what was decided before.
        keeper: looks at what is held.
        guards: what must not be disabled.
        mode: gives the mode at this moment.
        language: of the notices.
        clock: gives unix seconds.
        new_id: gives an id that no other trip of any breaker has.
    """

    def __init__(
        self,
        board: Switchboard,
        record: Record,
        keeper: Keeper,
        guards: Guards,
        *,
        mode: Callable[[], Mode],
        language: Language,
        clock: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._board = board
        self._record = record
        self._incidents = record.incidents
        self._keeper = keeper
        self._guards = guards
        self._mode = mode
        self._outcomes = Outcomes(record, language)
        self._clock = clock
        self._new_id = new_id

    def handle(self, alert: Alert) -> Decision:
        """Decide on a delivered alert, act, and record what it came to.

        Returns:
            What is recorded. A result FAILED is to be delivered again.

        Raises:
            RecordError: the record cannot be written; to be delivered again as well.
        """
        now = int(self._clock())
        target = target_of(alert)
        if not alert.firing:
            self._record.end(alert, now)
            return Decision(Result.RECORDED)
        mode = self._mode()
        last = None
        if alert.for_breaker and target is not None:
            last = self._incidents.last(alert.rule, target)
        decision = decide(alert, last, mode, now)
        if decision is None and last is not None and is_held(last):
            # The alert had ended, and fires again: is it held still, or was it enabled meanwhile?
            try:
                self._keeper.tend(last)
            except (DatabaseError, NotVerifiedError) as error:
                return self._outcomes.failed(alert, last, error, now)
            last = self._incidents.get(last.id)
            decision = decide(alert, last, mode, now)
            if is_held(last) and last is not None:
                decision = Decision(Result.REPEATED, trip_id=last.id)
        if decision is not None:
            return self._outcomes.plain(alert, decision, now)
        if target is None:  # decide() has refused it
            raise ValueError("an alert without a target")
        trip = last if last is not None and _resumable(last, now) else None
        if trip is None:
            doublings = doublings_after(last, now)
            trip = self._incidents.open(self._new_id(), alert, target, now, doublings)
        try:
            return self._act(alert, trip, mode, now)
        except (DatabaseError, NotVerifiedError) as error:
            return self._outcomes.failed(alert, trip, error, now)

    def settle(self, trip: Trip) -> None:
        """Find out whether a trip was done whose write was begun, without waiting for its alert.

        The breaker may have been killed just after the write, and the alert have ended since: then
        no delivery comes that would go on with it.

        Raises:
            DatabaseError: the gateway's database does not answer.
            NotVerifiedError: it was disabled, and is in service nevertheless.
            RecordError: the record cannot be read or written.
        """
        mode, now, alert = self._mode(), int(self._clock()), read_cause(trip)
        state, step, reason = self._look(trip, mode, now)
        if step is Step.UNDONE and state is not None and mode is Mode.ENFORCE:
            text = written_reason(trip.id, explain(alert))
            state = self._board.set_again(trip.target, state, text, now).state
            step, reason = judge(state, trip, mode, now, covered=False)
        if step is Step.KEEP and state is not None:
            self._keep(alert, trip, state, mode, now, ended_at=trip.ended_at)
        elif step in {Step.WRITE, Step.SAY} and state is not None:
            if self._enabled_by_person(trip, state):
                self._outcomes.yielded(alert, trip, state, now, ended_at=trip.ended_at)
            else:
                self._not_done(trip, now)
        elif step in {Step.LEAVE, Step.COVERED}:
            wanted = TripState.COVERED if step is Step.COVERED else TripState.NOTHING
            self._incidents.move(Change(trip.id, wanted, reason), now)

    def _not_done(self, trip: Trip, now: int) -> Trip:
        """Take note that what was begun to be disabled is enabled, once no write can come."""
        if trip.state is not TripState.WRITING or now - trip.changed_at < ON_ITS_WAY:
            return trip
        self._incidents.move(Change(trip.id, TripState.PENDING, "it was not written"), now)
        return replace(trip, state=TripState.PENDING)

    def _look(self, trip: Trip, mode: Mode, now: int) -> tuple[State | None, Step, str]:
        """Look at a target and judge it; raises DatabaseError."""
        state = self._board.read(trip.target)
        if trip.state is TripState.WRITING:  # of any other state nothing is known of the row
            state = row_of(trip, state)
        covered = self._incidents.holder(trip.target, other_than=trip.id) is not None
        return state, *judge(state, trip, mode, now, covered=covered)

    def _act(self, alert: Alert, trip: Trip, mode: Mode, now: int) -> Decision:
        """Do what an alert asks for; raises DatabaseError and NotVerifiedError."""
        state, step, reason = self._look(trip, mode, now)
        if state is not None and step in {Step.WRITE, Step.SAY}:
            if self._enabled_by_person(trip, state):
                return self._outcomes.yielded(alert, trip, state, now)
            trip = self._not_done(trip, now)
            refusal = self._refusal(alert, trip.target, state, mode, now)
            if refusal is not None:
                return self._outcomes.left(alert, trip, Step.LEAVE, refusal, state, now)
        if step is Step.UNDONE and mode is not Mode.ENFORCE:
            raise NotVerifiedError("its trip was undone, and nothing is written in a dry run")
        if state is not None and step in {Step.WRITE, Step.UNDONE}:
            return self._write(alert, trip, step, state, mode, now)
        return self._conclude(alert, trip, step, reason, state, mode, now)

    def _write(
        self, alert: Alert, trip: Trip, step: Step, state: State, mode: Mode, now: int
    ) -> Decision:
        """Disable the target, or disable again what one of the two tables has in service."""
        columns = before_columns(state) if step is Step.WRITE else {}
        self._incidents.move(Change(trip.id, TripState.WRITING, columns=columns), now)
        text = written_reason(trip.id, explain(alert))
        try:
            if step is Step.WRITE:
                outcome = self._board.disable(trip.target, text, now)
            else:
                outcome = self._board.set_again(trip.target, state, text, now)
        except DatabaseError as error:
            if trip.state is not TripState.WRITING:  # no write of an earlier attempt is in doubt
                self._incidents.move(Change(trip.id, TripState.PENDING, str(error)), now)
            raise
        if outcome.result is Switched.DONE:
            return self._conclude(alert, trip, Step.KEEP, "", outcome.state, mode, now)
        # Somebody was quicker, or an earlier write of this trip came to its end only now.
        step, reason = judge(outcome.state, trip, mode, now, covered=False)
        if step in {Step.WRITE, Step.UNDONE}:
            raise NotVerifiedError("it was changed at the same moment")
        return self._conclude(alert, trip, step, reason, outcome.state, mode, now)

    def _conclude(
        self,
        alert: Alert,
        trip: Trip,
        step: Step,
        reason: str,
        state: State | None,
        mode: Mode,
        now: int,
    ) -> Decision:
        """Finish with the state that a trip has now; raises as _act()."""
        if state is not None and step is Step.KEEP:
            return self._keep(alert, trip, state, mode, now)
        if state is not None and step is Step.SAY:
            return self._outcomes.said(alert, trip, state, now)
        refusal = (Reason.OTHER_TRIP, "")
        if step is not Step.COVERED:  # what was disabled may have been deleted since
            detail = f"status {state.status}" if state is not None else ""
            refusal = (Reason(reason or Reason.NOT_FOUND), detail)
        return self._outcomes.left(alert, trip, step, refusal, state, now)

    def _keep(
        self,
        alert: Alert,
        trip: Trip,
        state: State,
        mode: Mode,
        now: int,
        *,
        ended_at: int | None = None,
    ) -> Decision:
        """Hold what is off by this trip, unless it would be the last one; raises as _act()."""
        if about_health(alert) and mode is Mode.ENFORCE and (sole := self._board.sole(trip.target)):
            # Another breaker, or a person, took the other one at the same moment.
            reason = released_reason(trip.id, Release.LAST_CHANNEL)
            outcome = self._board.release(trip.target, trip.mark, reason, now)
            if outcome.state is not None and outcome.state.status == ENABLED:
                refusal = (Reason.LAST_CHANNEL, last_of(sole))
                return self._outcomes.left(alert, trip, Step.LEAVE, refusal, outcome.state, now)
        decision = self._outcomes.held(alert, trip, state, now, ended_at=ended_at)
        if mode is Mode.ENFORCE:
            self._board.tell(trip.target, trip_id=trip.id)
        return decision

    def _refusal(
        self, alert: Alert, target: Target, state: State, mode: Mode, now: int
    ) -> tuple[Reason, str] | None:
        """Ask the guards; raises DatabaseError."""
        return self._guards.refuse(
            alert,
            target,
            state,
            trips=self._incidents.tripped_since(now - HOUR, dry=mode is not Mode.ENFORCE),
            sole=self._board.sole(target) if about_health(alert) else [],
            now=now,
        )

    def _enabled_by_person(self, trip: Trip, state: State) -> bool:
        """Tell whether what this trip disabled, or another breaker's, was enabled by a person.

        Raises:
            DatabaseError: the gateway's database does not answer.
        """
        covered = trip.state is TripState.COVERED
        if state.status != ENABLED or not (covered or trip.state is TripState.WRITING):
            return False
        if state.reason is None:  # in doubt nothing was written that a person could have undone
            tests_enable = self._board.tests_enable()
            return covered and who_enabled(state, trip, "", tests_enable=tests_enable) is None
        if covered and state.reason.startswith(RELEASE_MARK):  # by another breaker
            return state.reason.endswith(f"by {Release.COMMAND}")
        mark = f"{BREAKER_MARK} " if covered else trip.mark
        return who_enabled(state, trip, mark, tests_enable=False) is None


def _resumable(trip: Trip, now: float) -> bool:
    """Tell whether a delivery goes on with this trip rather than begin another."""
    if trip.state in {TripState.PENDING, TripState.WRITING}:
        return True
    return trip.state in {TripState.NOTHING, TripState.COVERED} and not trip.over(now)
