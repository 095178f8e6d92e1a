"""What was used in the period that an alert rule looks at, by the log row's own time.

A window sums up measures in buckets for each of its targets; spans.py says which buckets there are
and which count now. It never shows more than was used.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple
from zoneinfo import ZoneInfo

from exporter import measures
from exporter.measures import gains, is_duration
from exporter.position import AHEAD
from exporter.rules.period import PERIODS, Range
from exporter.rules.rule import EVERY, GATEWAY, Rule
from exporter.spans import Day, Edges, Fixed, Rolling, Span
from newapi.events import Event

Cell = tuple[str, int, str, str]
"""A window's key, the start of a bucket in unix seconds, a target, a measure."""

Amounts = Mapping[str, int]
"""By measure; what is 0 may be missing."""


class Use(NamedTuple):
    """What each target used, in the present period and in the one before."""

    now: Mapping[str, Amounts]
    before: Mapping[str, Amounts]


@dataclass(frozen=True)
class Window:
    """What one or more rules look at: measures of a scope's targets, over a span of time."""

    scope: str
    targets: tuple[str, ...]
    span: Span
    measures: tuple[str, ...] = (measures.TOKENS,)
    before: bool = False
    """Whether the period before is kept too."""

    @classmethod
    def of(cls, rule: Rule, zone: ZoneInfo) -> "Window":
        """Give the window that a rule looks at; days and ranges are those of a time zone."""
        spikes = rule.type == "request_spike"
        return cls(rule.scope, rule.targets, _span(rule, zone), _measures(rule), spikes)

    @cached_property
    def key(self) -> str:
        """What names it in the state: the same window of another rule has the same."""
        kept = ",".join(self.measures) + ("+" if self.before else "")
        return f"{self.scope}|{self.span.key}|{kept}|{json.dumps(self.targets)}"

    @cached_property
    def _chosen(self) -> frozenset[str] | None:
        return None if self.targets == (EVERY,) else frozenset(self.targets)

    def first(self, now: float) -> int:
        """Give the unix second from which on rows count."""
        edges = self.span.edges(now)
        return edges.before if self.before else edges.begin

    def covers(self, target: str) -> bool:
        """Tell whether it looks at a target of its scope."""
        return self._chosen is None or target in self._chosen

    def wants(self, measure: str) -> bool:
        """Tell whether it sums up a measure."""
        return measure in self.measures or (
            measures.DURATIONS in self.measures and is_duration(measure)
        )


def _span(rule: Rule, zone: ZoneInfo) -> Span:
    if isinstance(rule.period, Range):
        return Fixed(rule.period.starts_at(zone), rule.period.ends_at(zone))
    seconds = PERIODS.get(rule.period)
    return Day(zone) if seconds is None else Rolling(seconds)


def _measures(rule: Rule) -> tuple[str, ...]:
    if rule.type == "error_rate":
        kept = measures.FAILURES if rule.count == "all" else measures.ERRORS
        return measures.REQUESTS, kept
    if rule.type == "latency" and rule.statistic == "mean":
        return measures.REQUESTS, measures.MILLISECONDS
    return {
        "token_usage": (measures.TOKENS,),
        "cost": (measures.QUOTA,),
        "latency": (measures.REQUESTS, measures.DURATIONS),
        "request_spike": (measures.REQUESTS,),
    }[rule.type]


_TARGETS: Mapping[str, Callable[[Event], str]] = {
    "channel": lambda event: str(event.channel_id),
    "model": lambda event: event.model,
    "api_key": lambda event: str(event.api_key_id),
    "user": lambda event: str(event.user_id),
    GATEWAY: lambda _: GATEWAY,
}


def fold(events: Iterable[Event], windows: Iterable[Window], now: float) -> dict[Cell, int]:
    """Sum events up by window, bucket, target and measure."""
    by_scope: dict[str, list[Window]] = {}
    for window in windows:
        by_scope.setdefault(window.scope, []).append(window)
    if not by_scope:
        return {}
    counted = [(event, amounts) for event in events if (amounts := gains(event))]
    cells: dict[Cell, int] = {}
    for scope, some in by_scope.items():
        seconds = _by_second(counted, scope)
        for window in some:
            _add(cells, window, seconds, now)
    return cells


_Seconds = Mapping[tuple[str, int], Amounts]
"""Amounts by target and created_at: in a poll there are far fewer of them than rows."""


