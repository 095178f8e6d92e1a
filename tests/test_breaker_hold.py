"""What is held: each way in which it is undone, with the tables, the record and the notice."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from breaker.decision import SETTLED
from newapi.database import Database
from newapi.schema import Flavour
from tests.breaker import OFF, ON, SQLITE, Make, benches
from tests.gateway import run
from tests.gateway_channels import (
    add_channel,
    enable,
    gateway_with,
    key_status,
    tables,
)
from tests.webhooks import KEY, TRIP_LABELS, raw_alert

NOW = 1_800_000_000
MARK = "newapi-breaker 00000001: "


make = pytest.fixture(benches)


@pytest.fixture
def gateway(gateway_url: str) -> Iterator[Database]:
    """A gateway with the channels 7 and 8, which serve the same, and the API key 3."""
    with gateway_with(gateway_url, channels=(7, 8), keys=(3,)) as database:
        yield database


@pytest.fixture
def one_api(gateway_url: str) -> Iterator[Database]:
    """The same on One API, which keeps no reason."""
    with gateway_with(gateway_url, channels=(7,), flavour=Flavour.ONE_API) as database:
        yield database


def note(database: Database, status: int, reason: str, moment: int) -> None:
    """Write as the gateway's UpdateChannelStatus does, both tables."""
    info = json.dumps({"status_reason": reason, "status_time": moment})
    truth = {"postgresql": ("true", "false")}.get(database.dialect, ("1", "0"))[status != 1]
    run(
        database,
        f"UPDATE channels SET status = {status}, other_info = '{info}' WHERE id = 7",
        f"UPDATE abilities SET enabled = {truth} WHERE channel_id = 7",
    )


def manual(database: Database) -> None:
    """A person, New API since v1.0.0-rc.16."""
    note(database, 1, "manual operation", NOW + 30)


def enabled_by_test(database: Database) -> None:
    """A channel test that had loaded the row as 3."""
    note(database, 1, "", NOW + 30)


def auto_disabled(database: Database) -> None:
    """A request that failed late."""
    note(database, 3, "status_code=401", NOW + 30)


def old_form_of_a_fresh_channel(database: Database) -> None:
    """An edit form that was opened before the trip, New API until v1.0.0-rc.15.

    other_info was empty, which the form does not write then.
    """
    enable(database, 7)
    run(database, "UPDATE channels SET models = 'gpt-4o' WHERE id = 7")


def abilities_rebuilt(database: Database) -> None:
    """An edit that read status 1 just before the trip."""
    truth = "true" if database.dialect == "postgresql" else "1"
    run(database, f"UPDATE abilities SET enabled = {truth} WHERE channel_id = 7")


def old_info(database: Database) -> None:
    """An edit form of a newer version, which writes no status."""
    run(database, "UPDATE channels SET other_info = '{}' WHERE id = 7")


@pytest.mark.parametrize(
    ("undo", "reason", "told"),
    [
        (enabled_by_test, "gateway_test", "the gateway enabled it after a test"),
        (auto_disabled, "gateway_disabled", ""),
        (old_form_of_a_fresh_channel, "edit_form", "an edit form that was opened before"),
        (abilities_rebuilt, "abilities", ""),
        (old_info, "reason", ""),
    ],
)
def test_what_the_gateway_undoes_is_set_again(
    gateway: Database,
    gateway_url: str,
    make: Make,
    undo: Callable[[Database], None],
    reason: str,
    told: str,
) -> None:
    bench = make(gateway_url)
    bench.post(raw_alert())
    bench.breaker.hold()
    undo(gateway)
    bench.clock.now += 60
    for _ in range(3):
        bench.breaker.hold()
    status, info, enabled = tables(gateway, 7)
    assert (status, enabled) == (2, OFF)
    assert json.loads(info or "")["status_reason"].startswith(MARK + "rule budget: 120,000")
    assert (bench.trips(), bench.held()) == (["held"], ["channel 7"])
    assert bench.notices() == (["Tripped", "SetAgain"] if told else ["Tripped"])
    assert told in bench.summaries()[-1]
    assert [e for e in bench.events() if e.startswith("set_again")] == [f"set_again {reason}"]
    assert bench.decisions()["set_again", reason] == 1
    # The alert goes on: nothing more comes of it.
    assert bench.post(raw_alert()).status_code == 200
    assert bench.results() == [("tripped", "", 2)]
    assert tables(gateway, 8) == (1, None, ON)


@pytest.mark.parametrize("enabling", [enable, manual])
def test_a_person_wins(
    gateway: Database, gateway_url: str, make: Make, enabling: Callable[..., None]
) -> None:
    bench = make(gateway_url)
    bench.post(raw_alert())
    bench.breaker.hold()
    enabling(gateway, 7) if enabling is enable else enabling(gateway)
    for _ in range(3):
        bench.clock.now += 20
        bench.breaker.hold()
        assert bench.post(raw_alert()).status_code == 200
    assert tables(gateway, 7)[::2] == (1, ON)
    assert (bench.trips(), bench.held()) == (["released"], [])
    assert bench.notices() == ["Tripped", "Released"]
    assert "somebody enabled it in the gateway" in bench.summaries()[1]
    assert bench.results() == [("refused", "overridden", 3), ("tripped", "", 1)]


