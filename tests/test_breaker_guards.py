"""What the breaker refuses to disable, with the state of the tables, the record and the notice."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from newapi.database import Database
from tests.breaker import OFF, ON, SQLITE, Bench, Make, benches
from tests.gateway import put, run
from tests.gateway_channels import (
    MODELS,
    add_channel,
    add_key,
    enable,
    gateway_with,
    key_status,
    make_gateway,
    tables,
)
from tests.webhooks import HEALTH, KEY, TRIP_LABELS, raw_alert

NOW = 1_800_000_000
make = pytest.fixture(benches)


@pytest.fixture
def gateway(gateway_url: str) -> Iterator[Database]:
    """A gateway with the channels 7 and 8, which serve the same, and the API key 3."""
    with gateway_with(gateway_url, channels=(7, 8), keys=(3,)) as database:
        yield database


def refused(bench: Bench, reason: str, detail: str) -> None:
    """Check that the one alert was refused, recorded and told."""
    (row,) = bench.breaker.record.notifications(9)
    assert (row.result, row.reason, row.detail) == ("refused", reason, detail)
    assert (bench.trips(), bench.breaker.record.held()) == (["nothing"], [])
    assert bench.notices() == ["Refused"]
    assert detail in bench.summaries()[0]


@pytest.mark.parametrize(
    ("labels", "settings", "detail"),
    [
        (TRIP_LABELS, {"breaker_protected_channels": "9, 7"}, "BREAKER_PROTECTED_CHANNELS"),
        (TRIP_LABELS, {"breaker_protected_channels": "channel-7"}, "BREAKER_PROTECTED_CHANNELS"),
        (TRIP_LABELS, {"breaker_protected_groups": "x,vip"}, "BREAKER_PROTECTED_GROUPS, vip"),
        (KEY, {"breaker_protected_api_keys": "3"}, "BREAKER_PROTECTED_API_KEYS"),
        (KEY, {"breaker_protected_api_keys": "key-3"}, "BREAKER_PROTECTED_API_KEYS"),
        (KEY, {"breaker_protected_groups": "vip"}, "BREAKER_PROTECTED_GROUPS, vip"),
    ],
)
def test_what_is_protected_is_never_touched(
    gateway: Database,
    gateway_url: str,
    make: Make,
    labels: dict[str, str],
    settings: dict[str, Any],
    detail: str,
) -> None:
    bench = make(gateway_url, **settings)
    for _ in range(3):
        assert bench.post(raw_alert(labels)).status_code == 200
    refused(bench, "protected", detail)
    assert tables(gateway, 7) == (1, None, ON)
    assert key_status(gateway, 3) == 1
    # What is not protected trips.
    assert (
        bench.post(raw_alert(TRIP_LABELS | {"channel_id": "8", "target": "8"})).status_code == 200
    )
    protected_group = "breaker_protected_groups" in settings
    assert tables(gateway, 8)[0] == (1 if protected_group else 2)


def test_a_key_without_a_group_is_in_its_users(
    gateway: Database, gateway_url: str, make: Make
) -> None:
    put(gateway, "users", {"id": 5, "username": "ann", "password": "x", "group": "staff"})
    add_key(gateway, 4, group="", user_id=5)
    bench = make(gateway_url, breaker_protected_groups="staff")
    bench.post(raw_alert(KEY | {"target": "4", "api_key_id": "4"}))
    refused(bench, "protected", "BREAKER_PROTECTED_GROUPS, staff")
    assert key_status(gateway, 4) == 1


def test_no_more_trips_in_an_hour_than_allowed(gateway_url: str, make: Make) -> None:
    database = make_gateway(gateway_url)
    for number in range(1, 5):
        add_channel(database, number)
    bench = make(gateway_url, breaker_max_trips_per_hour=2)

    def trip(number: int) -> None:
        labels = TRIP_LABELS | {"channel_id": str(number), "target": str(number)}
        assert bench.post(raw_alert(labels)).status_code == 200

    for number in (1, 2, 3, 3):
        trip(number)
    assert [tables(database, number)[0] for number in range(1, 5)] == [2, 2, 1, 1]
    assert bench.results()[0] == ("refused", "too_many_trips", 2)
    assert bench.notices() == ["Tripped", "Tripped", "Refused"]
    assert "as often in an hour as it may (BREAKER_MAX_TRIPS_PER_HOUR=2)" in bench.summaries()[2]
    for _ in range(6):  # the alert goes on, and is acted upon once the hour is over
        bench.clock.now += 600
        trip(3)
    assert tables(database, 3)[::2] == (2, OFF)
    assert bench.trips() == ["held"] * 3
    database.close()


@SQLITE
def test_too_many_trips_of_a_rule_are_told_once_an_hour(gateway_url: str, make: Make) -> None:
    numbers = range(1, 41)
    with gateway_with(gateway_url, channels=numbers, keys=()):
        bench = make(gateway_url, breaker_max_trips_per_hour=2)
        labels = [TRIP_LABELS | {"channel_id": str(n), "target": str(n)} for n in numbers]
        for _ in range(2):
            assert bench.post(*map(raw_alert, labels)).status_code == 200
        assert bench.notices() == ["Tripped", "Tripped", "Refused"]
        assert bench.post(raw_alert(labels[5] | {"rule": "other"})).status_code == 200
        assert bench.notices()[3:] == ["Refused"]


@SQLITE
@pytest.mark.parametrize("kind", ["error_rate", "latency", "request_spike", "channel_down", "new"])
@pytest.mark.parametrize(
    ("evaluated_at", "detail"),
    [
        (str(NOW - 601), "601 s > 600 s"),
        (str(NOW + 700), "-700 s > 600 s"),
        ("", "evaluated_at ?"),
        ("NaN", "evaluated_at ?"),
        (str(NOW - 600), None),
    ],
)
def test_an_old_alert_about_health_is_refused(
    gateway: Database,
    gateway_url: str,
    make: Make,
    kind: str,
    evaluated_at: str,
    detail: str | None,
) -> None:
    bench = make(gateway_url)
    alert = raw_alert(HEALTH | {"type": kind})
    alert["annotations"]["evaluated_at"] = evaluated_at
    assert bench.post(alert).status_code == 200
    if detail is None:
        assert tables(gateway, 7)[::2] == (2, OFF)
        return
    refused(bench, "stale", detail)
    assert tables(gateway, 7) == (1, None, ON)
    alert["annotations"]["evaluated_at"] = str(NOW)  # Prometheus looks again
    assert bench.post(alert).status_code == 200
    assert tables(gateway, 7)[::2] == (2, OFF)


@SQLITE
@pytest.mark.parametrize("kind", ["token_usage", "cost"])
def test_money_that_was_spent_does_not_age(
    gateway: Database, gateway_url: str, make: Make, kind: str
) -> None:
    bench = make(gateway_url)
    alert = raw_alert(TRIP_LABELS | {"type": kind})
    alert["annotations"]["evaluated_at"] = str(NOW - 10**6)
    assert bench.post(alert).status_code == 200
    assert tables(gateway, 7)[::2] == (2, OFF)


def test_a_health_rule_leaves_the_last_channel(
    gateway: Database, gateway_url: str, make: Make
) -> None:
    with gateway.begin() as connection:
        connection.exec_driver_sql(
            f"DELETE FROM abilities WHERE channel_id = 8 AND model = '{MODELS[0]}'"
        )
    bench = make(gateway_url)
    assert bench.post(raw_alert(HEALTH)).status_code == 200
    refused(bench, "last_channel", "default / gpt-4o + 1")
    assert tables(gateway, 7) == (1, None, ON)
    # A channel that is off in either table is no channel to fall back to.
    add_channel(gateway, 9)
    with gateway.begin() as connection:
        connection.exec_driver_sql("UPDATE channels SET status = 2 WHERE id = 9")
    bench.post(raw_alert(HEALTH))
    assert tables(gateway, 7)[0] == 1
    enable(gateway, 9)
    assert bench.post(raw_alert(HEALTH)).status_code == 200
    assert tables(gateway, 7)[::2] == (2, OFF)
    # 8 and 9 are left of claude-3, 9 alone of gpt-4o.
    assert bench.post(raw_alert(HEALTH | {"channel_id": "9", "target": "9"})).status_code == 200
    assert tables(gateway, 9)[0] == 1
    assert bench.post(raw_alert(HEALTH | {"channel_id": "8", "target": "8"})).status_code == 200
    assert tables(gateway, 8)[0] == 2


def test_a_spending_rule_takes_the_last_channel(
    gateway: Database, gateway_url: str, make: Make
) -> None:
    bench = make(gateway_url)
    for number in ("7", "8"):
        labels = TRIP_LABELS | {"channel_id": number, "target": number}
        assert bench.post(raw_alert(labels)).status_code == 200
    assert (tables(gateway, 7)[0], tables(gateway, 8)[0]) == (2, 2)


@SQLITE
def test_the_guards_hold_in_a_dry_run_too(gateway: Database, gateway_url: str, make: Make) -> None:
    bench = make(gateway_url, breaker_mode="dry-run", breaker_max_trips_per_hour=1)
    bench.post(raw_alert())
    bench.post(raw_alert(TRIP_LABELS | {"channel_id": "8", "target": "8"}))
    assert bench.trips() == ["would", "nothing"]
    assert bench.notices() == ["WouldTrip", "Refused"]
    assert (tables(gateway, 7)[0], tables(gateway, 8)[0]) == (1, 1)


@SQLITE
@pytest.mark.parametrize(
    ("column", "labels", "settings", "detail"),
    [
        ("channels.group", TRIP_LABELS, {"groups": "vip"}, "BREAKER_PROTECTED_GROUPS, group ?"),
        ("channels.name", TRIP_LABELS, {"channels": "main"}, "BREAKER_PROTECTED_CHANNELS, name ?"),
        ("tokens.name", KEY, {"api_keys": "main"}, "BREAKER_PROTECTED_API_KEYS, name ?"),
    ],
)
def test_what_a_grant_hides_is_waited_for(
    gateway: Database,
    gateway_url: str,
    make: Make,
    column: str,
    labels: dict[str, str],
    settings: dict[str, str],
    detail: str,
) -> None:
    table, _, name = column.partition(".")
    run(gateway, f'ALTER TABLE {table} RENAME COLUMN "{name}" TO hidden')
    protected = {f"breaker_protected_{kind}": names for kind, names in settings.items()}
    bench = make(gateway_url, **protected)
    bench.breaker.health.check()
    assert f"column {column} is missing or not granted" in bench.client.get("/-/ready").text
    bench.post(raw_alert(labels))
    refused(bench, "protected", detail)


@SQLITE
def test_a_key_whose_user_a_grant_hides_may_be_of_any_group(
    gateway: Database, gateway_url: str, make: Make
) -> None:
    add_key(gateway, 4, group="")
    run(gateway, "ALTER TABLE tokens RENAME COLUMN user_id TO hidden")
    bench = make(gateway_url, breaker_protected_groups="vip")
    bench.post(raw_alert(KEY | {"target": "4", "api_key_id": "4"}))
    refused(bench, "protected", "BREAKER_PROTECTED_GROUPS, group ?")
    assert json.loads(json.dumps(tables(gateway, 7))) == [1, None, ON]
