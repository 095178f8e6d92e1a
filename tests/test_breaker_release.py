"""Letting go: by command, and by time with back-off."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from breaker.cli import main
from breaker.decision import Release, Target, Trip, TripState
from breaker.release import LONGEST, doublings_after, hold_for
from newapi.database import Database
from newapi.schema import Flavour
from newapi.switch import Kind
from tests.breaker import OFF, ON, SQLITE, Bench, Make, benches
from tests.gateway import run
from tests.gateway_channels import add_channel, add_key, key_status, make_gateway, tables
from tests.webhooks import KEY, TRIP_LABELS, raw_alert

TIMED = TRIP_LABELS | {"release_after": "600"}

make = pytest.fixture(benches)


@pytest.fixture
def gateway(gateway_url: str) -> Iterator[Database]:
    """A gateway with the channels 7 and 8 and the API key 3."""
    database = make_gateway(gateway_url)
    add_channel(database, 7, other_info='{"kept": 1}')
    add_channel(database, 8)
    add_key(database, 3)
    yield database
    database.close()


def command(bench: Bench, dsn: str, *arguments: str) -> Result:
    """Run newapi-breaker release beside the breaker of the bench."""
    environment = {"BREAKER_STATE": str(bench.breaker.store.path.parent), "BREAKER_SQL_DSN": dsn}
    return CliRunner().invoke(main, ["release", *arguments], env=environment)


@pytest.mark.parametrize("way", [("--channel", "7"), ("--trip", "00000001"), ("--all",)])
def test_a_command_releases(
    gateway: Database, gateway_url: str, make: Make, way: tuple[str, ...]
) -> None:
    bench = make(gateway_url)
    bench.post(raw_alert())
    result = command(bench, gateway_url, *way)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "channel 7 (channel-7): enabled; rule 'budget' leaves it alone until its alert has ended\n"
    )
    status, info, enabled = tables(gateway, 7)
    assert (status, enabled) == (1, ON)
    assert json.loads(info or "")["status_reason"] == (
        "newapi-breaker released 00000001: by command"
    )
    assert json.loads(info or "")["kept"] == 1
    bench.breaker.hold()
    bench.post(raw_alert())
    assert tables(gateway, 7)[::2] == (1, ON)
    assert (bench.trips(), bench.held()) == (["released"], [])
    assert bench.results() == [("refused", "overridden", 1), ("tripped", "", 1)]
    assert bench.notices() == ["Tripped", "Released"]
    assert "by the command newapi-breaker release" in bench.summaries()[1]
    assert bench.events() == [
        "pending rule budget", "writing", "held", "releasing by command",
        "released command status 1",
    ]  # fmt: skip


def test_a_command_releases_an_api_key(gateway: Database, gateway_url: str, make: Make) -> None:
    bench = make(gateway_url)
    bench.post(raw_alert(KEY | {"override_for": "300"}))
    result = command(bench, gateway_url, "--api-key", "3")
    assert result.stdout == (
        "api key 3 (key-3): enabled; rule 'budget' leaves it alone for 300 s\n"
    )
    assert (key_status(gateway, 3), bench.trips()) == (1, ["released"])


@SQLITE
def test_a_command_never_enables_what_the_breaker_did_not_disable(
    gateway: Database, gateway_url: str, make: Make
) -> None:
    add_channel(gateway, 9, status=2)
    bench = make(gateway_url)
    bench.post(raw_alert())
    bench.post(raw_alert(TRIP_LABELS | {"channel_id": "9", "target": "9"}))
    for arguments in (("--channel", "9"), ("--channel", "99"), ("--api-key", "7")):
        result = command(bench, gateway_url, *arguments)
        assert result.exit_code == 2
        assert result.stderr == "that is not held; held: channel 7 (trip 00000001)\n"
    assert tables(gateway, 9)[::2] == (2, OFF)
    # Somebody else took it over, and the breaker has not looked yet.
    info = json.dumps({"status_reason": "manual operation", "status_time": 1_800_000_030})
    run(gateway, f"UPDATE channels SET other_info = '{info}' WHERE id = 7")
    result = command(bench, gateway_url, "--channel", "7")
    assert "somebody else disabled it meanwhile: it stays off" in result.stdout
    assert tables(gateway, 7)[::2] == (2, OFF)
    assert bench.trips() == ["released", "nothing"]


@SQLITE
def test_what_the_gateway_disabled_too_is_enabled_by_command(
    gateway: Database, gateway_url: str, make: Make
) -> None:
    bench = make(gateway_url)
    bench.post(raw_alert())
    info = json.dumps({"status_reason": "status_code=401", "status_time": 1_800_000_030})
    run(gateway, f"UPDATE channels SET status = 3, other_info = '{info}' WHERE id = 7")
    assert command(bench, gateway_url, "--channel", "7").exit_code == 0
    assert tables(gateway, 7)[::2] == (1, ON)


@SQLITE
def test_a_command_that_cannot_be_done_says_so(
    gateway: Database, gateway_url: str, make: Make, tmp_path: Path
) -> None:
    bench = make(gateway_url)
    assert command(bench, gateway_url).stderr == (
        "expected --channel, --api-key, --trip or --all\n"
    )
    assert command(bench, gateway_url, "--all").stderr == "that is not held; held: nothing\n"
    bench.post(raw_alert())
    file = Path(gateway_url.removeprefix("sqlite:///"))
    file.rename(file.with_suffix(".away"))
    result = command(bench, gateway_url, "--all")
    assert result.exit_code == 1
    assert result.stderr.startswith(
        "channel 7 (channel-7): not enabled yet, the service will go on with it: SQLite "
    )
    file.with_suffix(".away").rename(file)
    assert bench.trips() == ["releasing"]
    bench.breaker.hold()
    assert (tables(gateway, 7)[::2], bench.trips()) == ((1, ON), ["released"])
    bench.post(raw_alert())
    assert tables(gateway, 7)[0] == 1
    environment = {"BREAKER_STATE": str(tmp_path / "nowhere")}
    result = CliRunner().invoke(main, ["release", "--all"], env=environment)
    assert (result.exit_code, result.stderr) == (
        2, f"BREAKER_STATE: {tmp_path}/nowhere/record.sqlite: there is no such file\n",
    )  # fmt: skip


@pytest.mark.parametrize("flavour", Flavour)
def test_time_releases_and_back_off_doubles(gateway_url: str, make: Make, flavour: Flavour) -> None:
    database = make_gateway(gateway_url, flavour)
    add_channel(database, 7)
    bench = make(gateway_url, breaker_max_trips_per_hour=100)
    held_for = []
    for _ in range(4):
        assert bench.post(raw_alert(TIMED)).status_code == 200
        assert tables(database, 7)[::2] == (2, OFF)
        began = bench.clock.now
        while bench.held():
            bench.clock.now += 300
            bench.breaker.hold()
            if bench.held():  # the alert fires all the time
                bench.post(raw_alert(TIMED))
        held_for.append(bench.clock.now - began)
        assert tables(database, 7)[2] == ON
    assert held_for == [600, 1200, 2400, 4800]
    assert bench.trips() == ["released"] * 4
    assert bench.notices() == ["Tripped", "Released"] * 4
    assert "the time for which the rule holds it has passed" in bench.summaries()[1]
    # It was quiet for longer than it had been held: the next one begins anew.
    bench.clock.now += 4801
    bench.post(raw_alert(TIMED))
    bench.clock.now += 600
    bench.breaker.hold()
    assert tables(database, 7)[0] == 1
    database.close()


@SQLITE
def test_without_release_after_it_is_held_for_ever(
    gateway: Database, gateway_url: str, make: Make
) -> None:
    bench = make(gateway_url)
    bench.post(raw_alert())
    bench.post(raw_alert(status="resolved"))
    for _ in range(10):
        bench.clock.now += 10**6
        bench.breaker.hold()
        bench.breaker.forget()
    assert (tables(gateway, 7)[0], bench.trips()) == (2, ["held"])
    # A rule that gets a release_after meanwhile has it at once.
    bench.post(raw_alert(TIMED))
    bench.breaker.hold()
    assert (tables(gateway, 7)[0], bench.trips()) == (1, ["released"])


def test_doubling_has_a_cap() -> None:
    assert [hold_for(600, n) for n in (0, 1, 2, 10, 10**9)] == [600, 1200, 2400, LONGEST, LONGEST]
    assert hold_for(10**6, 5) == 10**6


def test_only_a_release_by_timer_that_did_not_last_doubles() -> None:
    def last(by: Release, ago: int) -> Trip:
        return Trip(
            "t", TripState.RELEASED, Target(Kind.CHANNEL, 7), doublings=3,
            held_at=0, released_at=10_000, released_by=by, changed_at=10_000 + ago,
        )  # fmt: skip

    assert doublings_after(last(Release.TIMER, 0), 20_000) == 4
    assert doublings_after(last(Release.TIMER, 0), 20_001) == 0
    assert doublings_after(last(Release.PERSON, 0), 10_001) == 0
    assert doublings_after(None, 10_001) == 0
