"""From a webhook to the final state of the gateway's tables, the record, and the answer."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import breaker.app
from breaker.app import BODY_LIMIT
from breaker.decision import SETTLED, TripState, written_reason
from breaker.mode import Mode
from newapi.database import Database
from newapi.dsn import parse_dsn
from newapi.schema import Flavour, Schema
from newapi.switch import Outcome
from newapi.switch_channel import ChannelSwitch
from tests.breaker import BEARER, NOW, OFF, ON, SQLITE, TOKEN, Make, benches
from tests.gateway_channels import add_channel, enable, gateway_with, make_gateway, tables
from tests.servers import MariaDB, Postgres
from tests.webhooks import TELL_LABELS, TRIP_LABELS, raw_alert, webhook

make = pytest.fixture(benches)


@pytest.fixture
def gateway(gateway_url: str) -> Iterator[Database]:
    """A gateway with the channels 7 and 8."""
    with gateway_with(gateway_url, channels=(7, 8)) as database:
        yield database


def test_a_firing_trip_alert_disables_the_channel_once(
    gateway: Database, gateway_url: str, make: Make
) -> None:
    bench = make(gateway_url)
    answer = bench.post(raw_alert())
    assert answer.status_code == 200
    assert answer.text == "rule 'budget', target '7': tripped, trip 00000001\n"
    status, other_info, enabled = tables(gateway, 7)
    assert (status, enabled) == (2, OFF)
    assert json.loads(other_info or "") == {
        "status_reason": "newapi-breaker 00000001: rule budget: 120,000 tokens in 1h,"
        " the limit is 100,000 tokens",
        "status_time": NOW,
    }
    assert tables(gateway, 8) == (1, None, ON)
    for _ in range(99):
        bench.clock.now += 60
        assert bench.post(raw_alert()).status_code == 200
    assert (bench.trips(), bench.notices()) == (["held"], ["Tripped"])
    assert bench.results() == [("tripped", "", 100)]
    samples = bench.metrics()
    held = frozenset({("kind", "channel"), ("id", "7")})
    assert samples["newapi_breaker_held"] == {held: 1}
    decisions = samples["newapi_breaker_decisions_total"].items()
    made = {dict(key)["result"]: value for key, value in decisions if value}
    assert made == {"tripped": 1, "repeated": 99}


def test_one_api(gateway_url: str, make: Make) -> None:
    database = make_gateway(gateway_url, Flavour.ONE_API)
    add_channel(database, 7)
    bench = make(gateway_url)
    for _ in range(3):
        assert bench.post(raw_alert()).status_code == 200
    assert tables(database, 7) == (2, None, OFF)
    assert (bench.trips(), bench.results()) == (["held"], [("tripped", "", 3)])
    database.close()


def test_a_database_that_is_down_is_waited_for(
    gateway: Database, gateway_url: str, make: Make, request: pytest.FixtureRequest
) -> None:
    bench = make(gateway_url)
    kind = request.node.callspec.params["gateway_url"]
    file = Path(str(parse_dsn(gateway_url).database))
    server: MariaDB | Postgres | None = None
    if kind == "sqlite":
        file.rename(file.with_suffix(".away"))
    else:
        server = request.getfixturevalue(kind)
        gateway.close()
        assert server is not None
        server.stop()
    for _ in range(3):
        answer = bench.post(raw_alert())
        assert answer.status_code == 503
        assert answer.text.startswith("rule 'budget', target '7': failed, trip 00000001 (unreach")
    bench.breaker.health.check()
    assert bench.client.get("/-/ready").status_code == 503
    if server is None:
        file.with_suffix(".away").rename(file)
    else:
        server.start()
    bench.clock.now += 7 * 86400  # as old as it is, the alert goes on, and so does what it cost
    bench.breaker.health.check()
    assert bench.client.get("/-/ready").status_code == 200
    assert bench.post(raw_alert()).status_code == 200
    assert tables(gateway, 7)[::2] == (2, OFF)
    assert bench.results() == [("tripped", "", 1), ("failed", "unreachable", 3)]
    assert (bench.trips(), bench.notices()) == (["held"], ["Failed", "Tripped"])


def test_a_write_that_failed_for_sure_is_not_taken_for_ours(gateway_url: str, make: Make) -> None:
    """One API keeps no reason, so that a trip must not claim what a person did after it failed."""
    database = make_gateway(gateway_url, Flavour.ONE_API)
    add_channel(database, 7)
    failing = [True]

    class Failing(ChannelSwitch):
        def disable(
            self, database: Database, schema: Schema, number: int, reason: str, now: int
        ) -> Outcome:
            if failing:
                with database.begin() as connection:
                    connection.exec_driver_sql("UPDATE nowhere SET nothing = 1")
            return super().disable(database, schema, number, reason, now)

    bench = make(gateway_url, channels=Failing())
    assert bench.post(raw_alert()).status_code == 503
    assert bench.trips() == [TripState.PENDING]
    failing.clear()
    by_hand = Database(parse_dsn(gateway_url), writable=True)
    make_off(by_hand)
    by_hand.close()
    assert bench.post(raw_alert()).status_code == 200
    assert bench.results()[0] == ("refused", "already_disabled", 1)
    assert bench.breaker.record.held() == []
    database.close()


def make_off(database: Database) -> None:
    """Disable channel 7 as a person does."""
    with database.begin() as connection:
        connection.exec_driver_sql("UPDATE channels SET status = 2 WHERE id = 7")
        connection.exec_driver_sql(
            "UPDATE abilities SET enabled = "
            + ("false" if database.dialect == "postgresql" else "0")
            + " WHERE channel_id = 7"
        )


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        (2, "by hand", "already_disabled"),
        (3, "status_code=401", "already_disabled"),
        (2, written_reason("elsewhere", "x"), "other_trip"),
    ],
)
def test_what_is_off_already_is_recorded_and_not_held(
    gateway_url: str, make: Make, status: int, reason: str, expected: str
) -> None:
    database = make_gateway(gateway_url)
    add_channel(database, 7, status=status, other_info=json.dumps({"status_reason": reason}))
    before = tables(database, 7)
    bench = make(gateway_url)
    for _ in range(5):
        assert bench.post(raw_alert()).status_code == 200
    assert tables(database, 7) == before
    assert bench.results() == [("refused", expected, 5)]
    theirs = expected == "other_trip"
    assert (bench.trips(), bench.breaker.record.held()) == (
        ["covered" if theirs else "nothing"], [],
    )  # fmt: skip
    assert bench.notices() == ([] if theirs else ["Refused"])
    if theirs:
        database.close()
        return
    # Somebody enables it while it overspends still: now there is something to stop.
    enable(database, 7)
    assert bench.post(raw_alert()).status_code == 200
    assert tables(database, 7)[::2] == (2, OFF)
    assert bench.trips() == ["held"]
    database.close()


def test_a_channel_that_is_gone(gateway: Database, gateway_url: str, make: Make) -> None:
    bench = make(gateway_url)
    labels = TRIP_LABELS | {"channel_id": "99", "target": "99"}
    assert bench.post(raw_alert(labels)).status_code == 200
    assert (bench.results(), bench.notices()) == ([("refused", "not_found", 1)], ["Refused"])
    assert tables(gateway, 7) == (1, None, ON)


def test_a_person_wins_until_the_alert_has_ended(
    gateway: Database, gateway_url: str, make: Make
) -> None:
    bench = make(gateway_url)
    bench.post(raw_alert())
    enable(gateway, 7)
    bench.breaker.hold()
    assert bench.post(raw_alert()).status_code == 200
    assert tables(gateway, 7)[::2] == (1, ON)
    assert bench.results() == [("refused", "overridden", 1), ("tripped", "", 1)]
    assert bench.post(raw_alert(status="resolved")).status_code == 200
    bench.clock.now += SETTLED
    assert bench.post(raw_alert()).status_code == 200
    assert tables(gateway, 7)[::2] == (2, OFF)
    assert bench.trips() == ["released", "held"]
    assert bench.notices() == ["Tripped", "Released", "Tripped"]


@SQLITE
def test_what_is_off_since_the_last_incident_is_not_tripped_again(
    gateway: Database, gateway_url: str, make: Make
) -> None:
    bench = make(gateway_url)
    for status in ("firing", "resolved", "firing", "firing"):
        assert bench.post(raw_alert(status=status)).status_code == 200
        bench.clock.now += SETTLED
    assert (bench.trips(), bench.notices()) == (["held"], ["Tripped"])
    assert bench.results() == [("repeated", "", 2), ("tripped", "", 2)]
    assert tables(gateway, 7)[::2] == (2, OFF)


@SQLITE
def test_what_one_table_still_serves_is_no_trip(
    gateway: Database, gateway_url: str, make: Make
) -> None:
    with gateway.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER undo AFTER UPDATE ON abilities WHEN new.enabled = 0"
            " BEGIN UPDATE abilities SET enabled = 1 WHERE rowid = new.rowid; END"
        )
    bench = make(gateway_url)
    for _ in range(3):
        answer = bench.post(raw_alert())
        assert answer.status_code == 503
        assert "still in service: its status is 2, and 4 of its 4 abilities are en" in answer.text
    assert bench.results() == [("failed", "unverified", 3)]
    assert (bench.trips(), bench.notices()) == (["writing"], ["Failed"])
    with gateway.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER undo")
        connection.exec_driver_sql("UPDATE abilities SET enabled = 0 WHERE channel_id = 7")
    assert bench.post(raw_alert()).status_code == 200
    assert (bench.trips(), bench.notices()) == (["held"], ["Failed", "Tripped"])


def test_dry_run_writes_nothing(gateway: Database, gateway_url: str, make: Make) -> None:
    bench = make(gateway_url, breaker_mode=Mode.DRY_RUN)
    for _ in range(5):
        answer = bench.post(raw_alert())
        assert (answer.status_code, "would trip" in answer.text or "repeated" in answer.text) == (
            200, True,
        )  # fmt: skip
    assert tables(gateway, 7) == (1, None, ON)
    assert bench.results() == [("would_trip", "", 5)]
    (row,) = bench.breaker.store.read("SELECT annotations FROM notices")
    assert "would have been disabled" in json.loads(row["annotations"])["summary"]
    # The kill switch works both ways, at once.
    (bench.breaker.store.path.parent / "mode").write_text("enforce")
    assert bench.post(raw_alert()).status_code == 200
    assert tables(gateway, 7)[::2] == (2, OFF)
    assert bench.trips() == ["would", "held"]


@SQLITE
def test_a_dry_run_says_once_what_it_would_have_done(
    gateway: Database, gateway_url: str, make: Make
) -> None:
    """In earnest it would be held; so what goes up and down is one, until an hour without it."""
    bench = make(gateway_url, breaker_mode=Mode.DRY_RUN)
    told: list[int] = []
    for minute in range(180):
        bench.clock.now = NOW + 60 * minute
        ended = minute % 10 >= 6 if minute < 100 else minute < 160
        bench.post(raw_alert(status="resolved" if ended else "firing"))
        if len(bench.notices()) > len(told):
            told.append(minute)
    assert bench.notices() == ["WouldTrip", "WouldTrip"]
    assert told == [0, 160]
    assert bench.trips() == ["would", "would"]
    assert tables(gateway, 7) == (1, None, ON)


@SQLITE
def test_off_needs_no_database(gateway_url: str, make: Make) -> None:
    Path(str(parse_dsn(gateway_url).database)).unlink()
    bench = make(gateway_url, breaker_mode=Mode.OFF)
    assert bench.post(raw_alert()).status_code == 200
    assert bench.results() == [("refused", "off", 1)]
    assert (bench.trips(), bench.notices()) == ([], [])
    bench.breaker.health.check()
    assert bench.client.get("/-/ready").status_code == 200
    modes = bench.metrics()["newapi_breaker_mode"]
    assert {dict(key)["mode"]: value for key, value in modes.items()} == {
        "enforce": 0, "dry-run": 0, "off": 1,
    }  # fmt: skip


@SQLITE
def test_what_only_tells_is_recorded(gateway: Database, gateway_url: str, make: Make) -> None:
    bench = make(gateway_url)
    told = raw_alert(TELL_LABELS)
    same_rule = {name: value for name, value in TRIP_LABELS.items() if name != "purpose"}
    assert bench.post(told, raw_alert(same_rule)).status_code == 200
    assert bench.results() == [("recorded", "", 1)] * 2
    assert tables(gateway, 7) == (1, None, ON)
    samples = bench.metrics()
    info = [dict(key) for key in samples["newapi_notification_info"]]
    assert sorted(labels["rule"] for labels in info) == ["budget", "watch"]
    assert all(0 < len(labels["message"]) <= 200 for labels in info)
    number = frozenset({("id", "1")})
    assert samples["newapi_notification_value"][number] == 120_000
    assert samples["newapi_notification_threshold"][number] == 100_000
    assert samples["newapi_notification_timestamp_seconds"][number] == NOW


@SQLITE
def test_one_bad_alert_does_not_keep_the_others_from_their_trip(
    gateway: Database, gateway_url: str, make: Make
) -> None:
    bench = make(gateway_url)
    bad = raw_alert(TRIP_LABELS | {"channel_id": "x", "target": "x"})
    assert bench.post(bad, raw_alert()).status_code == 200
    assert tables(gateway, 7)[::2] == (2, OFF)


@SQLITE
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN}x",
        "Bearer é",
    ],
)
def test_without_the_token_nothing_happens(
    gateway: Database, gateway_url: str, make: Make, authorization: str | None
) -> None:
    bench = make(gateway_url)
    headers = {"Authorization": authorization} if authorization is not None else {}
    answer = bench.client.post("/alerts", headers=headers, json=webhook(raw_alert()))
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert TOKEN not in answer.text
    assert bench.results() == []
    assert tables(gateway, 7) == (1, None, ON)


@SQLITE
def test_what_cannot_be_read_gets_one_line(
    gateway_url: str, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    bench = make(gateway_url)
    for body, status in (
        (b"no json", 400),
        (b"{}", 400),
        (json.dumps(webhook(raw_alert())).encode()[:-20], 400),
        (b" " * (BODY_LIMIT + 1), 413),
    ):
        answer = bench.client.post("/alerts", headers=BEARER, data=body)
        assert answer.status_code == status
        assert len(answer.text.splitlines()) == 1
    assert bench.client.get("/alerts").status_code == 405
    assert all(len(record.message.splitlines()) == 1 for record in caplog.records)
    assert "Traceback" not in caplog.text
    assert bench.results() == []


@SQLITE
def test_a_record_that_cannot_be_written_stops_a_trip(
    gateway: Database, gateway_url: str, make: Make
) -> None:
    bench = make(gateway_url)
    with bench.breaker.store.transaction() as connection:
        connection.execute("ALTER TABLE trips RENAME TO hidden")
    answer = bench.post(raw_alert())
    assert (answer.status_code, answer.text) == (503, "the breaker's record cannot be used\n")
    assert bench.client.get("/metrics").status_code == 503
    assert tables(gateway, 7) == (1, None, ON)
    with bench.breaker.store.transaction() as connection:
        connection.execute("ALTER TABLE hidden RENAME TO trips")
    assert bench.post(raw_alert()).status_code == 200
    assert tables(gateway, 7)[::2] == (2, OFF)


@SQLITE
def test_a_slow_trip_is_answered_in_time_and_found_done_later(
    gateway: Database, gateway_url: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, begun = threading.Event(), threading.Event()

    class Slow(ChannelSwitch):
        def disable(
            self, database: Database, schema: Schema, number: int, reason: str, now: int
        ) -> Outcome:
            begun.set()
            go.wait(30)
            return super().disable(database, schema, number, reason, now)

    bench = make(gateway_url, channels=Slow())
    monkeypatch.setattr(breaker.app, "ANSWER_WITHIN", 0.2)
    assert begun.wait(0) is False
    for _ in range(3):
        answer = bench.post(raw_alert())
        assert (answer.status_code, answer.text) == (503, "not done in time; deliver it again\n")
    assert begun.is_set()
    assert bench.post(raw_alert(TELL_LABELS)).status_code == 200  # what only tells does not wait
    go.set()
    monkeypatch.setattr(breaker.app, "ANSWER_WITHIN", 7.0)
    assert bench.post(raw_alert()).status_code == 200
    assert (bench.trips(), bench.notices()) == (["held"], ["Tripped"])
    assert tables(gateway, 7)[::2] == (2, OFF)


@pytest.mark.parametrize("scheme", ["mysql", "postgres"])
def test_a_server_that_says_nothing_is_given_up_within_8_seconds(scheme: str, make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        bench = make(f"{scheme}://user:secret@127.0.0.1:{port}/gateway")
        start = time.monotonic()
        answer = bench.post(raw_alert())
        assert time.monotonic() - start < 8
        assert answer.status_code == 503
        assert "secret" not in answer.text


@SQLITE
def test_many_at_once_are_one_trip(gateway: Database, gateway_url: str, make: Make) -> None:
    bench = make(gateway_url)
    app = bench.breaker.app()
    statuses: list[int] = []

    def deliver() -> None:
        client = app.test_client()
        for labels in (TRIP_LABELS, TELL_LABELS):
            body = webhook(raw_alert(labels))
            statuses.append(client.post("/alerts", headers=BEARER, json=body).status_code)

    threads = [threading.Thread(target=deliver) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 60
    assert (bench.trips(), bench.notices()) == (["held"], ["Tripped"])
    assert sorted(bench.results()) == [("recorded", "", 30), ("tripped", "", 30)]
    assert tables(gateway, 7)[::2] == (2, OFF)


@SQLITE
def test_two_breakers_are_one_trip(gateway: Database, gateway_url: str, make: Make) -> None:
    one, other = make(gateway_url), make(gateway_url, "other")
    for bench in (one, other, one, other):
        assert bench.post(raw_alert()).status_code == 200
    assert (one.results(), one.notices()) == ([("tripped", "", 2)], ["Tripped"])
    assert (other.results(), other.notices()) == ([("refused", "other_trip", 2)], [])
    assert tables(gateway, 7)[::2] == (2, OFF)


@SQLITE
def test_a_restart_keeps_the_record(gateway: Database, gateway_url: str, make: Make) -> None:
    first = make(gateway_url)
    first.post(raw_alert())
    before = first.metrics()
    first.breaker.close()
    again = make(gateway_url)
    names = [name for name in before if not name.startswith("newapi_breaker_decision_duration")]
    assert {name: again.metrics()[name] for name in names} == {name: before[name] for name in names}
    assert again.post(raw_alert()).status_code == 200
    assert again.trips() == ["held"]
    assert tables(gateway, 7)[::2] == (2, OFF)


@SQLITE
def test_the_page_shows_what_it_is(gateway: Database, gateway_url: str, make: Make) -> None:
    bench = make(gateway_url, alertmanager_url="http://user:secret@localhost:9093")
    assert gateway.name in bench.client.get("/-/ready").text
    bench.breaker.health.check()
    bench.post(raw_alert())
    page = bench.client.get("/").text
    for text in ("enforce", "channel 7", "localhost:9093", gateway.name):
        assert text in page
    assert "secret" not in page


@SQLITE
def test_a_missing_column_is_named(gateway: Database, gateway_url: str, make: Make) -> None:
    with gateway.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE abilities RENAME COLUMN enabled TO other")
    bench = make(gateway_url)
    answer = bench.post(raw_alert())
    assert answer.status_code == 503
    assert "column abilities.enabled is missing or not granted" in answer.text
    bench.breaker.health.check()
    assert "column abilities.enabled is missing or not granted" in (
        bench.client.get("/-/ready").text
    )
