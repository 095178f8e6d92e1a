"""Two breakers on one gateway, and two rules on one target: one trip, and a person wins."""

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from breaker.cli import main
from breaker.decision import FORGOTTEN
from newapi.database import Database
from newapi.schema import Flavour, Schema
from newapi.switch import Outcome
from newapi.switch_channel import ChannelSwitch
from newapi.switch_key import ApiKeySwitch
from tests.breaker import NOW, OFF, ON, SQLITE, Bench, Make, benches
from tests.gateway import run
from tests.gateway_channels import add_channel, add_key, enable, make_gateway, tables
from tests.test_breaker_hold import note
from tests.webhooks import HEALTH, KEY, TRIP_LABELS, raw_alert

make = pytest.fixture(benches)

KINDS = {
    "channel": (Flavour.NEW_API, TRIP_LABELS),
    "One API": (Flavour.ONE_API, TRIP_LABELS),
    "API key": (Flavour.NEW_API, KEY),
}


class Pair:
    """A gateway of some kind with two breakers, and what both are asked to disable."""

    def __init__(self, dsn: str, make: Make, kind: str) -> None:
        self.dsn = dsn
        self.kind = kind
        flavour, self.labels = KINDS[kind]
        self.database = make_gateway(dsn, flavour)
        add_channel(self.database, 7)
        add_channel(self.database, 8)
        add_key(self.database, 3)
        self.benches = (make(dsn), make(dsn, "other"))

    def deliver(self, **labels: str) -> None:
        for bench in self.benches:
            assert bench.post(raw_alert(self.labels | labels)).status_code == 200

    def hold(self) -> None:
        for bench in self.benches:
            bench.clock.now += 10
            bench.breaker.hold()

    def off(self) -> bool:
        if self.kind == "API key":
            with self.database.connect() as connection:
                status = "SELECT status FROM tokens WHERE id = 3"
                return connection.exec_driver_sql(status).scalar() == 2
        return tables(self.database, 7)[::2] == (2, OFF)

    def enable(self) -> None:
        """As a person does in the gateway."""
        if self.kind == "API key":
            run(self.database, "UPDATE tokens SET status = 1 WHERE id = 3")
        else:
            enable(self.database, 7)

    def release(self, bench: Bench) -> None:
        """As a person does by command."""
        state = str(bench.breaker.store.path.parent)
        environment = {"BREAKER_STATE": state, "BREAKER_SQL_DSN": self.dsn}
        assert CliRunner().invoke(main, ["release", "--all"], env=environment).exit_code == 0


@pytest.fixture
def pair_of(gateway_url: str, make: Make) -> Iterator[Callable[[str], Pair]]:
    """Make a pair of a kind."""
    made: list[Pair] = []

    def pair(kind: str) -> Pair:
        made.append(Pair(gateway_url, make, kind))
        return made[-1]

    yield pair
    for one in made:
        one.database.close()


@pytest.fixture(params=list(KINDS))
def pair(pair_of: Callable[[str], Pair], request: pytest.FixtureRequest) -> Pair:
    return pair_of(request.param)


def test_two_breakers_are_one_trip(pair: Pair) -> None:
    one, other = pair.benches
    for _ in range(3):
        pair.deliver()
        pair.hold()
    assert pair.off()
    assert (one.trips(), other.trips()) == (["held"], ["covered"])
    # Where no reason is kept, the second one cannot know whose it is.
    assert other.notices() == ([] if pair.kind == "channel" else ["Refused"])
    assert one.notices() == ["Tripped"]


@pytest.mark.parametrize("way", ["gateway", "command"])
def test_of_two_breakers_neither_overrules_a_person(pair: Pair, way: str) -> None:
    one, other = pair.benches
    pair.deliver()
    pair.hold()
    pair.enable() if way == "gateway" else pair.release(one)
    for _ in range(3):
        pair.deliver()
        pair.hold()
        assert not pair.off()
    assert (one.trips(), other.trips()) == (["released"], ["released"])
    assert one.notices() == ["Tripped", "Released"]
    # "Somebody enabled it" is said by the one that does not know whether another one did.
    assert other.notices() == ([] if pair.kind == "channel" else ["Refused"])
    # The incident ends, and the next one is both's again.
    for bench in pair.benches:
        bench.post(raw_alert(pair.labels, status="resolved"))
        bench.clock.now += 121
    pair.deliver()
    assert pair.off()


