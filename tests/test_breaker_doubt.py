"""What is not known for sure: whether a write was done, who enabled something, whose row it is."""

import json
from collections.abc import Callable, Iterator

import pytest

from breaker.decision import IN_DOUBT
from breaker.record import Record
from breaker.store import RecordError
from breaker.trip import ON_ITS_WAY
from newapi.database import Database
from newapi.schema import Flavour
from newapi.switch import NotVerifiedError
from newapi.switch_channel import ChannelSwitch
from newapi.switch_key import ApiKeySwitch
from tests.breaker import NOW, OFF, ON, SQLITE, Bench, Make, benches
from tests.gateway import run
from tests.gateway_channels import (
    add_channel,
    add_key,
    enable,
    gateway_with,
    key_status,
    make_gateway,
    tables,
)
from tests.test_breaker_hold import manual, note, old_info
from tests.webhooks import KEY, TRIP_LABELS, raw_alert

make = pytest.fixture(benches)
TIMED = {"release_after": "600"}


@pytest.fixture
def gateway(gateway_url: str) -> Iterator[Database]:
    """A gateway with the channel 7 and the API key 3."""
    with gateway_with(gateway_url, channels=(7,), keys=(3,)) as database:
        yield database


@pytest.fixture
def one_api(gateway_url: str) -> Iterator[Database]:
    """The same on One API, which keeps no reason."""
    with gateway_with(gateway_url, (7,), (3,), Flavour.ONE_API) as database:
        yield database


def lose_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the connection lost just as a write is committed, which it never is."""

    def lost(*_: object) -> None:
        raise NotVerifiedError("the write may have been done: connection lost")

    for switch in (ChannelSwitch, ApiKeySwitch):
        monkeypatch.setattr(switch, "disable", lost)


def lose_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the disk full just after the write."""

    def full(*_: object, **__: object) -> None:
        raise RecordError("disk full")

    monkeypatch.setattr(Record, "add", full)


