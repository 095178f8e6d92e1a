"""Looks at what is held every few seconds: sets it again, lets it go, or finds it all right."""

import logging
from collections.abc import Callable
from concurrent.futures import Executor

from breaker.decision import Decision, Reason, Release, Result, Trip, TripState
from breaker.guards import about_health
from breaker.holding import Undone, look, row_of
from breaker.incidents import HOLDING, before_columns, seen_columns
from breaker.mode import Mode
from breaker.notice import compose, explain, read_cause
from breaker.record import Record
from breaker.release import Releases, due_at
from breaker.settings import Language
from breaker.switchboard import Switchboard
from newapi.database import DatabaseError
from newapi.switch import ENABLED, NotVerifiedError, State
from newapi.switch import Result as Switched
from service.log import OncePerMinute

log = logging.getLogger(__name__)

_UNDER_WAY = 10
"""Seconds for which a release is left to who began it: `newapi-breaker release` may be at it."""

_AGAIN = 3600
"""Seconds after which a failure is recorded again that is still the same."""


class Keeper:
    """Tends to one trip after another; the caller sees to it that no alert is handled meanwhile.

    Args:
        board: the gateway.
        record: what was decided before.
        releases: lets go.
        mode: gives the mode at this moment.
        language: of the notices.
        clock: gives unix seconds.
    """

    def __init__(
        self,
        board: Switchboard,
        record: Record,
        releases: Releases,
        *,
        mode: Callable[[], Mode],
        language: Language,
        clock: Callable[[], float],
    ) -> None:
        self._board = board
        self._record = record
        self._incidents = record.incidents
        self._releases = releases
        self._mode = mode
        self._language = language
        self._clock = clock
        self._troubles = OncePerMinute(log)
        self._half: set[str] = set()
        """The trips whose abilities alone were enabled at the last look."""
        self._failing: dict[str, tuple[str, float]] = {}
        """By trip, why it could not be done, and when that was recorded."""

    def look_at_all(self, worker: Executor) -> None:
        """Tend to everything that is held, each in its turn in the thread that handles alerts.

        Raises:
            RecordError: the record cannot be read or written.
        """
        for trip in self._incidents.holding():
            try:
                worker.submit(self.tend, trip).result()
            except DatabaseError as error:  # the others would fail too, and alerts are waiting
                self._troubles.warning(f"held {trip.target.kind}s: {error}", self._clock())
                return
            except NotVerifiedError as error:
                self._fail(trip, error)
            else:
                self._failing.pop(trip.id, None)

    def tend(self, trip: Trip) -> None:
        """Look at one thing that is held, and do what is due; in a dry run nothing is written.

        Raises:
            DatabaseError: the gateway's database does not answer.
            NotVerifiedError: it was to be disabled or enabled, and is not seen to be.
            RecordError: the record cannot be read or written.
        """
        enforce = self._mode() is Mode.ENFORCE
        if trip.state is TripState.RELEASING:
            wanted = enforce or trip.released_by is Release.COMMAND
            if wanted and self._clock() - trip.changed_at >= _UNDER_WAY:
                self._releases.finish(trip)
            return
        state = row_of(trip, self._board.read(trip.target))
        tests_enable = (
            state is not None
            and state.status == ENABLED
            and state.reason is None
            and self._board.tests_enable()
        )
        found = look(state, trip, tests_enable=tests_enable)
        # `newapi-breaker release` is another process: it says so in the record before it writes.
        now_held = self._incidents.get(trip.id)
        if now_held is None or now_held.state is not TripState.HELD:
            return
        if found is not Undone.ABILITIES:
            self._half.discard(trip.id)
        elif trip.id not in self._half:
            # One API writes abilities first: a person may be about to enable it.
            self._half.add(trip.id)
            return
        if isinstance(found, Release):
            self._releases.drop(trip, found, state)
        elif state is not None:
            self._keep(now_held, found, state, enforce=enforce)

    def _keep(self, trip: Trip, undone: Undone | None, state: State, *, enforce: bool) -> None:
        """Go on with what is held still; raises as tend()."""
        if undone is None:
            self._incidents.seen(trip, **seen_columns(state))
            due = due_at(trip)
            if enforce and due is not None and due <= self._clock():
                self._releases.let_go(trip)
        elif enforce:
            self._set_again(trip, undone, state)
        elif state.status == ENABLED:
            self._incidents.seen(trip, served=True)

    def _set_again(self, trip: Trip, undone: Undone, seen: State) -> None:
        now = int(self._clock())
        alert = read_cause(trip)
        served = seen.status == ENABLED
        if served and about_health(alert) and self._board.sole(trip.target):
            self._releases.drop(trip, Release.LAST_CHANNEL, seen)
            return
        reason = f"{trip.mark}{explain(alert)}"
        outcome = self._board.set_again(trip.target, seen, reason, now)
        if outcome.result is not Switched.DONE or outcome.state is None:
            if served:
                self._incidents.seen(trip, served=True)
            return  # it has changed since: the next look finds out how
        self._board.tell(trip.target)
        self._incidents.seen(trip, **before_columns(seen) | seen_columns(outcome.state))
        if served and about_health(alert) and self._board.sole(trip.target):
            self._releases.release(trip, Release.LAST_CHANNEL)  # another breaker took the other one
            return
        decision = Decision(Result.SET_AGAIN, undone, f"status {seen.status}", trip.id)
        notice = compose(alert, decision, seen.name, self._language) if served else None
        self._record.note(decision, now, notice=notice)
        log.warning("%s %d: disabled again (%s), trip %s", *trip.target, undone, trip.id)

    def _fail(self, trip: Trip, error: NotVerifiedError) -> None:
        now = int(self._clock())
        text, at = self._failing.get(trip.id, ("", 0.0))
        if text == str(error) and now - at < _AGAIN:
            return
        self._failing[trip.id] = (str(error), now)
        decision = Decision(Result.FAILED, Reason.UNVERIFIED, str(error), trip.id)
        notice = compose(read_cause(trip), decision, trip.name, self._language)
        self._record.note(decision, now, notice=notice)
        self._troubles.warning(str(error), now)


def is_held(trip: Trip | None) -> bool:
    """Tell whether there is a trip, and it is the breaker's that its target is off."""
    return trip is not None and trip.state in HOLDING