def test_two_breakers_at_once_are_one_trip(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    together(monkeypatch)
    at_once(*(lambda b=bench: b.post(raw_alert(pair.labels)) for bench in pair.benches))
    for _ in range(3):
        pair.deliver()
        pair.hold()
    assert pair.off()
    first, second = sorted(pair.benches, key=lambda bench: bench.trips(), reverse=True)
    assert (first.trips(), second.trips()) == (["held"], ["covered"])
    assert first.notices() == ["Tripped"]


def test_another_breakers_timer_is_no_person(pair_of: Callable[[str], Pair]) -> None:
    pair = pair_of("channel")
    one, other = pair.benches
    one.post(raw_alert(TRIP_LABELS | {"release_after": "60"}))
    other.post(raw_alert())
    one.clock.now += 60
    one.breaker.hold()
    assert not pair.off()
    other.post(raw_alert())
    assert (pair.off(), one.trips(), other.trips()) == (True, ["released"], ["held"])


def test_two_health_rules_at_once_leave_one_channel(
    pair_of: Callable[[str], Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = pair_of("channel")
    together(monkeypatch)
    health = [HEALTH | {"channel_id": number, "target": number} for number in ("7", "8")]
    at_once(
        *(
            lambda b=bench, labels=labels: b.post(raw_alert(labels))
            for bench, labels in zip(pair.benches, health, strict=True)
        )
    )
    on = [number for number in (7, 8) if tables(pair.database, number)[::2] == (1, ON)]
    assert on
    for number, bench in zip((7, 8), pair.benches, strict=True):
        if number in on:
            assert (bench.trips(), bench.notices()) == (["nothing"], ["Refused"])
            assert bench.results() == [("refused", "last_channel", 1)]
            (row,) = bench.breaker.record.notifications(9)
            assert row.detail == "default / claude-3 + 3"
            reason = json.loads(tables(pair.database, number).other_info or "")["status_reason"]
            assert reason.endswith("by last_channel")
        else:
            assert (bench.trips(), bench.notices()) == (["held"], ["Tripped"])


@SQLITE
def test_a_channel_that_becomes_the_last_one_as_it_is_set_again(
    pair_of: Callable[[str], Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = pair_of("channel")
    one, _ = pair.benches
    one.post(raw_alert(HEALTH))
    real = ChannelSwitch.set_again

    def last(*arguments: Any) -> Outcome:
        outcome = real(*arguments)
        run(pair.database, "UPDATE abilities SET enabled = 0 WHERE channel_id = 8")
        return outcome

    monkeypatch.setattr(ChannelSwitch, "set_again", last)
    note(pair.database, 1, "", NOW + 30)
    one.breaker.hold()
    assert tables(pair.database, 7)[::2] == (1, ON)
    assert (one.trips(), one.notices()) == (["released"], ["Tripped", "Released"])
    assert "nothing else serves a group and model any more" in one.summaries()[-1]


# Two rules of one breaker.


@pytest.fixture
def gateway(gateway_url: str) -> Iterator[Database]:
    """A gateway with the channels 3 and 7 and the API keys 3 and 7."""
    database = make_gateway(gateway_url)
    for number in (3, 7):
        add_channel(database, number)
        add_key(database, number)
    yield database
    database.close()


DAILY = TRIP_LABELS | {"rule": "daily", "period": "24h"}
TIMED = TRIP_LABELS | {"release_after": "600"}


@SQLITE
@pytest.mark.parametrize("trips_per_hour", [1, 5])
def test_what_another_rule_asks_for_stays_off_when_the_time_of_the_first_has_passed(
    gateway: Database, gateway_url: str, make: Make, trips_per_hour: int
) -> None:
    bench = make(gateway_url, breaker_max_trips_per_hour=trips_per_hour)
    bench.post(raw_alert(TIMED))
    bench.post(raw_alert(DAILY))
    bench.breaker.hold()
    bench.clock.now += 600
    for _ in range(3):
        bench.breaker.hold()
        for labels in (DAILY, TIMED):
            bench.post(raw_alert(labels))
        assert tables(gateway, 7)[::2] == (2, OFF)
    assert bench.trips() == ["released", "held", "covered"]
    assert bench.notices() == ["Tripped", "Released"]
    assert "stays disabled for another rule that fires (daily)" in bench.summaries()[1]
    assert [e for e in bench.events() if e.startswith(("released", "held"))] == [
        "held", "released other_rule daily", "held after trip 00000001",
    ]  # fmt: skip
    # The mark is the first trip's still: what the gateway undoes is set again.
    note(gateway, 1, "", int(bench.clock.now) + 1)
    bench.breaker.hold()
    assert tables(gateway, 7)[::2] == (2, OFF)
    enable(gateway, 7)
    bench.breaker.hold()
    assert (tables(gateway, 7)[::2], bench.trips()) == ((1, ON), ["released"] * 3)


@SQLITE
def test_a_rule_that_no_longer_fires_takes_nothing_over(
    gateway: Database, gateway_url: str, make: Make
) -> None:
    bench = make(gateway_url)
    bench.post(raw_alert(TIMED))
    bench.post(raw_alert(DAILY))
    bench.post(raw_alert(DAILY, status="resolved"))
    bench.clock.now += 600
    bench.breaker.hold()
    assert tables(gateway, 7)[::2] == (1, ON)
    bench.post(raw_alert(TRIP_LABELS | {"rule": "lost", "release_after": "60"}))
    bench.post(raw_alert(DAILY))
    bench.clock.now += FORGOTTEN
    bench.breaker.hold()
    assert tables(gateway, 7)[::2] == (1, ON)


@SQLITE
def test_a_rule_that_fires_only_later_was_not_overruled(
    gateway: Database, gateway_url: str, make: Make
) -> None:
    bench = make(gateway_url)
    bench.post(raw_alert())
    enable(gateway, 7)
    bench.breaker.hold()
    bench.post(raw_alert())
    assert tables(gateway, 7)[::2] == (1, ON)
    bench.clock.now += 60
    bench.post(raw_alert(DAILY))
    assert (tables(gateway, 7)[::2], bench.trips()) == ((2, OFF), ["released", "held"])


@SQLITE
def test_a_rule_that_asked_long_ago_was_not_overruled(
    gateway: Database, gateway_url: str, make: Make
) -> None:
    daily = DAILY | {"override_for": "86400"}
    bench = make(gateway_url)
    bench.post(raw_alert(TIMED))
    bench.post(raw_alert(daily))
    bench.post(raw_alert(daily, status="resolved"))
    bench.post(raw_alert(TIMED, status="resolved"))
    bench.clock.now += 600
    bench.breaker.hold()
    bench.clock.now += 10 * 86400
    bench.post(raw_alert(TIMED))
    enable(gateway, 7)
    bench.breaker.hold()
    assert bench.trips() == ["released", "covered", "released"]
    bench.clock.now += 3600
    bench.post(raw_alert(daily))
    assert (tables(gateway, 7)[::2], bench.trips()[3:]) == ((2, OFF), ["held"])


@SQLITE
def test_a_rule_about_health_does_not_take_over_the_last_channel(
    gateway: Database, gateway_url: str, make: Make
) -> None:
    run(gateway, "UPDATE abilities SET enabled = 0 WHERE channel_id = 3")
    bench = make(gateway_url)
    bench.post(raw_alert(TIMED))
    bench.post(raw_alert(HEALTH | {"rule": "errors"}))
    assert bench.trips() == ["held", "covered"]
    bench.clock.now += 600
    bench.breaker.hold()
    assert tables(gateway, 7)[::2] == (1, ON)
    assert bench.trips()[0] == "released"
    bench.post(raw_alert(HEALTH | {"rule": "errors"}))
    assert tables(gateway, 7)[::2] == (1, ON)


@pytest.mark.parametrize("state", ["held", "overridden", "would"])
def test_a_rule_that_is_edited_to_another_kind_is_another_incident(
    gateway: Database, gateway_url: str, make: Make, state: str
) -> None:
    bench = make(gateway_url)
    mode = bench.breaker.store.path.parent / "mode"
    mode.write_text("dry-run" if state == "would" else "enforce")
    bench.post(raw_alert())
    if state == "overridden":
        enable(gateway, 7)
        bench.breaker.hold()
    bench.clock.now += 60
    key = KEY | {"target": "7", "api_key_id": "7"}
    for _ in range(3):
        bench.post(raw_alert(key))
    bench.post(raw_alert(status="resolved"))  # the old one ends: that of the key goes on
    trips = bench.breaker.store.read("SELECT ended_at IS NULL AS goes_on FROM trips")
    assert [row["goes_on"] for row in trips] == [0, 1]
    assert bench.trips()[1] == ("would" if state == "would" else "held")
    assert bench.held().count("api_key 7") == (state != "would")


def together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the next two breakers write at the same moment."""
    start, calls = threading.Barrier(2), itertools.count()
    for switch in (ChannelSwitch, ApiKeySwitch):
        real = switch.disable

        def disable(
            self: Any,
            database: Database,
            schema: Schema,
            number: int,
            reason: str,
            now: int,
            real: Any = real,
        ) -> Outcome:
            if next(calls) < 2:
                start.wait(20)
            outcome: Outcome = real(self, database, schema, number, reason, now)
            return outcome

        monkeypatch.setattr(switch, "disable", disable)


def at_once(*steps: Any) -> None:
    """Run each step in a thread of its own."""
    threads = [threading.Thread(target=step) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
