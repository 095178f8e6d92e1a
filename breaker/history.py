"""The notification history as people read it, and as JSON."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from breaker.incidents import Event
from breaker.record import Notification

_TIMES = ("evaluated_at", "started_at", "first_seen", "last_seen", "ended_at")
_UNITS = {"m": 60, "h": 3600, "d": 86400}


def read_since(text: str, now: float) -> float:
    """Read a moment, as 24h (ago), 2027-01-15 or 2027-01-15T08:00+08:00, in unix seconds.

    Raises:
        ValueError: it is none.
    """
    if found := re.fullmatch(r"([0-9]{1,6})([mhd])", text):
        return now - int(found[1]) * _UNITS[found[2]]
    return datetime.fromisoformat(text).timestamp()


def as_json(notifications: Sequence[Notification], events: Sequence[Event] = ()) -> str:
    """Give a JSON array; times as RFC 3339 with the offset of the machine's time zone."""
    rows = [_plain(n, _of(n, events)) for n in notifications]
    return json.dumps(rows, ensure_ascii=False, indent=2)


def as_text(notifications: Sequence[Notification], events: Sequence[Event] = ()) -> str:
    """Give two lines for each notification, what came and what it came to, and its trip's steps."""
    return "\n".join(_lines(n, _of(n, events)) for n in notifications) or "nothing recorded"


def _of(notification: Notification, events: Sequence[Event]) -> list[Event]:
    return [event for event in events if event.trip_id == notification.trip_id]


def _plain(notification: Notification, events: Sequence[Event]) -> dict[str, Any]:
    fields = asdict(notification)
    fields |= {name: _moment(fields[name], "T") for name in _TIMES}
    steps = [{"at": _moment(e.at, "T"), "event": e.event, "detail": e.detail} for e in events]
    return fields | {"events": steps}


def _lines(n: Notification, events: Sequence[Event]) -> str:
    target = f"{n.scope or 'target'} {n.target}" + (f" ({n.name})" if n.name else "")
    measure = f", {n.value:,.6g} of {n.threshold:,.6g}" if _measured(n) else ""
    period = f" in {n.period}" if measure and n.period else ""
    asked = f", {n.action}" if n.action not in {"", "notify"} else ""
    why = ": ".join(filter(None, (n.reason, n.detail)))
    result = n.result.replace("_", " ") + (f" ({why})" if why else "")
    trip = f", trip {n.trip_id}" if n.trip_id else ""
    times = "once" if n.deliveries == 1 else f"{n.deliveries} times"
    ended = f"ended {_moment(n.ended_at)}" if n.ended_at is not None else "firing"
    lines = [
        f"{_moment(n.first_seen)}  {n.alertname}, rule {n.rule}: {target}{measure}{period}{asked}",
        f"    {result}{trip}; {ended}, delivered {times}, last {_moment(n.last_seen)}",
    ]
    for event in events:
        detail = f": {event.detail}" if event.detail else ""
        lines.append(f"        {_moment(event.at)}  {event.event.replace('_', ' ')}{detail}")
    return "\n".join(lines)


def _measured(notification: Notification) -> bool:
    return notification.value is not None and notification.threshold is not None


def _moment(seconds: float | None, separator: str = " ") -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds).astimezone().isoformat(separator, "seconds")
