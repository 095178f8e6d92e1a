"""What values of labels mean: each in English, as it is looked up in other languages."""

from collections.abc import Mapping

from grafana.language import Say
from grafana.style import PLAIN

FAULTS = {
    "unreachable": "Unreachable",
    "refused": "Access refused",
    "missing": "Missing or not granted",
    "timeout": "Took too long",
    "other": "Other",
}
"""newapi.database.Fault: what kept a database from answering."""

FAILURES = {
    **FAULTS,
    "state": "State not saved",
    "rules": "Mistake in alerts.yml",
    "fill": "Windows not filled",
    "settle": "Failed requests not settled",
}
"""Label `kind` of newapi_exporter_errors_total."""

REASONS = {
    **FAULTS,
    "off": "Breaker is off",
    "bad_alert": "Alert is incomplete",
    "unsupported_action": "Unknown action",
    "overridden": "A person enabled it",
    "already_disabled": "Was disabled",
    "other_trip": "Off by another trip",
    "not_found": "Not there",
    "protected": "Protected",
    "too_many_trips": "Too many trips",
    "stale": "Alert too old",
    "last_channel": "Last channel",
    "unverified": "Still in service",
    "person": "By a person",
    "command": "By command",
    "timer": "Time was over",
    "other_rule": "Another rule holds it",
    "taken_over": "Off by the gateway",
    "gone": "Deleted",
    "gateway_disabled": "Gateway disabled it",
    "gateway_test": "Gateway's test",
    "edit_form": "Edit form",
    "abilities": "Abilities enabled",
    "reason": "Reason was lost",
}
"""breaker.metrics.KNOWN: why the breaker decided what it did."""

ADJUSTED = {
    "negative": "Negative: counted as 0",
    "unreadable": "Unreadable: counted as 0",
    "absurd": "Model's name too long: cut",
}
"""Label `reason` of newapi_rows_adjusted_total."""

UNAVAILABLE = {
    "One API logs no failed attempts": "One API logs no failed attempts",
    "no failed attempt was ever logged; New API logs them only with ERROR_LOG_ENABLED=true": (
        "No failure was ever logged: set ERROR_LOG_ENABLED=true"
    ),
}
"""Label `reason` of newapi_metric_unavailable, and MISSING_COLUMN."""

MISSING_COLUMN = "column (.+) is missing or not granted", "Column $1 is missing or not granted"


def plain(say: Say, texts: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Give the words for values: name, colour."""
    return {value: (say(text), PLAIN) for value, text in texts.items()}
