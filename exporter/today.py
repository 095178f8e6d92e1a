"""Use since midnight, by the log row's own time, in the natural day of one time zone."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from exporter.position import AHEAD
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
    for event in events:
        if begin <= event.created_at < end:
            parts[today if event.created_at < change else tomorrow].append(event)
        else:
            parts[None].append(event)
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
