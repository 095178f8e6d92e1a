"""The period that a rule looks at: so long before now, the natural day, or a range of dates."""

from datetime import date, datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

PERIODS = {
    "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "6h": 21600, "12h": 43200, "24h": 86400,
    "48h": 172800, "72h": 259200, "7d": 604800, "30d": 2592000,
}  # fmt: skip
"""Seconds of each period before now that a rule may name."""

TODAY = "today"

YEARS = range(1970, 3000)
"""Of a range: what lies beyond is no unix time in every zone."""

Name = Literal[
    "5m", "15m", "30m", "1h", "6h", "12h", "24h", "48h", "72h", "7d", "30d", "today"
]  # fmt: skip

_FORMATS = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
)


def _moment(value: object) -> date | datetime:
    """Read a date, or a date and a time; YAML has made some of them into such already."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            return value
    elif isinstance(value, date):
        return value
    elif isinstance(value, str):
        for text in _FORMATS:
            try:
                moment = datetime.strptime(value, text)  # noqa: DTZ007  (the file names the zone)
            except ValueError:
                continue
            return moment.date() if text == _FORMATS[0] else moment
    raise ValueError("not a moment")


_Moment = Annotated[date | datetime, BeforeValidator(_moment, json_schema_input_type=str)]


class Range(BaseModel):
    """From one moment to another, in the time zone of the file; without `to` it has no end.

    A date stands for the whole day: `to: 2026-09-30` ends when that day does.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    begin: _Moment = Field(
        alias="from", description='a date, as 2026-09-01, or a time, as "2026-09-01 08:00"'
    )
    end: _Moment | None = Field(
        None,
        alias="to",
        description='a date, as 2026-09-30, which is then within, or a time, as "2026-09-30 18:00"',
    )

    @model_validator(mode="after")
    def _forward(self) -> "Range":
        for key, moment in (("from", self.begin), ("to", self.end)):
            if moment is not None and moment.year not in YEARS:
                without = "; a range without end has no `to`" if key == "to" else ""
                raise ValueError(f"{key}: expected a year from 1970 to 2999{without}")
        utc = ZoneInfo("UTC")
        end = self.ends_at(utc)
        if end is not None and end <= self.starts_at(utc):
            raise ValueError("to: it lies before `from`")
        return self

    def starts_at(self, zone: ZoneInfo) -> int:
        """Give the unix second at which it begins."""
        return _unix(self.begin, zone)

    def ends_at(self, zone: ZoneInfo) -> int | None:
        """Give the unix second before which it ends; None where it has no end."""
        if self.end is None or isinstance(self.end, datetime):
            return None if self.end is None else _unix(self.end, zone)
        return _unix(self.end + timedelta(days=1), zone)

    def __str__(self) -> str:
        return f"{_text(self.begin)}..{_text(self.end)}"


def kind(value: object) -> str:
    """Tell pydantic which of the two a value is meant to be."""
    return "<range>" if isinstance(value, dict | Range) else "<name>"


def _unix(moment: date, zone: ZoneInfo) -> int:
    time = moment if isinstance(moment, datetime) else datetime.combine(moment, datetime.min.time())
    return int(time.replace(tzinfo=zone).timestamp())


def _text(moment: date | None) -> str:
    if isinstance(moment, datetime):
        return moment.isoformat(timespec="seconds" if moment.second else "minutes")
    return "" if moment is None else moment.isoformat()
