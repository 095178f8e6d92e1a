"""What a number of log rows adds to everything that is counted."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from exporter import today, totals, windows
from exporter.departed import Entity, Subject
from exporter.failed import Failure, failures
from exporter.totals import Totals
from exporter.windows import Cell, Window
from newapi.events import Event


@dataclass(frozen=True)
class Batch:
    """What is added in one step."""

    delta: Totals = field(default_factory=Totals)
    cells: Mapping[Cell, int] = field(default_factory=dict)
    days: today.Days = field(default_factory=dict)
    failures: Mapping[str, Failure] = field(default_factory=dict)
    settled: Sequence[Failure] = ()
    entities: Mapping[Subject, Entity | None] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)


def of(
    events: Sequence[Event], calendar: today.Calendar, watched: Iterable[Window], now: float
) -> Batch:
    """Sum up events that are counted at unix seconds `now`."""
    parts = today.split(events, calendar, now)
    sums = {day: totals.fold(part) for day, part in parts.items()}
    delta = Totals()
    for part in sums.values():
        delta.merge(part)
    return Batch(
        delta,
        windows.fold(events, watched, now),
        {day: today.of(part) for day, part in sums.items() if day is not None},
        failures(events, now),
    )


def subjects(events: Sequence[Event]) -> set[Subject]:
    """Give the channels, API keys and users that events name."""
    named = {
        "channel": {event.channel_id for event in events},
        "api_key": {event.api_key_id for event in events},
        "user": {event.user_id for event in events},
    }
    return {(kind, number) for kind, numbers in named.items() for number in numbers}
