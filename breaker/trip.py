"""From an alert to what is disabled: intent, write, verification, result, each on the disk."""

import logging
from collections.abc import Callable

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
    target_of,
    written_reason,
)
from breaker.guards import HOUR, Guards, about_health
from breaker.holding import who_enabled
from breaker.incidents import Change, seen_columns
from breaker.keeper import Keeper, is_held
from breaker.mode import Mode
from breaker.notice import compose, explain, read_cause
from breaker.record import Record
from breaker.release import doublings_after
from breaker.settings import Language
from breaker.switchboard import Switchboard
from breaker.webhook import Alert
from newapi.database import DatabaseError
from newapi.switch import BREAKER_MARK, ENABLED, RELEASE_MARK, NotVerifiedError, State
from newapi.switch import Result as Switched

log = logging.getLogger(__name__)


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
        self._language = language
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
        if not alert.firing:
            self._record.end(alert, now)
            return Decision(Result.RECORDED)
        mode = self._mode()
        last = self._incidents.last(alert.rule, alert.target) if alert.for_breaker else None
        decision = decide(alert, last, mode, now)
        if decision is None and last is not None and is_held(last):
            # The alert had ended, and fires again: is it held still, or was it enabled meanwhile?
            try:
                self._keeper.tend(last)
            except (DatabaseError, NotVerifiedError) as error:
                return self._fail(alert, last.id, error, now)
            last = self._incidents.get(last.id)
            decision = decide(alert, last, mode, now)
            if is_held(last) and last is not None:
                decision = Decision(Result.REPEATED, trip_id=last.id)
        if decision is not None:
            return self._finish(alert, decision, None, alert.name, now)
        target = target_of(alert)
        if target is None:  # decide() has refused it
            raise ValueError("an alert without a target")
        return self._act(alert, target, last, mode, now)

    def settle(self, trip: Trip) -> None:
        """Find out whether a trip was done whose write was begun, without waiting for its alert.

        The breaker may have been killed just after the write, and the alert have ended since: then
        no delivery comes that would go on with it.

        Raises:
            DatabaseError: the gateway's database does not answer.
            RecordError: the record cannot be read or written.
        """
        mode = self._mode()
        if mode is Mode.OFF:
            return
        state = self._board.read(trip.target)
        covered = self._incidents.holder(trip.target, other_than=trip.id) is not None
        step, _ = judge(state, trip, mode, covered=covered)
        if step is Step.KEEP and state is not None:
            done = Decision(Result.TRIPPED, trip_id=trip.id)
            now, alert = int(self._clock()), read_cause(trip)
            self._conclude(alert, trip, step, done, state, now, ended_at=trip.ended_at)

    def _act(
        self, alert: Alert, target: Target, last: Trip | None, mode: Mode, now: int
    ) -> Decision:
        doublings = doublings_after(last, now)
        resumed = last is not None and _resumable(last, now) and last.target == target
        trip = last if last is not None and resumed else None
        trip = trip or self._incidents.open(self._new_id(), alert, target, now, doublings)
        try:
            state = self._board.read(target)
            covered = self._incidents.holder(target, other_than=trip.id) is not None
            step, reason = judge(state, trip, mode, covered=covered)
            if state is not None and step in {Step.WRITE, Step.SAY}:
                if self._enabled_by_person(trip, state):
                    return self._yield(alert, trip, state, now)
                refusal = self._refusal(alert, target, state, mode, now)
                if refusal is not None:
                    step = Step.LEAVE
                    refused = Decision(Result.REFUSED, *refusal, trip.id)
                    return self._conclude(alert, trip, step, refused, state, now)
        except DatabaseError as error:
            return self._fail(alert, trip.id, error, now)
        if step is Step.UNDONE and mode is not Mode.ENFORCE:
            undone = NotVerifiedError("its trip was undone, and nothing is written in a dry run")
            return self._fail(alert, trip.id, undone, now)
        if step in {Step.WRITE, Step.UNDONE}:
            return self._write(alert, trip, state if step is Step.UNDONE else None, mode, now)
        return self._conclude(alert, trip, step, _refused(trip, reason, state), state, now)

    def _write(
        self, alert: Alert, trip: Trip, undone: State | None, mode: Mode, now: int
    ) -> Decision:
        """Disable the target, or disable again what one of the two tables has in service."""
        target = trip.target
        self._incidents.move(Change(trip.id, TripState.WRITING), now)
        text = written_reason(trip.id, explain(alert))
        try:
            if undone is None:
                outcome = self._board.disable(target, text, now)
            else:
                outcome = self._board.set_again(target, undone, text, now)
        except DatabaseError as error:
            if trip.state is not TripState.WRITING:  # no write of an earlier attempt is in doubt
                self._incidents.move(Change(trip.id, TripState.PENDING, str(error)), now)
            return self._fail(alert, trip.id, error, now)
        except NotVerifiedError as error:
            return self._fail(alert, trip.id, error, now)
        if outcome.result is Switched.DONE:
            kept = Decision(Result.TRIPPED, trip_id=trip.id)
            return self._conclude(alert, trip, Step.KEEP, kept, outcome.state, now)
        # Somebody was quicker, or an earlier write of this trip came to its end only now.
        step, reason = judge(outcome.state, trip, mode, covered=False)
        if step in {Step.WRITE, Step.UNDONE}:
            again = NotVerifiedError("it was changed at the same moment")
            return self._fail(alert, trip.id, again, now)
        refused = _refused(trip, reason, outcome.state)
        return self._conclude(alert, trip, step, refused, outcome.state, now)

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
        """Tell whether what this trip disabled, or another breaker's, was enabled by a person."""
        if state.status != ENABLED or state.reason is None:
            return False
        if state.reason.startswith(RELEASE_MARK):
            return False
        if trip.state is TripState.WRITING:  # our reason stands there: it was written
            return state.reason.startswith(trip.mark)
        if trip.state is TripState.COVERED:
            mark = f"{BREAKER_MARK} "
            return who_enabled(state, trip, mark, tests_enable=False) is None
        return False

    def _yield(self, alert: Alert, trip: Trip, state: State, now: int) -> Decision:
        decision = Decision(Result.REFUSED, Reason.OVERRIDDEN, trip_id=trip.id)
        change = Change(
            trip.id, TripState.RELEASED, Release.PERSON, {"released_by": Release.PERSON}
        )
        return self._finish(alert, decision, change, state.name, now)

    def _fail(
        self, alert: Alert, trip_id: str, error: DatabaseError | NotVerifiedError, now: int
    ) -> Decision:
        reason = error.fault if isinstance(error, DatabaseError) else Reason.UNVERIFIED
        failed = Decision(Result.FAILED, reason, str(error), trip_id)
        return self._finish(alert, failed, None, alert.name, now)

    def _conclude(
        self,
        alert: Alert,
        trip: Trip,
        step: Step,
        decision: Decision,
        state: State | None,
        now: int,
        *,
        ended_at: int | None = None,
    ) -> Decision:
        """Finish with the state that a trip has now."""
        columns: dict[str, object] = seen_columns(state) if state is not None else {}
        match step:
            case Step.KEEP:
                decision, wanted = Decision(Result.TRIPPED, trip_id=trip.id), TripState.HELD
                columns["held_at"] = now
            case Step.SAY:
                decision, wanted = Decision(Result.WOULD_TRIP, trip_id=trip.id), TripState.WOULD
                columns["held_at"] = now
            case Step.COVERED:
                decision = Decision(Result.REFUSED, Reason.OTHER_TRIP, trip_id=trip.id)
                wanted = TripState.COVERED
                if state is not None:
                    self._incidents.seen(trip, state)
            case _:
                wanted = TripState.NOTHING
        name = state.name if state is not None else alert.name
        why = ": ".join(filter(None, (decision.reason, decision.detail)))
        change = Change(trip.id, wanted, why, columns) if wanted is not trip.state else None
        decision = self._finish(alert, decision, change, name, now, ended_at=ended_at)
        if step is Step.KEEP and self._mode() is Mode.ENFORCE:
            self._board.tell(trip.target, trip_id=trip.id)
        return decision

    def _finish(
        self,
        alert: Alert,
        decision: Decision,
        change: Change | None,
        name: str,
        now: int,
        *,
        ended_at: int | None = None,
    ) -> Decision:
        """Record a decision, with the step of its trip and the notice of it."""
        notice = compose(alert, decision, name, self._language)
        new = self._record.add(
            alert, decision, now, change=change, notice=notice, ended_at=ended_at
        )
        if new and decision.result is not Result.RECORDED:
            level = logging.ERROR if decision.result is Result.FAILED else logging.WARNING
            log.log(level, "%s", describe(alert, decision))
        return decision


def _refused(trip: Trip, reason: str, state: State | None) -> Decision:
    detail = f"status {state.status}" if state is not None and reason else ""
    return Decision(Result.REFUSED, reason, detail, trip.id)


def _resumable(trip: Trip, now: float) -> bool:
    """Tell whether a delivery goes on with this trip rather than begin another."""
    if trip.state in {TripState.PENDING, TripState.WRITING}:
        return True
    return trip.state in {TripState.NOTHING, TripState.COVERED} and not trip.over(now)


def describe(alert: Alert, decision: Decision) -> str:
    """Say in one line what an alert came to."""
    why = ": ".join(filter(None, (decision.reason, decision.detail)))
    trip = f", trip {decision.trip_id}" if decision.trip_id else ""
    what = f"rule {alert.rule!r}, target {alert.target!r}: {decision.result.replace('_', ' ')}"
    return f"{what}{trip}{f' ({why})' if why else ''}"
