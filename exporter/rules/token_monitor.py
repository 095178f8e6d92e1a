"""Turns the alert rules of token-monitor into an alerts.yml.

Its rules are in the table `alerts` of a SQLite file, what they look at as JSON in the column
`rule` (GLH08/token-monitor server/db.js, server/alerter.js, web/src/pages/Alerts.tsx, 2026-08).
"""

import json
import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import yaml

from exporter.rules.file import RulesError, read_rules
from exporter.rules.period import PERIODS
from exporter.rules.rule import KINDS

_QUOTA_PER_USD = 500_000
"""What token-monitor's quota is divided by: the gateway's default."""

_TYPES = ("token_usage", "error_rate", "latency", "channel_down", "quota_low", "request_spike")
_UNITS = {"latency": 1000, "quota_low": _QUOTA_PER_USD}
"""What its thresholds are divided by: milliseconds and quota."""

_HOURS = {seconds // 3600: name for name, seconds in PERIODS.items() if seconds >= 3600}
_TIME = re.compile(r"[0-2]?[0-9]:[0-5][0-9]")
_DAY_ENDS = "23:59"


class ImportFailedError(Exception):
    """The file cannot be read; the text is one line."""


class _NoCounterpartError(Exception):
    """A rule says something that alerts.yml cannot; the text says what."""


def import_rules(path: Path, zone: ZoneInfo) -> str:
    """Give the text of an alerts.yml with the rules of a token-monitor database.

    Args:
        path: its monitor.db; it is only read.
        zone: of the times in rules, which the old system took for its server's.

    Raises:
        ImportFailedError: it cannot be read, or holds no such table.
    """
    lines = [
        "# Rules that were token-monitor's. Check them: newapi-exporter check",
        f"# Its rules fired above a threshold, these do from it on. Times are in {zone.key}.",
    ]
    good: list[str] = []
    names: set[str] = set()
    for row in _rows(path):
        name = _name(str(row["name"] or "").strip() or f"Rule {row['id']}", names)
        names.add(name)
        try:
            body, notes = _converted(row, zone)
            text = _yaml({"name": name, **body})
            read_rules("\n".join(["rules:", *good, text]), "it")
        except _NoCounterpartError as reason:
            lines.append(f"# Not taken over: {name!r}: {reason}")
        except RulesError as error:
            lines.append(f"# Not taken over: {name!r}: {str(error).split(': ', 1)[1]}")
        else:
            good += [*(f"  # {note}" for note in notes), text]
    return "\n".join([*lines, "rules:" if good else "rules: []", *good]) + "\n"


def _rows(path: Path) -> list[Mapping[str, Any]]:
    if not path.is_file():
        raise ImportFailedError(f"{path}: there is no such file")
    try:
        uri = f"file:{quote(str(path))}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute("SELECT * FROM alerts ORDER BY id")]
    except sqlite3.Error as error:
        raise ImportFailedError(f"{path}: no rules of token-monitor: {error}") from None


def _name(wanted: str, taken: set[str]) -> str:
    wanted = wanted[:90]
    tries = (wanted if n == 1 else f"{wanted} ({n})" for n in range(1, len(taken) + 2))
    return next(name for name in tries if name not in taken)


def _converted(row: Mapping[str, Any], zone: ZoneInfo) -> tuple[dict[str, Any], list[str]]:
    """Give a rule without its name, and what a person should know of the change."""
    rule = _rule(row)
    kind = rule.get("alertType") or "token_usage"
    if kind not in _TYPES:
        raise _NoCounterpartError(f"there is no rule of type {kind}")
    notes: list[str] = []
    body: dict[str, Any] = {"type": kind, **_looks_at(rule, kind)}
    if "period" in KINDS[kind].keys:
        body["period"] = _period(rule, zone, notes)
    body |= _threshold(rule, kind, notes)
    body |= _action(row, body, notes)
    body |= _active(row, notes)
    if not row.get("notify_telegram"):
        body["notify"] = "none"
    if not row.get("enabled", 1):
        body["enabled"] = False
    return body, notes


def _rule(row: Mapping[str, Any]) -> dict[str, Any]:
    try:
        rule = json.loads(row["rule"] or "")
    except (TypeError, ValueError):
        rule = None
    if not isinstance(rule, dict):
        raise _NoCounterpartError("its rule cannot be read")
    return rule


def _threshold(rule: Mapping[str, Any], kind: str, notes: list[str]) -> dict[str, Any]:
    if kind == "channel_down":
        return {"include_manual": True}
    threshold = _number(rule.get("threshold")) / _UNITS.get(kind, 1)
    if kind == "quota_low":
        notes.append("the threshold was quota, and is US dollars now: 500,000 to the dollar")
    return {"threshold": int(threshold) if threshold.is_integer() else threshold}


def _action(row: Mapping[str, Any], body: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    if not str(row.get("trigger_action") or "").startswith("disable"):
        return {}
    if body.get("channel", "*") == "*":
        notes.append("it was to disable a channel, but looked at none")
        return {}
    return {"action": "disable_channel"}


def _looks_at(rule: Mapping[str, Any], kind: str) -> dict[str, Any]:
    if kind == "channel_down":
        return {"channel": "*"}
    if kind == "quota_low":
        return {"api_key": "*"}
    scope, target = rule.get("type"), str(rule.get("target") or "").strip()
    if scope in {None, "", "global"}:
        return {}
    if scope not in {"channel", "model"} or not target:
        raise _NoCounterpartError(f"it looks at {scope} {target}".rstrip())
    return {
        scope: int(target)
        if scope == "channel" and target.isascii() and target.isdigit()
        else target
    }


def _period(rule: Mapping[str, Any], zone: ZoneInfo, notes: list[str]) -> object:
    period = str(rule.get("period") or "")
    if period in {"today", "daily"}:
        return "today"
    if period == "custom" and rule.get("customStartTs"):
        ends = (("from", rule["customStartTs"]), ("to", rule.get("customEndTs")))
        return {key: _moment(time, zone) for key, time in ends if time}
    match = re.match(r"[0-9]+(\.[0-9]+)?", period)
    hours = float(match[0]) if match else 24.0
    longer = next((name for length, name in _HOURS.items() if length >= hours), "30d")
    if hours not in _HOURS:
        notes.append(f"the period was {hours:g} hours")
    return longer


def _moment(seconds: object, zone: ZoneInfo) -> str:
    try:
        moment = datetime.fromtimestamp(_number(seconds), zone)
    except (ValueError, OverflowError, OSError):
        raise _NoCounterpartError("its range is none") from None
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def _active(row: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    begin, end = (str(row.get(key) or "").strip() for key in ("start_time", "end_time"))
    if not (_TIME.fullmatch(begin) and _TIME.fullmatch(end)):
        return {}
    begin, end = begin.zfill(5), end.zfill(5)
    if begin == "00:00" and end >= _DAY_ENDS:
        return {}
    if begin == end:
        raise _NoCounterpartError(f"it counted for one minute a day, at {begin}")
    if begin > end:
        notes.append("hours over midnight: the old system never looked at it, it does count now")
    return {"active": {"hours": f"{begin}-{'24:00' if end == _DAY_ENDS else end}"}}


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        raise _NoCounterpartError(f"{value!r} is no number") from None


def _yaml(rule: Mapping[str, Any]) -> str:
    """Give a rule as an entry of the list, as a person would write it."""
    lines = [f"{key}: {_value(value)}" for key, value in rule.items()]
    return "\n".join(f"  {'- ' if n == 0 else '  '}{line}" for n, line in enumerate(lines))


def _value(value: object) -> str:
    text = yaml.safe_dump(value, allow_unicode=True, width=10_000, default_flow_style=True)
    return str(text).strip().removesuffix("...").rstrip()
