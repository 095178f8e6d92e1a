"""The hours of a week in which a rule counts, as one set of minutes."""

import re
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_DAY = 24 * 60
_WEEK = 7 * _DAY
ALWAYS = (1 << _WEEK) - 1
"""Every minute of a week; bit 0 is the first minute of Monday."""

_HOURS = re.compile(
    r"([01][0-9]|2[0-3]):([0-5][0-9])\s*-\s*(?:([01][0-9]|2[0-3]):([0-5][0-9])|24:00)"
)


def _days(value: object) -> tuple[str, ...]:
    """Read mon-fri, "sat, sun" or a list of such as the days that they name."""
    parts = value if isinstance(value, list) else str(value).split(",")
    found: set[str] = set()
    for part in parts:
        first, dash, last = (day.strip() for day in str(part).lower().partition("-"))
        begin, end = DAYS.index(first), DAYS.index(last if dash else first)
        found |= {DAYS[day % 7] for day in range(begin, (end if end >= begin else end + 7) + 1)}
    if not found:
        raise ValueError("no days")
    return tuple(day for day in DAYS if day in found)


def _hours(value: object) -> str:
    text = str(value).strip()
    if not (match := _HOURS.fullmatch(text)) or match[0][:5] == match[0][-5:]:
        raise ValueError("not hours")
    return f"{text[:5]}-{text[-5:]}"


class Active(BaseModel):
    """Days and hours of a week.

    Hours that end before they begin cross midnight and belong to the day on which they begin.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    days: Annotated[tuple[str, ...], BeforeValidator(_days)] = Field(
        DAYS, description='days, as mon-fri, "sat, sun" or [mon, wed]'
    )
    hours: Annotated[str, BeforeValidator(_hours)] = Field(
        "00:00-24:00", description='hours, as "09:00-18:00"; "22:00-06:00" crosses midnight'
    )

    def minutes(self) -> int:
        """Give the minutes of a week in which it holds, as bits."""
        begin, end = (int(text[:2]) * 60 + int(text[3:]) for text in self.hours.split("-"))
        length = (end - begin) % _DAY or _DAY
        week = 0
        for day in self.days:
            first = DAYS.index(day) * _DAY + begin
            span = ((1 << length) - 1) << first
            week |= (span | span >> _WEEK) & ALWAYS  # what goes past Sunday is Monday's
        return week


def holds(week: int, now: float, zone: ZoneInfo) -> bool:
    """Tell whether a set of minutes has the one of this moment, by the clock on the wall."""
    local = datetime.fromtimestamp(now, zone)
    return bool(week >> (local.weekday() * _DAY + local.hour * 60 + local.minute) & 1)