def test_a_write_that_never_came_is_not_claimed_later(
    one_api: Database, gateway_url: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make(gateway_url)
    with monkeypatch.context() as patch:
        lose_writes(patch)
        for labels in (KEY, TRIP_LABELS):
            assert bench.post(raw_alert(labels | TIMED)).status_code == 503
            bench.post(raw_alert(labels | TIMED, status="resolved"))
    bench.breaker.hold()
    assert bench.trips() == ["writing", "writing"]  # it may come still
    bench.clock.now += ON_ITS_WAY
    bench.breaker.hold()
    assert bench.trips() == ["pending", "pending"]
    # A person disables both, for reasons of theirs.
    off = "false" if one_api.dialect == "postgresql" else "0"
    run(
        one_api,
        "UPDATE tokens SET status = 2 WHERE id = 3",
        "UPDATE channels SET status = 2 WHERE id = 7",
        f"UPDATE abilities SET enabled = {off} WHERE channel_id = 7",
    )
    for _ in range(3):
        bench.clock.now += 601
        bench.breaker.hold()
    assert (key_status(one_api, 3), tables(one_api, 7)[::2]) == (2, (2, OFF))
    assert (bench.held(), bench.trips()) == ([], ["pending", "pending"])
    assert bench.notices() == ["Failed", "Failed"]


@SQLITE
@pytest.mark.parametrize(
    ("status", "later", "held"), [(2, 0, True), (2, IN_DOUBT, False), (4, 0, False)]
)
def test_what_is_found_disabled_is_ours_if_it_can_only_be_ours(
    gateway: Database,
    gateway_url: str,
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    later: int,
    held: bool,
) -> None:
    bench = make(gateway_url)
    with monkeypatch.context() as patch:
        lose_writes(patch)
        bench.post(raw_alert(KEY | TIMED))
    run(gateway, f"UPDATE tokens SET status = {status} WHERE id = 3")
    bench.clock.now += later  # the breaker was away
    bench.breaker.hold()
    assert bench.held() == (["api_key 3"] if held else [])
    bench.post(raw_alert(KEY | TIMED))
    assert bench.notices() == ["Failed", "Tripped" if held else "Refused"]
    bench.clock.now += 601
    bench.breaker.hold()
    assert key_status(gateway, 3) == (1 if held else status)


@pytest.mark.parametrize("enabling", [manual, lambda database: enable(database, 7)])
def test_a_person_wins_over_a_trip_whose_record_failed(
    gateway: Database,
    gateway_url: str,
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    enabling: Callable[[Database], None],
) -> None:
    bench = make(gateway_url)
    with monkeypatch.context() as patch:
        lose_records(patch)
        assert bench.post(raw_alert()).status_code == 503
    assert (tables(gateway, 7)[::2], bench.trips()) == ((2, OFF), ["writing"])
    enabling(gateway)
    for _ in range(3):
        bench.clock.now += 60
        bench.breaker.hold()
        assert bench.post(raw_alert()).status_code == 200
    assert (tables(gateway, 7)[::2], bench.trips()) == ((1, ON), ["released"])
    assert bench.notices() == ["Refused"]
    assert "somebody enabled it in the gateway" in bench.summaries()[0]


@SQLITE
def test_what_is_undone_before_its_record_is_set_again(
    gateway: Database, gateway_url: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make(gateway_url)
    with monkeypatch.context() as patch:
        lose_records(patch)
        bench.post(raw_alert())
    bench.post(raw_alert(status="resolved"))
    run(gateway, "UPDATE abilities SET enabled = 1 WHERE channel_id = 7")
    bench.breaker.hold()
    assert (tables(gateway, 7)[::2], bench.held()) == ((2, OFF), ["channel 7"])
    # The gateway's test, in the same moment.
    bench = make(gateway_url, "other")
    add_channel(gateway, 8)
    labels = TRIP_LABELS | {"channel_id": "8", "target": "8"}
    with monkeypatch.context() as patch:
        lose_records(patch)
        bench.post(raw_alert(labels))
    info = json.dumps({"status_reason": "", "status_time": NOW + 5})
    enable(gateway, 8)
    run(gateway, f"UPDATE channels SET other_info = '{info}' WHERE id = 8")
    bench.post(raw_alert(labels))
    assert (tables(gateway, 8)[::2], bench.held()) == ((2, OFF), ["channel 8"])


def stale_row(database: Database) -> None:
    """The gateway saves a whole row that it had loaded before the trip."""
    info = f'{{"status_reason": "status_code=401", "status_time": {NOW - 200}}}'
    run(database, f"UPDATE channels SET status = 1, other_info = '{info}' WHERE id = 7")


def stale_form(database: Database) -> None:
    """A form that was opened before the trip is saved with a change."""
    stale_row(database)
    run(database, "UPDATE channels SET priority = 5 WHERE id = 7")


def stale_row_without(database: Database) -> None:
    """The same of a row that had no reason yet."""
    run(database, "UPDATE channels SET status = 1, other_info = '' WHERE id = 7")


@pytest.mark.parametrize("undo", [stale_row, stale_form, stale_row_without])
def test_a_reason_that_stood_there_before_is_no_person(
    gateway_url: str, make: Make, undo: Callable[[Database], None]
) -> None:
    database = make_gateway(gateway_url)
    info = {"status_reason": "status_code=401", "status_time": NOW - 200}
    add_channel(database, 7, other_info=json.dumps(info))
    bench = make(gateway_url)
    bench.post(raw_alert())
    bench.breaker.hold()
    for _ in range(2):
        bench.clock.now += 60
        undo(database)
        bench.breaker.hold()
        assert (tables(database, 7)[::2], bench.held()) == ((2, OFF), ["channel 7"])
    assert bench.notices() == ["Tripped", "SetAgain"]  # the second one within the hour
    assert "an edit form that was opened before had enabled it" in bench.summaries()[1]
    database.close()


@SQLITE
@pytest.mark.parametrize("behind", [-3600, -360, 0, 360, 3600])
def test_the_gateways_clock_may_be_wrong(gateway_url: str, make: Make, behind: int) -> None:
    database = make_gateway(gateway_url)
    info = {"status_reason": "manual operation", "status_time": NOW - behind - 50}
    add_channel(database, 7, other_info=json.dumps(info))
    bench = make(gateway_url)
    bench.post(raw_alert())
    bench.clock.now += 60
    note(database, 1, "", NOW + 60 - behind)  # a test
    bench.breaker.hold()
    assert (tables(database, 7)[::2], bench.held()) == ((2, OFF), ["channel 7"])
    bench.clock.now += 60
    note(database, 1, "manual operation", NOW + 120 - behind)
    bench.breaker.hold()
    assert (tables(database, 7)[::2], bench.held()) == ((1, ON), [])
    # The next incident: what we wrote ourselves is by another clock.
    bench.post(raw_alert(status="resolved"))
    bench.clock.now += 120
    bench.post(raw_alert(TRIP_LABELS | {"release_after": "60"}))
    bench.clock.now += 60
    bench.breaker.hold()
    bench.post(raw_alert())
    assert tables(database, 7)[::2] == (2, OFF)
    bench.clock.now += 60
    note(database, 1, "manual operation", int(bench.clock.now) - behind)
    bench.breaker.hold()
    assert (tables(database, 7)[::2], bench.trips()) == ((1, ON), ["released"] * 3)
    database.close()


@SQLITE
def test_an_id_that_is_given_again_is_another_one(gateway_url: str, make: Make) -> None:
    database = make_gateway(gateway_url)
    add_channel(database, 7)
    add_key(database, 3, created_time=NOW - 100)
    run(database, f"UPDATE channels SET created_time = {NOW - 100}")
    bench = make(gateway_url)
    for labels in (KEY, TRIP_LABELS):
        bench.post(raw_alert(labels | TIMED))
    run(
        database,
        "DELETE FROM tokens WHERE id = 3",
        "DELETE FROM channels WHERE id = 7",
        "DELETE FROM abilities WHERE channel_id = 7",
    )
    add_channel(database, 7, status=2)
    add_key(database, 3, created_time=NOW + 10)
    run(
        database,
        f"UPDATE channels SET created_time = {NOW + 10}, priority = 9, other_info = '{{}}'",
    )
    bench.clock.now += 601
    bench.breaker.hold()
    assert (key_status(database, 3), tables(database, 7)[::2]) == (1, (2, OFF))
    assert (bench.trips(), bench.held()) == (["released"] * 2, [])
    assert all("it was deleted in the gateway" in text for text in bench.summaries()[2:])
    # The alert goes on: now it is about the new one.
    bench.post(raw_alert(KEY))
    assert key_status(database, 3) == 2
    database.close()


@SQLITE
def test_an_id_that_is_given_again_before_the_write_is_settled(
    gateway: Database, gateway_url: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(gateway, f"UPDATE tokens SET created_time = {NOW - 100}")
    bench = make(gateway_url)
    with monkeypatch.context() as patch:
        lose_writes(patch)
        bench.post(raw_alert(KEY | TIMED))
    run(gateway, "DELETE FROM tokens WHERE id = 3")
    add_key(gateway, 3, status=2, created_time=NOW + 10)
    bench.breaker.hold()
    assert (bench.trips(), bench.held()) == (["nothing"], [])


@pytest.mark.parametrize("mode", ["off", "dry-run"])
def test_what_a_person_does_is_seen_in_every_mode(
    one_api: Database, gateway_url: str, make: Make, mode: str
) -> None:
    bench = make(gateway_url)
    bench.post(raw_alert(TRIP_LABELS | TIMED))
    switch(bench, mode)
    enable(one_api, 7)
    bench.breaker.hold()
    assert (bench.trips(), bench.notices()) == (["released"], ["Tripped", "Released"])
    off = "false" if one_api.dialect == "postgresql" else "0"
    run(
        one_api,
        "UPDATE channels SET status = 2 WHERE id = 7",
        f"UPDATE abilities SET enabled = {off} WHERE channel_id = 7",
    )
    switch(bench, "enforce")
    bench.clock.now += 601
    bench.breaker.hold()
    assert tables(one_api, 7)[::2] == (2, OFF)


@SQLITE
def test_what_was_left_in_service_is_not_ours_when_it_is_off_next(
    one_api: Database, gateway_url: str, make: Make
) -> None:
    bench = make(gateway_url)
    bench.post(raw_alert(TRIP_LABELS | TIMED))
    bench.breaker.hold()
    switch(bench, "dry-run")
    enable(one_api, 7)
    run(one_api, "UPDATE channels SET priority = 5 WHERE id = 7")  # an old form
    bench.breaker.hold()
    assert bench.trips() == ["held"]  # it would be set again
    run(
        one_api,
        "UPDATE channels SET status = 2 WHERE id = 7",
        "UPDATE abilities SET enabled = 0 WHERE channel_id = 7",
    )
    switch(bench, "enforce")
    bench.clock.now += 601
    bench.breaker.hold()
    assert (tables(one_api, 7)[::2], bench.trips()) == ((2, OFF), ["released"])
    assert "somebody else disabled it meanwhile" in bench.summaries()[-1]


@SQLITE
def test_one_api_enables_abilities_first(one_api: Database, gateway_url: str, make: Make) -> None:
    bench = make(gateway_url)
    bench.post(raw_alert())
    bench.breaker.hold()
    run(one_api, "UPDATE abilities SET enabled = 1 WHERE channel_id = 7")
    bench.breaker.hold()
    run(one_api, "UPDATE channels SET status = 1 WHERE id = 7")
    bench.breaker.hold()
    assert (tables(one_api, 7)[::2], bench.trips()) == ((1, ON), ["released"])


@SQLITE
def test_what_cannot_be_held_is_recorded_once_an_hour(
    gateway: Database, gateway_url: str, make: Make
) -> None:
    bench = make(gateway_url)
    bench.post(raw_alert())
    run(gateway, "UPDATE abilities SET enabled = 1 WHERE channel_id = 7")
    with gateway.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER undo AFTER UPDATE ON abilities WHEN new.enabled = 0"
            " BEGIN UPDATE abilities SET enabled = 1 WHERE rowid = new.rowid; END"
        )
    for _ in range(100):
        bench.breaker.hold()
        bench.clock.now += 40
    failed = [event for event in bench.events() if event.startswith("failed")]
    assert failed == ["failed unverified"] * 2
    assert bench.decisions()["failed", "unverified"] == 2
    # Another trouble is told at once, and so is this one after it was all right again.
    run(gateway, "DROP TRIGGER undo")
    bench.breaker.hold()
    assert tables(gateway, 7)[::2] == (2, OFF)
    old_info(gateway)
    bench.breaker.hold()
    assert bench.trips() == ["held"]


def switch(bench: Bench, mode: str) -> None:
    """Set the kill switch."""
    (bench.breaker.store.path.parent / "mode").write_text(mode)
