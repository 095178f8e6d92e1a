"""What an alert came to: the state of its trip, the row in the record and the notice, in one."""

import logging

from breaker.decision import Decision, Reason, Release, Result, Step, Trip, TripState
from breaker.incidents import Change, seen_columns
from breaker.notice import compose
from breaker.record import Record
from breaker.settings import Language
from breaker.webhook import Alert
from newapi.database import DatabaseError
from newapi.switch import DISABLED_BY_HAND, NotVerifiedError, State

log = logging.getLogger(__name__)


class Outcomes:
    """Finishes with an alert. Each method may raise RecordError, and then has recorded nothing.

    Args:
        record: what was decided before.
        language: of the notices.
    """

    def __init__(self, record: Record, language: Language) -> None:
        self._record = record
        self._language = language

    def plain(self, alert: Alert, decision: Decision, now: int) -> Decision:
        """Record a decision that moves no trip."""
        return self._add(alert, decision, None, alert.name, now)

    def failed(
        self, alert: Alert, trip: Trip, error: DatabaseError | NotVerifiedError, now: int
    ) -> Decision:
        """Record that it could not be done; the next delivery goes on with it."""
        reason = error.fault if isinstance(error, DatabaseError) else Reason.UNVERIFIED
        return self.plain(alert, Decision(Result.FAILED, reason, str(error), trip.id), now)

    def held(
        self, alert: Alert, trip: Trip, state: State, now: int, *, ended_at: int | None = None
    ) -> Decision:
        """Record that the target is off by this trip."""
        decision = Decision(Result.TRIPPED, trip_id=trip.id)
        columns = seen_columns(state) | {"held_at": now}
        change = Change(trip.id, TripState.HELD, columns=columns)
        return self._add(alert, decision, change, state.name, now, ended_at=ended_at)

    def said(self, alert: Alert, trip: Trip, state: State, now: int) -> Decision:
        """Record that the target would have been disabled."""
        columns = seen_columns(state) | {"held_at": now}
        change = Change(trip.id, TripState.WOULD, columns=columns)
        return self._add(
            alert, Decision(Result.WOULD_TRIP, trip_id=trip.id), change, state.name, now
        )

    def left(
        self,
        alert: Alert,
        trip: Trip,
        step: Step,
        refusal: tuple[str, str],
        state: State | None,
        now: int,
    ) -> Decision:
        """Record that the target is left as it is.

        Args:
            alert: what asked for it.
            trip: what came of that.
            step: COVERED, or LEAVE.
            refusal: the Reason and the detail.
            state: as found; None where there is none.
            now: unix seconds.
        """
        decision = Decision(Result.REFUSED, *refusal, trip.id)
        wanted = TripState.COVERED if step is Step.COVERED else TripState.NOTHING
        if refusal[0] == Reason.ALREADY_DISABLED and state is not None and _may_be_covered(state):
            wanted = TripState.COVERED
        columns = seen_columns(state) if state is not None else {}
        why = ": ".join(filter(None, refusal))
        change = Change(trip.id, wanted, why, columns) if wanted is not trip.state else None
        if change is None and state is not None:
            self._record.incidents.seen(trip, **columns)
        return self._add(alert, decision, change, state.name if state else alert.name, now)

    def yielded(
        self, alert: Alert, trip: Trip, state: State, now: int, *, ended_at: int | None = None
    ) -> Decision:
        """Record that a person enabled the target, who wins.

        Where another breaker was seen to have disabled it, that one tells.
        """
        decision = Decision(Result.REFUSED, Reason.OVERRIDDEN, trip_id=trip.id)
        change = Change(
            trip.id, TripState.RELEASED, Release.PERSON, {"released_by": Release.PERSON}
        )
        news = trip.state is TripState.WRITING or state.reason is None
        return self._add(alert, decision, change, state.name, now, news=news, ended_at=ended_at)

    def _add(
        self,
        alert: Alert,
        decision: Decision,
        change: Change | None,
        name: str,
        now: int,
        *,
        ended_at: int | None = None,
        news: bool = False,
    ) -> Decision:
        """Record a decision, with the step of its trip and the notice of it."""
        notice = compose(alert, decision, name, self._language, news=news)
        new = self._record.add(
            alert, decision, now, change=change, notice=notice, ended_at=ended_at
        )
        if new and decision.result is not Result.RECORDED:
            level = logging.ERROR if decision.result is Result.FAILED else logging.WARNING
            log.log(level, "%s", describe(alert, decision))
        return decision


def describe(alert: Alert, decision: Decision) -> str:
    """Say in one line what an alert came to."""
    why = ": ".join(filter(None, (decision.reason, decision.detail)))
    trip = f", trip {decision.trip_id}" if decision.trip_id else ""
    what = f"rule {alert.rule!r}, target {alert.target!r}: {decision.result.replace('_', ' ')}"
    return f"{what}{trip}{f' ({why})' if why else ''}"


def _may_be_covered(state: State) -> bool:
    """Tell whether another breaker may have disabled it: where no reason is kept, nobody knows."""
    return state.reason is None and state.status == DISABLED_BY_HAND