def test_a_person_wins_over_every_rule_that_fires(
    gateway: Database, gateway_url: str, make: Make
) -> None:
    bench = make(gateway_url)
    other = TRIP_LABELS | {"rule": "daily", "period": "24h"}
    for labels in (TRIP_LABELS, other, other):
        bench.post(raw_alert(labels))
    assert (bench.trips(), bench.notices()) == (["held", "covered"], ["Tripped"])
    enable(gateway, 7)
    bench.post(raw_alert(other))  # before the breaker has seen what the person did
    assert tables(gateway, 7)[0] == 1
    bench.breaker.hold()
    for labels in (TRIP_LABELS, other):
        bench.post(raw_alert(labels))
    assert tables(gateway, 7)[::2] == (1, ON)
    assert bench.trips() == ["released", "released"]


@SQLITE
def test_how_long_a_person_wins_is_the_rules_to_say(
    gateway: Database, gateway_url: str, make: Make
) -> None:
    bench = make(gateway_url)
    labels = TRIP_LABELS | {"override_for": "600"}
    bench.post(raw_alert(labels))
    enable(gateway, 7)
    bench.breaker.hold()
    bench.clock.now += 300  # it ends and fires again: the ten minutes go on
    bench.post(raw_alert(labels, status="resolved"))
    bench.clock.now += 299
    bench.post(raw_alert(labels))
    assert tables(gateway, 7)[0] == 1
    bench.clock.now += 1
    bench.post(raw_alert(labels))
    assert tables(gateway, 7)[::2] == (2, OFF)


@pytest.mark.parametrize("old_ends_first", [True, False])
def test_a_rule_that_is_edited_is_the_same_incident(
    gateway: Database, gateway_url: str, make: Make, *, old_ends_first: bool
) -> None:
    bench = make(gateway_url)
    edited = TRIP_LABELS | {"severity": "warning"}
    bench.post(raw_alert())
    enable(gateway, 7)
    bench.breaker.hold()
    bench.clock.now += 10
    deliveries = [raw_alert(status="resolved"), raw_alert(edited)]
    for alert in deliveries if old_ends_first else deliveries[::-1]:
        bench.post(alert)
        bench.clock.now += 10
    for _ in range(5):
        bench.clock.now += 60
        bench.post(raw_alert(edited))
    assert tables(gateway, 7)[::2] == (1, ON)
    assert bench.trips() == ["released"]
    bench.post(raw_alert(edited, status="resolved"))
    bench.clock.now += SETTLED
    bench.post(raw_alert(edited))
    assert (bench.trips(), tables(gateway, 7)[0]) == (["released", "held"], 2)


def test_what_is_deleted_is_let_go(gateway: Database, gateway_url: str, make: Make) -> None:
    bench = make(gateway_url)
    bench.post(raw_alert())
    run(
        gateway,
        "DELETE FROM channels WHERE id = 7",
        "DELETE FROM abilities WHERE channel_id = 7",
    )
    bench.breaker.hold()
    bench.post(raw_alert())
    assert (bench.trips(), bench.held()) == (["released", "nothing"], [])
    assert bench.notices() == ["Tripped", "Released", "Refused"]
    assert "it was deleted in the gateway" in bench.summaries()[1]
    # SQLite gives the id to the next channel, which is not ours.
    add_channel(gateway, 7, status=2)
    bench.breaker.hold()
    assert tables(gateway, 7)[0] == 2


def test_what_somebody_else_disabled_meanwhile_is_not_ours(
    gateway: Database, gateway_url: str, make: Make
) -> None:
    bench = make(gateway_url)
    labels = TRIP_LABELS | {"release_after": "60"}
    bench.post(raw_alert(labels))
    note(gateway, 2, "manual operation", NOW + 30)
    bench.breaker.hold()
    bench.clock.now += 10_000
    bench.breaker.hold()
    assert tables(gateway, 7)[::2] == (2, OFF)
    assert (bench.trips(), bench.held()) == (["released"], [])
    assert bench.notices() == ["Tripped", "Released"]
    assert "somebody else disabled it meanwhile" in bench.summaries()[1]


@pytest.mark.parametrize(("tests_enable", "again"), [(True, True), (False, False)])
def test_one_api_tells_its_tests_by_their_time(
    one_api: Database, gateway_url: str, make: Make, *, tests_enable: bool, again: bool
) -> None:
    value = "true" if tests_enable else "false"
    key = "`key`" if one_api.dialect == "mysql" else '"key"'
    run(
        one_api,
        f"INSERT INTO options ({key}, value) VALUES ('AutomaticEnableChannelEnabled', '{value}')",
        "UPDATE channels SET test_time = 1000 WHERE id = 7",
    )
    bench = make(gateway_url)
    bench.post(raw_alert())
    bench.breaker.hold()
    run(one_api, "UPDATE channels SET test_time = 2000 WHERE id = 7")
    enable(one_api, 7)
    bench.breaker.hold()
    assert tables(one_api, 7) == ((2, None, OFF) if again else (1, None, ON))
    assert bench.trips() == ["held" if again else "released"]
    if again:  # a person enables it without a test
        enable(one_api, 7)
        bench.breaker.hold()
        assert bench.trips() == ["released"]


