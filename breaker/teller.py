"""Tells the gateway in the background: what is slow or silent there delays no trip and no answer.

The notice of a trip waits a few seconds for what the gateway said, so that it can say how soon the
gateway follows; no longer, and a notice that went out is only corrected, without a new message.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from breaker.store import RecordError

log = logging.getLogger(__name__)

NOTICE_WAITS = 5.0
"""Seconds for which the notice of a trip waits."""

_TOO_LATE = 30.0
"""Seconds after which a call that did not come to its turn is not made: the gateway reads its
database again by itself within SYNC_FREQUENCY (60 s)."""


class _Call(NamedTuple):
    tell: Callable[[], bool | None]
    trip_id: str | None
    since: float


class Teller:
    """Makes one call after the other, in a thread of its own.

    Args:
        told: is told the id of a trip, and whether the gateway took the call.
    """

    def __init__(self, told: Callable[[str, bool], None]) -> None:
        self._told = told
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._open: list[_Call] = []
        self._lock = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, tell: Callable[[], bool | None], trip_id: str | None) -> None:
        """Have a call made.

        Args:
            tell: makes it; gives whether the gateway took it, None where there was none to make.
            trip_id: of the trip whose notice waits for it.
        """
        call = _Call(tell, trip_id, time.monotonic())
        with self._lock:
            self._open.append(call)
            self._calls.put(call)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="teller", daemon=True)
                self._thread.start()

    def waiting(self) -> set[str]:
        """Give the ids of the trips whose notice is to wait."""
        since = time.monotonic() - NOTICE_WAITS
        with self._lock:
            return {call.trip_id for call in self._open if call.trip_id and call.since > since}

    def idle(self, seconds: float) -> bool:
        """Wait until no call is due any more, at most so long; gives whether that is so."""
        with self._lock:
            return self._lock.wait_for(lambda: not self._open, seconds)

    def close(self) -> None:
        """Make the calls that are due, as far as that is possible within seconds."""
        self.idle(NOTICE_WAITS)
        self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                self._make(call)
            except RecordError as error:
                log.error("%s", error)  # noqa: TRY400  (a stack would say no more)
            except Exception:
                log.exception("telling the gateway failed")
            finally:
                with self._lock:
                    self._open.remove(call)
                    self._lock.notify_all()

    def _make(self, call: _Call) -> None:
        if time.monotonic() - call.since > _TOO_LATE:
            log.warning("GATEWAY_URL: a call was not made, those before it took too long")
            taken: bool | None = False
        else:
            taken = call.tell()
        if taken is not None and call.trip_id is not None:
            self._told(call.trip_id, taken)