def _by_second(counted: Iterable[tuple[Event, Amounts]], scope: str) -> _Seconds:
    target = _TARGETS[scope]
    found: dict[tuple[str, int], dict[str, int]] = {}
    for event, amounts in counted:
        sums = found.setdefault((target(event), event.created_at), {})
        for measure, amount in amounts.items():
            sums[measure] = sums.get(measure, 0) + amount
    return found


def _add(cells: dict[Cell, int], window: Window, seconds: _Seconds, now: float) -> None:
    edges, first = window.span.edges(now), window.first(now)
    for (target, at), amounts in seconds.items():
        if not first <= at < now + AHEAD or not window.covers(target):
            continue
        start = window.span.bucket(at, edges)
        if start == edges.end and isinstance(window.span, Fixed):
            continue
        for measure, amount in amounts.items():
            if window.wants(measure):
                cell = (window.key, start, target, measure)
                cells[cell] = cells.get(cell, 0) + amount


@dataclass
class _Tally:
    """The buckets of one window, and what they add up to at the moment of `edges`."""

    buckets: dict[int, dict[tuple[str, str], int]] = field(default_factory=dict)
    """By start, then by target and measure."""
    sums: tuple[dict[str, Amounts], dict[str, Amounts]] = field(default_factory=lambda: ({}, {}))
    """Of the present period and of the one before. The inner ones are replaced, never changed:
    whoever was given one keeps it as it was."""
    edges: Edges | None = None

    def part(self, start: int, edges: Edges | None) -> dict[str, Amounts] | None:
        """Give the sums that a bucket belongs to at some edges."""
        if edges is None or not edges.before <= start < edges.end:
            return None
        return self.sums[start < edges.begin]

    def move(self, edges: Edges, first: int) -> None:
        """Go on to the edges of another moment; buckets before `first` go."""
        for start in list(self.buckets):
            old, new = self.part(start, self.edges), self.part(start, edges)
            if old is not new:
                _sum_up(old, self.buckets[start], -1)
                _sum_up(new, self.buckets[start], 1)
            if start < first:
                _sum_up(new, self.buckets.pop(start), -1)
        self.edges = edges


def _sum_up(
    sums: dict[str, Amounts] | None, amounts: Mapping[tuple[str, str], int], sign: int
) -> None:
    if sums is None:
        return
    changed: dict[str, dict[str, int]] = {}
    for (target, measure), amount in amounts.items():
        mine = changed.get(target)
        if mine is None:
            mine = changed[target] = dict(sums.get(target, {}))
        mine[measure] = mine.get(measure, 0) + sign * amount
        if not mine[measure]:
            del mine[measure]
    sums |= changed
    for target, mine in changed.items():
        if not mine:
            del sums[target]


class Buckets:
    """The cells of all windows, and what they add up to now."""

    def __init__(self, cells: Mapping[Cell, int] | None = None) -> None:
        self._tallies: dict[str, _Tally] = {}
        self.merge(cells or {})

    def merge(self, cells: Mapping[Cell, int]) -> None:
        """Add to the buckets."""
        grouped: dict[tuple[str, int], dict[tuple[str, str], int]] = {}
        for (key, start, target, measure), amount in cells.items():
            grouped.setdefault((key, start), {})[target, measure] = amount
        for (key, start), amounts in grouped.items():
            tally = self._tallies.setdefault(key, _Tally())
            bucket = tally.buckets.setdefault(start, {})
            for cell, amount in amounts.items():
                bucket[cell] = bucket.get(cell, 0) + amount
            _sum_up(tally.part(start, tally.edges), amounts, 1)

    def get(self, cell: Cell) -> int:
        """Give what a bucket holds, 0 where there is none."""
        key, start, target, measure = cell
        tally = self._tallies.get(key)
        return 0 if tally is None else tally.buckets.get(start, {}).get((target, measure), 0)

    def used(self, window: Window, now: float) -> Use:
        """Give what each target used until now; one that used nothing is missing."""
        self.expire(window, now)
        tally = self._tallies.get(window.key) or _Tally()
        return Use(dict(tally.sums[0]), dict(tally.sums[1]) if window.before else {})

    def forget_but(self, windows: Iterable[str]) -> None:
        """Drop all windows but those of these keys."""
        kept = set(windows)
        self._tallies = {key: tally for key, tally in self._tallies.items() if key in kept}

    def expire(self, window: Window, now: float) -> int:
        """Drop the buckets before the window; gives the second before which none is left."""
        edges, first = window.span.edges(now), window.first(now)
        tally = self._tallies.get(window.key)
        if tally is not None and tally.edges != edges:
            tally.move(edges, first)
        return first
