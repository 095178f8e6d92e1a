"""The alerts about the monitor itself, the texts of all alerts, what is recorded: by promtool."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.servers import promtool

REPOSITORY = Path(__file__).parent.parent
RULES = REPOSITORY / "prometheus" / "rules"

Series = dict[str, str]
"""Values in promtool's notation at steps of a minute, by series."""

_UP = {f'up{{job="{job}", instance="{job}:1"}}': "1x90" for job in ("newapi", "newapi-alerts")}
_FAILURES = "prometheus_rule_evaluation_failures_total"
_ERRORS = 'newapi_metric_unavailable{metric="newapi_request_errors_total", reason='
_STOCK = "newapi_inventory_read_timestamp_seconds"

MONITOR: dict[str, tuple[Series, Series]] = {
    # What makes it fire at an hour and a quarter, and what comes near and does not.
    "NewAPIMonitorWatchdog": ({}, {}),
    "NewAPIMonitorExporterDown": ({**_UP, 'up{job="newapi-alerts", instance="b"}': "0x90"}, _UP),
    "NewAPIMonitorStale": (
        {'newapi_counted_until_timestamp_seconds{instance="a"}': "0+60x70 4200x20"},
        {
            'newapi_counted_until_timestamp_seconds{instance="a"}': "-100+60x90",
            f'{_STOCK}{{instance="a"}}': "-290+60x90",
        },
    ),
    "NewAPIMonitorStateNotSaved": (
        {'newapi_exporter_errors_total{kind="state"}': "0x70 1+30x20"},
        {'newapi_exporter_errors_total{kind="state"}': "0+1x60 60x30",
         'newapi_exporter_errors_total{kind="unreachable"}': "0+1x90"},
    ),
    "NewAPIMonitorAlertsFileBroken": (
        {"newapi_alert_rules_last_reload_successful": "1x70 0x20"},
        {"newapi_alert_rules_last_reload_successful": "1x60 0x5 1x25"},
    ),
    "NewAPIMonitorConsumptionLoggingOff": (
        {'newapi_option_enabled{option="LogConsumeEnabled"}': "1x70 0x20"},
        {'newapi_option_enabled{option="LogConsumeEnabled"}': "1x90",
         'newapi_option_enabled{option="DataExportEnabled"}': "0x90"},
    ),
    "NewAPIMonitorBreakerDown": (
        {'up{job="newapi-breaker", instance="b"}': "1x70 0x20"},
        {'up{job="newapi-breaker", instance="b"}': "1x60 0x5 1x25"},
    ),
    "NewAPIMonitorBreakerFailing": (
        {'newapi_breaker_decisions_total{result="failed", reason="unreachable"}': "_x70 1+1x20"},
        {'newapi_breaker_decisions_total{result="failed", reason="unreachable"}': "5x90",
         'newapi_breaker_decisions_total{result="refused", reason="off"}': "0+1x90"},
    ),
    "NewAPIMonitorRulesFailing": (
        {f'{_FAILURES}{{rule_group="/etc/rules/cost.yml;newapi-cost"}}': "0x70 0+4x20"},
        {f'{_FAILURES}{{rule_group="/etc/rules/other.yml;other"}}': "0+4x90"},
    ),
    "NewAPIMonitorNotificationsFailing": (
        {'alertmanager_notifications_failed_total{integration="telegram"}': "0x70 1x20"},
        {'alertmanager_notifications_failed_total{integration="telegram"}': "0x30 1x60"},
    ),
    "NewAPIMonitorAlertmanagerDown": (
        {"prometheus_notifications_dropped_total": "0x65 0+5x25"},
        {"prometheus_notifications_dropped_total": "0x73 5x17"},
    ),
    "NewAPIMonitorErrorLoggingNeverSeen": (
        {"newapi_error_log_seen": "0x90", "newapi_requests_total": "1001x90"},
        {"newapi_error_log_seen": "0x90", "newapi_requests_total": "2000x90",
         f'{_ERRORS}"One API logs no failed attempts"}}': "1x90"},
    ),
    "NewAPIMonitorModelWithoutChannel": (
        {'newapi_model_enabled_channels{model="m", group="vip"}': "2x66 0x24"},
        {'newapi_model_enabled_channels{model="given-up", group="vip"}': "0x90",
         'newapi_model_enabled_channels{model="m", group="vip"}': "2x66 1x24"},
    ),
    "NewAPIMonitorIncomplete": (
        {'newapi_alert_rule_window_filled_ratio{rule="R"}': "0.5x90",
         'newapi_alert_rule_window_filled_ratio{rule="S"}': "1x90"},
        {'newapi_alert_rule_window_filled_ratio{rule="R"}': "0.5x30 1x60",
         "newapi_today_complete": "0x30 1x60"},
    ),
}  # fmt: skip

