"""The time that a window covers, and the buckets that it is divided into. Unix seconds."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

BUCKETS = 60

FOREVER = 2**62
"""Later than any time of a row that counts."""


class Edges(NamedTuple):
    """What is covered at one moment, by the starts of buckets.

    Those within [before, begin) make up the period before, those within [begin, end) the present.
    """

    before: int
    begin: int
    end: int


class Span(Protocol):
    """A period that a window looks at."""

    @property
    def key(self) -> str:
        """What names it in the state."""

    def edges(self, now: float) -> Edges:
        """Give what it covers at a moment."""

    def bucket(self, at: int, edges: Edges) -> int:
        """Give the start of the bucket for a time that is not before what is covered."""

    def end(self, now: float) -> int | None:
        """Give the second before which the present period ends; None where it never does."""


@dataclass(frozen=True)
class Rolling:
    """So many seconds before now, in buckets of a sixtieth, laid on multiples of that since 1970.

    It covers the buckets that lie within the period as a whole and the one that is being filled:
    so it is exact at the edges of the buckets, and never covers more than the period.
    """

    seconds: int

    @property
    def key(self) -> str:
        """What names it in the state."""
        return str(self.seconds)

    @property
    def width(self) -> int:
        """Seconds of a bucket."""
        return self.seconds // BUCKETS

    def edges(self, now: float) -> Edges:
        """Give what it covers at a moment."""
        begin = -(-(int(now) - self.seconds) // self.width) * self.width
        return Edges(begin - self.seconds, begin, FOREVER)

    def bucket(self, at: int, _edges: Edges) -> int:
        """Give the start of the bucket that a time falls into."""
        return at // self.width * self.width

    def end(self, _now: float) -> None:
        """It moves on for ever."""


class _Whole:
    """A period whose edges stand still: one bucket for each is exact."""

    def bucket(self, at: int, edges: Edges) -> int:
        """Give the start of the period that a time falls into."""
        return next(edge for edge in reversed(edges) if at >= edge)


@dataclass(frozen=True)
class Day(_Whole):
    """The natural day in a time zone; it may have 23, 24 or 25 hours."""

    zone: ZoneInfo

    @property
    def key(self) -> str:
        """What names it in the state."""
        return f"today {self.zone.key}"

    def edges(self, now: float) -> Edges:
        """Give midnight before yesterday, before today and after today."""
        today = datetime.fromtimestamp(now, self.zone).date()
        days = (today - timedelta(days=1), today, today + timedelta(days=1))
        return Edges(
            *(int(datetime(d.year, d.month, d.day, tzinfo=self.zone).timestamp()) for d in days)
        )

    def end(self, now: float) -> int:
        """Give the next midnight."""
        return self.edges(now).end


@dataclass(frozen=True)
class Fixed(_Whole):
    """From one moment to another, or without an end."""

    begin: int
    until: int | None

    @property
    def key(self) -> str:
        """What names it in the state."""
        return f"{self.begin}-{self.until or ''}"

    def edges(self, _now: float) -> Edges:
        """Give the range, and before it one of the same length."""
        if self.until is None:
            return Edges(self.begin, self.begin, FOREVER)
        return Edges(2 * self.begin - self.until, self.begin, self.until)

    def end(self, _now: float) -> int | None:
        """Give its end."""
        return self.until