def test_one_api_tells_an_edit_form_by_its_fields(
    one_api: Database, gateway_url: str, make: Make
) -> None:
    bench = make(gateway_url)
    bench.post(raw_alert())
    run(one_api, "UPDATE channels SET priority = 9 WHERE id = 7")  # while it is off
    bench.breaker.hold()
    enable(one_api, 7)
    run(one_api, "UPDATE channels SET priority = 3 WHERE id = 7")
    bench.breaker.hold()
    assert tables(one_api, 7) == (2, None, OFF)
    enable(one_api, 7)
    bench.breaker.hold()
    assert tables(one_api, 7) == (1, None, ON)


def test_an_api_key_is_disabled_and_held(gateway: Database, gateway_url: str, make: Make) -> None:
    bench = make(gateway_url)
    for _ in range(3):
        assert bench.post(raw_alert(KEY)).status_code == 200
    assert key_status(gateway, 3) == 2
    assert tables(gateway, 7) == (1, None, ON)
    assert (bench.trips(), bench.held()) == (["held"], ["api_key 3"])
    assert bench.notices() == ["Tripped"]
    assert bench.summaries()[0].startswith(
        "API key key-3 (#3) was disabled by rule budget: 120,000"
    )
    assert bench.metrics()["newapi_breaker_held"] == {
        frozenset({("kind", "api_key"), ("id", "3")}): 1
    }
    # Its owner saves a form that was opened before, then enables it on purpose.
    run(gateway, "UPDATE tokens SET status = 1, name = 'renamed' WHERE id = 3")
    bench.breaker.hold()
    assert key_status(gateway, 3) == 2
    run(gateway, "UPDATE tokens SET status = 1 WHERE id = 3")
    bench.breaker.hold()
    assert (key_status(gateway, 3), bench.trips()) == (1, ["released"])
    assert bench.notices() == ["Tripped", "SetAgain", "Released"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE tokens SET status = 2 WHERE id = 3", "already_disabled"),
        ("UPDATE tokens SET status = 4 WHERE id = 3", "already_disabled"),
        ("UPDATE tokens SET deleted_at = '2026-01-01' WHERE id = 3", "not_found"),
        ("DELETE FROM tokens WHERE id = 3", "not_found"),
    ],
)
def test_an_api_key_that_is_off_already_is_left(
    gateway: Database, gateway_url: str, make: Make, change: str, reason: str
) -> None:
    run(gateway, change)
    bench = make(gateway_url)
    bench.post(raw_alert(KEY))
    assert bench.results() == [("refused", reason, 1)]
    assert (bench.held(), bench.notices()) == ([], ["Refused"])


@pytest.mark.parametrize("mode", ["dry-run", "off"])
def test_the_kill_switch_stops_the_holding(
    gateway: Database, gateway_url: str, make: Make, mode: str
) -> None:
    bench = make(gateway_url)
    bench.post(raw_alert(TRIP_LABELS | {"release_after": "60"}))
    file = bench.breaker.store.path.parent / "mode"
    file.write_text(mode)
    enabled_by_test(gateway)
    bench.clock.now += 3600
    bench.breaker.hold()
    assert tables(gateway, 7)[0] == 1
    note(gateway, 2, MARK, NOW)
    bench.breaker.hold()
    assert (tables(gateway, 7)[0], bench.trips()) == (2, ["held"])
    file.write_text("enforce")
    bench.breaker.hold()
    assert (tables(gateway, 7)[0], bench.trips()) == (1, ["released"])


@SQLITE
def test_two_breakers_let_a_person_win(gateway: Database, gateway_url: str, make: Make) -> None:
    one, other = make(gateway_url), make(gateway_url, "other")
    for bench in (one, other):
        bench.post(raw_alert())
        bench.breaker.hold()
    enable(gateway, 7)
    for _ in range(3):
        for bench in (other, one):
            bench.post(raw_alert())
            bench.breaker.hold()
    assert tables(gateway, 7)[::2] == (1, ON)
    assert (one.trips(), other.trips()) == (["released"], ["released"])
    assert (one.notices(), other.notices()) == (["Tripped", "Released"], [])


@SQLITE
def test_a_held_series_tells_channel_down_what_to_leave_out(
    gateway: Database, gateway_url: str, make: Make
) -> None:
    def held(bench: Any) -> list[str]:
        series = bench.metrics().get("newapi_breaker_held", {})
        return [dict(labels)["id"] for labels in series]

    bench = make(gateway_url)
    assert held(bench) == []
    bench.post(raw_alert())
    assert held(bench) == ["7"]
    enable(gateway, 7)
    bench.breaker.hold()
    assert held(bench) == []