_UNDELIVERED = 'alertmanager_notifications_failed_total{integration="webhook"}'
FIRING: dict[str, list[Series]] = {
    "NewAPIMonitorNotificationsFailing": [{_UNDELIVERED: "0x65 0+2x25"}],
    "NewAPIMonitorModelWithoutChannel": [  # served for a quarter of an hour
        {'newapi_model_enabled_channels{model="m", group="vip"}': "_x31 1x15 0x43"},
    ],
}
"""More that fires."""

QUIET: dict[str, list[Series]] = {
    "NewAPIMonitorNotificationsFailing": [{_UNDELIVERED: "0x69 6x20"}],  # a restart
    "NewAPIMonitorErrorLoggingNeverSeen": [
        {"newapi_error_log_seen": "0x90", "newapi_requests_total": "1000x90"},
        {"newapi_error_log_seen": "0x60 1x30", "newapi_requests_total": "5000x90"},
    ],
}
"""More that comes near."""


def _rules() -> dict[str, dict[str, Any]]:
    text = (RULES / "monitor.yml").read_text(encoding="utf-8")
    groups = yaml.safe_load(text)["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def test_there_is_a_case_for_each_alert_about_the_monitor() -> None:
    assert set(MONITOR) == set(_rules())


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Run all cases at once; the failures are told by the name of the test."""
    tests = []
    for alertname, (firing, near) in MONITOR.items():
        for name, series, count in (
            *(("fires", loud, 1) for loud in (firing, *FIRING.get(alertname, []))),
            *(("does not", quiet, 0) for quiet in (near, *QUIET.get(alertname, []))),
        ):
            if alertname == "NewAPIMonitorWatchdog" and not count:
                continue
            alerts = f'ALERTS{{alertname="{alertname}", alertstate="firing"}}'
            tests.append(
                {
                    "name": f"{alertname} {name}",
                    "interval": "1m",
                    "input_series": [{"series": s, "values": v} for s, v in series.items()],
                    "promql_expr_test": [
                        {
                            "expr": f"count({alerts}) or vector(0)",
                            "eval_time": "75m",
                            "exp_samples": [{"labels": "{}", "value": count}],
                        }
                    ],
                }
            )
    path = tmp_path_factory.mktemp("rules") / "monitor.yml"
    document = {
        "rule_files": [str(RULES / "monitor.yml")],
        "evaluation_interval": "1m",
        "tests": tests,
    }
    path.write_text(json.dumps(document))
    done = promtool("test", "rules", path, check=False)
    return done.stdout + done.stderr


def test_the_alerts_about_the_monitor_fire_and_do_not_fire(outcome: str) -> None:
    assert "SUCCESS" in outcome, outcome


@pytest.mark.parametrize("tests", sorted((REPOSITORY / "prometheus" / "tests").glob("*.yml")))
def test_what_is_said_and_recorded(tests: Path) -> None:
    promtool("test", "rules", tests.name, cwd=tests.parent)
