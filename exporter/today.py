"""Use since midnight, by the log row's own time, in the natural day of one time zone."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from exporter.position import AHEAD
from exporter.series import Catalogue
from exporter.totals import Totals
from newapi.events import Event

Days = dict[date, Totals]

METRICS = {
    "newapi_today_{}": ("channel_id", "model"),
    "newapi_api_key_today_{}": ("api_key_id",),
    "newapi_user_today_{}": ("user_id",),
}
"""Names with their labels; of each there are tokens, quota and requests."""

MEASURES = ("tokens", "quota", "requests")


class Calendar:
    """Tells the natural day of a moment; a day may have 23, 24 or 25 hours."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self._day = date.min
        self._start = self._end = 0.0

    def day(self, moment: float) -> date:
        """Give the day of a moment in unix seconds."""
        if not self._start <= moment < self._end:  # hardly ever: log rows come in order of time
            self._day = datetime.fromtimestamp(moment, self.zone).date()
            self._start = self.start(self._day)
            self._end = self.start(self._day + timedelta(days=1))
        return self._day

    def start(self, day: date) -> float:
        """Give the unix second at which a day begins."""
        return datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp()


class DaySums:
    """The sums of each natural day from today on, whose series are as limited as any metric's.

    Args:
        sums: what has been counted, by day.
        limit: series a metric may have, beside those named `other`.
    """

    def __init__(self, sums: Days, limit: int) -> None:
        self._sums = sums
        self._limit = limit
        self._catalogues: dict[date, Catalogue] = {}

    def of(self, day: date) -> Totals:
        """Give the sums of a day; they are not to be changed."""
        return self._sums.get(day) or Totals()

    def admit(self, added: Mapping[date, Totals]) -> tuple[Days, dict[str, int]]:
        """Fold what would begin a series beyond the limit into `other`; see Catalogue.admit."""
        admitted, folded = Days(), dict[str, int]()
        for day, totals in added.items():
            admitted[day], more = self._catalogue(day).admit(totals)
            for name, number in more.items():
                folded[name] = folded.get(name, 0) + number
        return admitted, folded

    def merge(self, admitted: Days) -> None:
        """Add what was admitted."""
        for day, totals in admitted.items():
            catalogue = self._catalogue(day)
            catalogue.add(catalogue.new(totals))
            self._sums.setdefault(day, Totals()).merge(totals)

    def forget(self, before: date = date.max) -> None:
        """Forget the days before one, or all."""
        for day in [day for day in self._sums if day < before]:
            del self._sums[day]
            self._catalogues.pop(day, None)

    def _catalogue(self, day: date) -> Catalogue:
        if day not in self._catalogues:
            self._catalogues[day] = Catalogue(self.of(day).sums, self._limit)
        return self._catalogues[day]


def split(
    events: Iterable[Event], calendar: Calendar, now: float
) -> dict[date | None, list[Event]]:
    """Part events by day, today and later; those of the past, which count no more, are of None.

    A gateway's node whose clock is ahead writes rows of tomorrow before midnight.
    """
    today = datetime.fromtimestamp(now, calendar.zone).date()
    tomorrow = today + timedelta(days=1)
    begin, change, end = calendar.start(today), calendar.start(tomorrow), now + AHEAD
    parts: dict[date | None, list[Event]] = {None: [], today: [], tomorrow: []}
    of_today, change = parts[today].append, min(change, end)
    for event in events:
        if begin <= event.created_at < change:
            of_today(event)
        else:
            parts[tomorrow if change <= event.created_at < end else None].append(event)
    return {day: part for day, part in parts.items() if part}


def of(totals: Totals) -> Totals:
    """Give what a day's sums add to those since midnight."""
    found = Totals()
    for metric, (name, labels) in _SOURCES.items():
        for values, amount in totals.sums.get(metric, {}).items():
            found.add(name, values[:labels], amount)
    return found


_SOURCES = {
    f"newapi_{of}{measure}_total": (template.format(measure), len(labels))
    for (template, labels), of in zip(METRICS.items(), ("", "api_key_", "user_"), strict=True)
    for measure in MEASURES
}
"""The sums that they come from, by metric: the name since midnight, and its number of labels."""
