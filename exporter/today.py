"""Use since midnight, by the log row's own time, in the natural day of one time zone."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from exporter.position import AHEAD
from exporter.totals import Labels, Totals
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
    begin = calendar.start(datetime.fromtimestamp(now, calendar.zone).date())
    end = now + AHEAD
    consume = LogType.CONSUME
    uses: dict[tuple[date, str, Labels], list[int]] = {}
    for event in events:
        if event.type is not consume or not begin <= event.created_at < end:
            continue
        day, tokens, quota = (
            calendar.day(event.created_at), event.prompt + event.completion, event.quota,
        )  # fmt: skip
        keys = ((event.channel_id, event.model), (event.api_key_id,), (event.user_id,))
        for name, key in zip(METRICS, keys, strict=True):
            use = uses.get((day, name, key))
            if use is None:
                uses[day, name, key] = [tokens, quota, 1]
            else:
                use[0] += tokens
                use[1] += quota
                use[2] += 1
    days: Days = {}
    for (day, name, key), use in uses.items():
        totals = days.setdefault(day, Totals())
        for measure, amount in zip(MEASURES, use, strict=True):
            totals.add(name.format(measure), key, amount)
    return days
