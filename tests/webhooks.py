"""Alertmanager's webhook, as tests post it to the breaker."""

import json
from typing import Any

from breaker.webhook import Alert, parse

TRIP_LABELS = {
    "alertname": "NewAPITokenUsageTrip",
    "rule": "budget",
    "type": "token_usage",
    "scope": "channel",
    "period": "1h",
    "action": "disable_channel",
    "severity": "critical",
    "target": "7",
    "channel_id": "7",
    "purpose": "trip",
}
TELL_LABELS = {
    "alertname": "NewAPITokenUsage",
    "rule": "watch",
    "type": "token_usage",
    "scope": "user",
    "period": "24h",
    "action": "notify",
    "severity": "warning",
    "target": "3",
    "user_id": "3",
}
HEALTH = TRIP_LABELS | {"type": "error_rate", "alertname": "NewAPIErrorRateTrip"}
KEY = TRIP_LABELS | {
    "action": "disable_api_key", "scope": "api_key", "target": "3", "api_key_id": "3",
}  # fmt: skip
del KEY["channel_id"]


def raw_alert(
    labels: dict[str, str] = TRIP_LABELS, *, status: str = "firing", value: str = "120000"
) -> dict[str, Any]:
    """Make one alert of a webhook."""
    return {
        "status": status,
        "labels": labels,
        "annotations": {
            "name": "OpenAI main",
            "summary": "A target used more LLM tokens than its rule allows.",
            "value": value,
            "threshold": "100000",
            "evaluated_at": "1800000000",
        },
        "startsAt": "2027-01-15T08:00:00.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph?g0.expr=x",
        "fingerprint": f"{hash(frozenset(labels.items())) & (2**64 - 1):016x}",
    }


def webhook(*alerts: dict[str, Any]) -> dict[str, Any]:
    """Make a webhook as Alertmanager 0.25 and later posts it."""
    return {
        "receiver": "breaker",
        "status": "firing",
        "alerts": list(alerts),
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager",
        "version": "4",
        "groupKey": '{}/{purpose="trip"}:{}',
        "truncatedAlerts": 0,
    }


def make_alert(labels: dict[str, str] = TRIP_LABELS, **more: str) -> Alert:
    """Make an alert as it is read."""
    return parse(json.dumps(webhook(raw_alert(labels, **more))).encode()).alerts[0]
