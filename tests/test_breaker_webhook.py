"""Reading Alertmanager's webhook."""

import json

import pytest

from breaker.webhook import WebhookError, parse
from tests.webhooks import TRIP_LABELS, make_alert, raw_alert, webhook


def test_what_rules_say_is_read() -> None:
    alert = make_alert()
    assert alert.firing
    assert alert.for_breaker
    assert (alert.rule, alert.target, alert.action) == ("budget", "7", "disable_channel")
    assert (alert.number("channel_id"), alert.name) == (7, "OpenAI main")
    assert (alert.value, alert.threshold, alert.evaluated_at) == (120_000, 100_000, 1_800_000_000)
    assert alert.starts_at.timestamp() == pytest.approx(1_800_000_000.123456)
    assert len(alert.key) == 16


def test_what_newer_versions_add_is_accepted() -> None:
    body = webhook(raw_alert() | {"reason": "new"}) | {"notificationReason": 3}
    assert parse(json.dumps(body).encode()).alerts[0].rule == "budget"


def test_what_is_missing_or_odd_does_not_matter() -> None:
    raw = raw_alert({}, value="+Inf")
    del raw["annotations"]["threshold"], raw["fingerprint"]
    alert = parse(json.dumps(webhook(raw)).encode()).alerts[0]
    assert (alert.rule, alert.target, alert.number("channel_id")) == ("", "", None)
    assert not alert.for_breaker
    assert (alert.value, alert.threshold) == (None, None)
    assert len(alert.key) == 16
    assert alert.key != make_alert().key


def test_a_name_that_prometheus_did_not_find_is_none() -> None:
    raw = raw_alert()
    raw["annotations"]["name"] = "<error expanding template: error executing template>"
    assert parse(json.dumps(webhook(raw)).encode()).alerts[0].name == ""


@pytest.mark.parametrize("text", ["", "0", "-7", "7.0", " 7", "٧", "1e3", "9" * 30, "7 OR 1=1"])
def test_only_a_positive_number_is_a_channel(text: str) -> None:
    assert make_alert(TRIP_LABELS | {"channel_id": text}).number("channel_id") is None


def test_long_texts_are_cut() -> None:
    assert len(make_alert(TRIP_LABELS | {"rule": "x" * 5000}).rule) == 1000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        b'{"version": "4", "alerts": [',
        b'{"version": "3", "alerts": []}',
        b'{"version": "4"}',
        b'{"version": "4", "alerts": [{"status": "firing"}]}',
        json.dumps(webhook(raw_alert(status="odd"))).encode(),
        json.dumps(webhook(raw_alert() | {"labels": {"a": 1}})).encode(),
        json.dumps(webhook(raw_alert() | {"startsAt": "today"})).encode(),
        json.dumps(webhook(raw_alert())).encode().replace(b"budget", b"\\ud800"),
        b"[" * 100_000,
    ],
)
def test_what_is_no_webhook_gets_one_line(body: bytes) -> None:
    with pytest.raises(WebhookError) as caught:
        parse(body)
    assert str(caught.value).startswith("not a webhook of Alertmanager (version 4): ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
