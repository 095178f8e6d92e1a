"""What the monitor itself, its rules and its alerts leave in a month's history."""

from itertools import product

from benchmarks.panels_series import DAY, Rows, Same, behind, constant, counter, row
from benchmarks.tsdb.blocks import HOUR, Shape
from grafana.metrics import CHANNEL
from tests.remote_write import labels_of
from tests.rule_history import FIRING, SCRAPE, TOTALS, alerts

_NOTIFICATIONS = 200


def itself(end: int) -> Rows:
    """Give what the exporter and the breaker tell of themselves."""
    began = end - 40 * DAY
    yield row("newapi_counting_since_timestamp_seconds", constant(began))
    fresh = behind(2)
    yield row("newapi_counted_until_timestamp_seconds", fresh)
    yield row("newapi_quota_per_usd", constant(500_000))
    yield row("newapi_display_currency_per_usd", constant(7.3), currency="CNY")
    yield row("newapi_error_log_seen", constant(1))
    yield row("newapi_option_enabled", constant(1), option="LogConsumeEnabled")
    yield row("newapi_exporter_build_info", constant(1), version="1", timezone="UTC")
    for name, value in (
        ("exporter_lag_rows", 0), ("today_complete", 1), ("alert_rules", 100),
        ("alert_rules_last_reload_successful", 1), ("exporter_lag_seconds", 2),
        ("exporter_poll_duration_seconds", 0.05), ("breaker_notices_waiting", 0),
    ):  # fmt: skip
        yield row(f"newapi_{name}", constant(value))
    yield row("newapi_exporter_rows_read_total", counter(25))
    yield row("newapi_exporter_errors_total", counter(0), kind="unreachable")
    for number in range(30):
        yield row("newapi_exporter_series", constant(number), metric=f"metric {number}")
    yield row("up", constant(1))
    yield row("scrape_duration_seconds", constant(0.1))
    for mode in ("enforce", "dry-run", "off"):
        yield row("newapi_breaker_mode", constant(float(mode == "enforce")), mode=mode)
    for result, reason in product(("tripped", "refused", "repeated"), ("", "protected")):
        name = "newapi_breaker_decisions_total"
        yield row(name, counter(1), result=result, reason=reason)
    for bound in ("0.1", "1.0", "8.0", "+Inf"):
        yield row("newapi_breaker_decision_duration_seconds_bucket", counter(3), le=bound)


def alerting(end: int) -> Rows:
    """Give the rules' series, the alerts that fired, and what the breaker noted of them."""
    for series, made, moments in alerts():
        # Else it is there by the month.
        if moments.step != TOTALS and not series.startswith(CHANNEL.info):
            value = {"one": 1.0, "far": 1e12, "never": -1.0, "time": float(end)}[made]
            since = end + max(moments.start, -330)
            shape = Shape(Same(value), moments.step, since)
            yield tuple(labels_of(series)), shape
    for number in range(FIRING):
        about = {"rule": f"r{number % 30}", "target": str(number), "severity": "warning"}
        about |= {"alertname": "NewAPITokenUsage", "type": "token_usage"}
        # One in ten fires all the time, the others for six hours, at any time.
        since = 0 if number % 10 == 0 else end - 6 * HOUR - (number * 7919) % (29 * DAY)
        until = 1 << 40 if number % 10 == 0 else since + 6 * HOUR
        for name, more in (("ALERTS", {"alertstate": "firing"}), ("ALERTS_FOR_STATE", {})):
            shape = Shape(Same(1.0), SCRAPE, since, until)
            yield tuple(sorted({"__name__": name, **about, **more}.items())), shape
    for number in range(_NOTIFICATIONS):
        note = {"id": str(number)}
        told = {"rule": f"r{number % 30}", "target": str(number % 50), "name": "channel"}
        told |= {"alertname": "NewAPITokenUsageTrip", "scope": "channel", "type": "token_usage"}
        told |= {"result": ("tripped", "recorded")[number % 2], "action": "disable_channel"}
        yield row("newapi_notification_info", constant(1), **note, **told)
        yield row("newapi_notification_value", constant(2), **note)
        yield row("newapi_notification_threshold", constant(1), **note)
        when = constant(end - DAY * (number % 16))
        yield row("newapi_notification_timestamp_seconds", when, **note)
    for number in range(5):
        yield row("newapi_breaker_held", constant(1), kind="channel", id=str(number))
