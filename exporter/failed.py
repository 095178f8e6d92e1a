"""Requests of which no attempt succeeded: what is yet to be settled.

A request's failed attempts and its success share a request id, but which of them is the last only
time tells: the winner of a retry may stream for many minutes. A failure is therefore settled 15
minutes after the last one of its request, by asking the log table whether the request succeeded.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from newapi.events import Event
from newapi.rows import LogType, Source

SETTLE_AFTER = 900
"""Seconds after the last failed attempt of a request."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that failed so far: its id, the model of its last failed attempt, its time."""

    request_id: str
    model: str
    created_at: int
    """Unix seconds of the last failed attempt."""


def failures(events: Iterable[Event], now: float) -> dict[str, Failure]:
    """Give the last failure of each request among these events; channel tests are none.

    A time after `now` (unix seconds) is taken for that: it would never be settled.
    """
    found: dict[str, Failure] = {}
    error = LogType.ERROR
    for event in events:
        if event.type is error and event.request_id and event.source is not Source.TEST:
            last = found.get(event.request_id)
            at = min(event.created_at, int(now))
            if last is None or last.created_at <= at:
                found[event.request_id] = Failure(event.request_id, event.model, at)
    return found


def due(pending: Iterable[Failure], now: float) -> list[Failure]:
    """Give the failures that can be settled at a moment (unix seconds)."""
    return [failure for failure in pending if now - failure.created_at >= SETTLE_AFTER]
