"""From an alert to a disabled channel: intent, write, verification, result, each on the disk."""

import logging
from collections.abc import Callable

from breaker.decision import (
    Decision,
    Reason,
    Result,
    Step,
    Trip,
    TripState,
    decide,
    judge,
    written_reason,
)
from breaker.mode import Mode
from breaker.notice import compose, explain
from breaker.record import Record
from breaker.settings import Language
from breaker.webhook import Alert
from newapi.database import Database, DatabaseError
from newapi.schema import Schema, inspect
from newapi.switch import ChannelState, NotVerifiedError, Outcome, in_service, read_channel
from newapi.switch import Result as Switched

log = logging.getLogger(__name__)

Disable = Callable[[Database, Schema, int, str, int], Outcome]
"""As newapi.switch.disable_channel."""


class Trips:
    """Handles one alert after another; the caller sees to it that none run at the same time.

    Args:
        database: the gateway's, opened writable.
        record: what was decided before.
        mode: gives the mode at this moment.
        disable: disables a channel.
        language: of the notices.
        clock: gives unix seconds.
        new_id: gives an id that no other trip of any breaker has.
    """

    def __init__(
        self,
        database: Database,
        record: Record,
        *,
        mode: Callable[[], Mode],
        disable: Disable,
        language: Language,
        clock: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._database = database
        self._record = record
        self._mode = mode
        self._disable = disable
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
        last = self._record.last_trip(alert.rule, alert.target) if alert.for_breaker else None
        decision = decide(alert, last, mode)
        if decision is not None:
            return self._finish(alert, decision, None, alert.name, now)
        return self._act(alert, last, mode, now)

    def _act(self, alert: Alert, last: Trip | None, mode: Mode, now: int) -> Decision:
        trip = last if last is not None and _resumable(last) else self._open(alert, now)
        channel_id = alert.channel_id or 0
        try:
            with self._database.connect() as connection:
                schema = inspect(connection)
            channel = read_channel(self._database, schema, channel_id)
        except DatabaseError as error:
            return self._fail(alert, trip.id, error, now)
        step, reason = judge(channel, trip, mode)
        if trip.state is TripState.HELD and step is not Step.UNDONE:
            if step is Step.KEEP:  # the alert ended and fires again, and it is off all the time
                repeated = Decision(Result.REPEATED, trip_id=trip.id)
                return self._finish(alert, repeated, TripState.HELD, alert.name, now)
            self._record.move_trip(trip.id, TripState.RELEASED, now)
            trip = self._open(alert, now)
        if step is not Step.WRITE:
            return self._conclude(alert, trip, step, reason, channel, now)
        return self._write(alert, trip, mode, schema, now)

    def _write(self, alert: Alert, trip: Trip, mode: Mode, schema: Schema, now: int) -> Decision:
        channel_id = alert.channel_id or 0
        self._record.move_trip(trip.id, TripState.WRITING, now)
        text = written_reason(trip.id, explain(alert))
        try:
            outcome = self._disable(self._database, schema, channel_id, text, now)
        except DatabaseError as error:
            if trip.state is not TripState.WRITING:  # no write of an earlier attempt is in doubt
                self._record.move_trip(trip.id, TripState.PENDING, now)
            return self._fail(alert, trip.id, error, now)
        except NotVerifiedError as error:
            return self._fail(alert, trip.id, error, now)
        if outcome.result is Switched.DISABLED:
            return self._conclude(alert, trip, Step.KEEP, None, outcome.channel, now)
        # Somebody was quicker, or an earlier write of this trip came to its end only now.
        step, reason = judge(outcome.channel, trip, mode)
        return self._conclude(alert, trip, step, reason, outcome.channel, now)

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
        reason: Reason | None,
        channel: ChannelState | None,
        now: int,
    ) -> Decision:
        name = channel.name if channel is not None else alert.name
        detail = f"status {channel.status}" if channel is not None else ""
        match step:
            case Step.KEEP:
                decision, state = Decision(Result.TRIPPED, trip_id=trip.id), TripState.HELD
            case Step.SAY:
                decision, state = Decision(Result.WOULD_TRIP, trip_id=trip.id), TripState.WOULD
            case Step.UNDONE if channel is not None:
                undone = NotVerifiedError(in_service(channel, alert.channel_id or 0))
                return self._fail(alert, trip.id, undone, now)
            case _:
                decision = Decision(Result.REFUSED, reason or "", detail, trip.id)
                state = TripState.NOTHING
        return self._finish(alert, decision, state, name, now)

    def _finish(
        self, alert: Alert, decision: Decision, state: TripState | None, name: str, now: int
    ) -> Decision:
        """Record a decision, with the new state of its trip and the notice of it."""
        notice = compose(alert, decision, name, self._language)
        new = self._record.add(alert, decision, now, state=state, notice=notice)
        if new and decision.result is not Result.RECORDED:
            level = logging.ERROR if decision.result is Result.FAILED else logging.WARNING
            log.log(level, "%s", describe(alert, decision))
        return decision

    def _open(self, alert: Alert, now: int) -> Trip:
        return self._record.open_trip(self._new_id(), alert, now)


def _resumable(trip: Trip) -> bool:
    """Tell whether a delivery goes on with this trip rather than begin another."""
    undone = {TripState.PENDING, TripState.WRITING, TripState.HELD}
    return trip.state in undone or (trip.state is TripState.NOTHING and not trip.ended)


def describe(alert: Alert, decision: Decision) -> str:
    """Say in one line what an alert came to."""
    why = ": ".join(filter(None, (decision.reason, decision.detail)))
    trip = f", trip {decision.trip_id}" if decision.trip_id else ""
    what = f"rule {alert.rule!r}, target {alert.target!r}: {decision.result.replace('_', ' ')}"
    return f"{what}{trip}{f' ({why})' if why else ''}"
