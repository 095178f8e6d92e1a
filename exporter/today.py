"""Use since midnight, by the log row's own time, in the natural day of one time zone."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from exporter.position import AHEAD
from exporter.totals import Labels, Totals, Uses
from newapi.events import Event
from newapi.rows import LogType

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


def fold(events: Iterable[Event], calendar: Calendar, now: float) -> Days:
    """Sum up completed requests of today and later by day; what came before counts no more.

    A gateway's node whose clock is ahead writes rows of tomorrow before midnight.
    """
    this = datetime.fromtimestamp(now, calendar.zone).date()
    following = this + timedelta(days=1)
    begin, change, end = calendar.start(this), calendar.start(following), now + AHEAD
    consume, found = LogType.CONSUME, dict[date, Uses]()
    for event in events:
        if begin <= event.created_at < end and event.type is consume:
            day = this if event.created_at < change else following
            if day not in found:
                found[day] = Uses()
            found[day].add(event)
    return {day: _totals(uses) for day, uses in found.items()}


def _totals(uses: Uses) -> Totals:
    totals = Totals()
    by_labels: tuple[list[tuple[Labels, list[int]]], ...] = (
        [((channel, model), use) for (channel, model, _), use in uses.models.items()],
        [((api_key,), use) for api_key, use in uses.api_keys.items()],
        [((user,), use) for user, use in uses.users.items()],
    )
    for name, found in zip(METRICS, by_labels, strict=True):
        for labels, (number, prompt, completion, quota, _) in found:
            for measure, amount in zip(MEASURES, (prompt + completion, quota, number), strict=True):
                totals.add(name.format(measure), labels, amount)
    return totals
