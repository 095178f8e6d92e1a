"""The notification history as people read it, and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from breaker.record import Notification

_TIMES = ("evaluated_at", "started_at", "first_seen", "last_seen", "ended_at")


def as_json(notifications: Sequence[Notification]) -> str:
    """Give a JSON array; times as RFC 3339 with the offset of the machine's time zone."""
    return json.dumps([_plain(n) for n in notifications], ensure_ascii=False, indent=2)


def as_text(notifications: Sequence[Notification]) -> str:
    """Give two lines for each notification: what came, and what it came to."""
    return "\n".join(_lines(n) for n in notifications) or "nothing recorded"


def _plain(notification: Notification) -> dict[str, Any]:
    fields = asdict(notification)
    return fields | {name: _moment(fields[name], "T") for name in _TIMES}


def _lines(n: Notification) -> str:
    target = f"{n.scope or 'target'} {n.target}" + (f" ({n.name})" if n.name else "")
    measure = f", {n.value:,.6g} of {n.threshold:,.6g}" if _measured(n) else ""
    period = f" in {n.period}" if measure and n.period else ""
    asked = f", {n.action}" if n.action not in {"", "notify"} else ""
    why = ": ".join(filter(None, (n.reason, n.detail)))
    result = n.result.replace("_", " ") + (f" ({why})" if why else "")
    trip = f", trip {n.trip_id}" if n.trip_id else ""
    times = "once" if n.deliveries == 1 else f"{n.deliveries} times"
    ended = f"ended {_moment(n.ended_at)}" if n.ended_at is not None else "firing"
    return (
        f"{_moment(n.first_seen)}  {n.alertname}, rule {n.rule}: {target}{measure}{period}{asked}\n"
        f"    {result}{trip}; {ended}, delivered {times},"
        f" last {_moment(n.last_seen)}"
    )


def _measured(notification: Notification) -> bool:
    return notification.value is not None and notification.threshold is not None


def _moment(seconds: float | None, separator: str = " ") -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds).astimezone().isoformat(separator, "seconds")
