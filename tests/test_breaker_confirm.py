"""After a trip: what the log table says, as an annotation, in the history, or as an alert."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from breaker.confirm import Confirmation
from breaker.history import as_text
from newapi.database import Database, DatabaseError, Fault
from newapi.dsn import parse_dsn
from newapi.log_requests import requests_of
from newapi.rows import TEST_NAME
from newapi.schema import Flavour
from newapi.switch import Kind
from tests.breaker import NOW, SQLITE, Make, benches
from tests.gateway import put, run
from tests.gateway_channels import (
    add_channel,
    enable,
    gateway_with,
    make_gateway,
    schema_of,
)
from tests.webhooks import KEY, TRIP_LABELS, raw_alert

make = pytest.fixture(benches)


@pytest.fixture(params=Flavour)
def flavour(request: pytest.FixtureRequest) -> Flavour:
    found: Flavour = request.param
    return found


@pytest.fixture
def gateway(gateway_url: str, flavour: Flavour) -> Iterator[Database]:
    keys = (3,) if flavour is Flavour.NEW_API else ()
    with gateway_with(gateway_url, (7,), keys, flavour) as database:
        yield database


def requests(database: Database, *ended: int, took: int = 1, **more: Any) -> None:
    """Log requests of channel 7 that ended so many seconds after the trip."""
    row = {"user_id": 1, "type": 2, "channel_id": 7, "token_name": "t"}
    new_api = schema_of(database).flavour is Flavour.NEW_API
    row |= {"use_time": took} if new_api else {"elapsed_time": took * 1000}
    rows = [row | {"created_at": NOW + seconds} | more for seconds in ended]
    put(database, "logs", *rows)


def test_a_quiet_channel_is_confirmed(gateway: Database, gateway_url: str, make: Make) -> None:
    requests(gateway, -200, -2, 3, 20)
    requests(gateway, 80, took=70)  # it ran on when the channel was disabled
    requests(gateway, 85, channel_id=8)
    requests(gateway, 86, token_name=TEST_NAME)
    bench = make(gateway_url)
    bench.post(raw_alert())
    for seconds in (0, 30, 89):
        bench.clock.now = NOW + seconds
        bench.breaker.confirmation.look()
        assert "last_request" not in bench.annotations()[0]
    bench.clock.now = NOW + 90
    bench.breaker.confirmation.look()
    assert bench.annotations()[0]["last_request"] == "last request at 2027-01-15T08:01:20Z"
    assert bench.notices() == ["Tripped"]
    record = bench.breaker.record
    found = record.notifications(9)
    events = record.incidents.events(["00000001"])
    assert "  confirmed: last request at 2027-01-15T08:01:20Z" in as_text(found, events)


@SQLITE
def test_only_the_time_that_is_asked_for_is_read(gateway: Database) -> None:
    """SQLite would go by the channel, however long its history is, and lock the gateway out."""
    asked: list[tuple[str, Any]] = []

    def hear(_: Connection, _cursor: Any, sql: str, parameters: Any, *_more: Any) -> None:
        asked.append((sql, parameters))

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        schema = schema_of(gateway)
        for kind in Kind if schema.flavour is Flavour.NEW_API else (Kind.CHANNEL,):
            requests_of(gateway, schema, kind, 7, since=NOW, begun_after=NOW)
    finally:
        event.remove(Engine, "before_cursor_execute", hear)
    looks = [(sql, parameters) for sql, parameters in asked if "sum(" in sql]
    assert looks
    with gateway.connect() as connection:
        for sql, parameters in looks:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", parameters).all()
            assert "USING INDEX idx_created_at_type" in str(plan)


@pytest.mark.parametrize("flavour", [Flavour.NEW_API], indirect=True)
def test_requests_that_go_on_are_an_alert_of_its_own(
    gateway: Database, gateway_url: str, make: Make
) -> None:
    requests(gateway, *range(62, 90, 2))
    bench = make(gateway_url)
    bench.post(raw_alert())
    for seconds in (90, 95, 100):
        bench.clock.now = NOW + seconds
        bench.breaker.confirmation.look()
    assert bench.notices() == ["Tripped", "StillServing"]
    assert bench.summaries()[1].startswith(
        "Channel channel-7 (#7) is disabled, and still 14 requests began later than 60 s after"
    )
    assert bench.annotations()[0].get("last_request") is None
    requests(gateway, 200)
    bench.clock.now = NOW + 261  # for a minute none began
    bench.breaker.confirmation.look()
    assert bench.annotations()[0]["last_request"] == "last request at 2027-01-15T08:03:20Z"
    assert bench.notices() == ["Tripped", "StillServing"]


@SQLITE
@pytest.mark.parametrize("flavour", [Flavour.ONE_API], indirect=True)
def test_one_api_has_ten_minutes_to_follow(gateway: Database, gateway_url: str, make: Make) -> None:
    requests(gateway, *range(62, 700, 5))
    bench = make(gateway_url)
    bench.post(raw_alert())
    for seconds in range(90, 630, 60):
        bench.clock.now = NOW + seconds
        bench.breaker.confirmation.look()
    assert bench.notices() == ["Tripped"]
    bench.clock.now = NOW + 630
    bench.breaker.confirmation.look()
    assert bench.notices() == ["Tripped", "StillServing"]


@SQLITE
@pytest.mark.parametrize("flavour", [Flavour.NEW_API], indirect=True)
def test_a_log_database_that_says_nothing_is_asked_once_a_look(
    gateway: Database, gateway_url: str, make: Make
) -> None:
    add_channel(gateway, 8)
    bench = make(gateway_url)
    bench.post(raw_alert(), raw_alert(TRIP_LABELS | {"channel_id": "8", "target": "8"}))
    asked: list[int] = []

    class Silent(Database):
        @contextmanager
        def connect(self) -> Iterator[Connection]:
            asked.append(1)
            if asked:
                raise DatabaseError(Fault.TIMEOUT, "nothing was said")
            with super().connect() as connection:
                yield connection

    logs = Silent(parse_dsn(gateway_url))
    Confirmation(logs, bench.breaker.record, language="en", clock=lambda: NOW + 90).look()
    logs.close()
    assert len(asked) == 1


@SQLITE
@pytest.mark.parametrize("flavour", [Flavour.NEW_API], indirect=True)
@pytest.mark.usefixtures("gateway")
def test_notices_wait_for_no_database(
    gateway_url: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does what is held wait for the database of the log table."""
    go, silent = threading.Event(), threading.Event()
    posted, held = threading.Semaphore(0), threading.Semaphore(0)

    def hold() -> None:
        held.release()
        if silent.is_set():
            go.wait(60)

    bench = make(gateway_url, alertmanager_url="http://127.0.0.1:9")
    breaker = bench.breaker
    assert breaker.outbox is not None
    monkeypatch.setattr(breaker.confirmation, "look", lambda: go.wait(60))
    monkeypatch.setattr(breaker, "hold", hold)
    monkeypatch.setattr(breaker.outbox, "post", posted.release)
    jobs = breaker.jobs()
    for one in jobs:
        one.start()
    try:
        for _ in range(2):
            assert held.acquire(timeout=20)
        silent.set()
        assert held.acquire(timeout=20)
        for _ in range(2):
            assert posted.acquire(timeout=20)
    finally:
        go.set()
        for one in jobs:
            one.stop()


@SQLITE
@pytest.mark.parametrize("flavour", [Flavour.NEW_API], indirect=True)
def test_an_api_key_is_confirmed(gateway: Database, gateway_url: str, make: Make) -> None:
    requests(gateway, -2, token_id=3)
    requests(gateway, 88, token_id=4)
    bench = make(gateway_url)
    bench.post(raw_alert(KEY))
    bench.clock.now += 90
    bench.breaker.confirmation.look()
    assert bench.annotations()[0]["last_request"] == "last request at 2027-01-15T07:59:58Z"


@SQLITE
@pytest.mark.parametrize("flavour", [Flavour.NEW_API], indirect=True)
def test_what_was_released_meanwhile_is_not_looked_for(
    gateway: Database, gateway_url: str, make: Make
) -> None:
    requests(gateway, 88)
    bench = make(gateway_url)
    bench.post(raw_alert())
    enable(gateway, 7)
    bench.breaker.hold()
    bench.clock.now += 90
    bench.breaker.confirmation.look()
    assert bench.notices() == ["Tripped", "Released"]


@SQLITE
@pytest.mark.parametrize("flavour", [Flavour.NEW_API], indirect=True)
def test_the_log_database_may_be_another_one(
    gateway: Database, gateway_url: str, make: Make, tmp_path_factory: pytest.TempPathFactory
) -> None:
    logs_url = f"sqlite:///{tmp_path_factory.mktemp('logs') / 'logs.db'}"
    logs = make_gateway(logs_url)
    requests(logs, 5)
    requests(gateway, 88)  # where nobody writes any more
    bench = make(gateway_url, log_sql_dsn=logs_url)
    bench.post(raw_alert())
    bench.clock.now += 90
    bench.breaker.confirmation.look()
    assert bench.annotations()[0]["last_request"] == "last request at 2027-01-15T08:00:05Z"
    logs.close()


@SQLITE
@pytest.mark.parametrize("flavour", [Flavour.NEW_API], indirect=True)
def test_a_log_table_that_may_not_be_read_is_said_once(
    gateway: Database, gateway_url: str, make: Make
) -> None:
    run(gateway, "DROP TABLE logs")
    bench = make(gateway_url)
    bench.post(raw_alert())
    bench.clock.now += 90
    for _ in range(3):
        bench.breaker.confirmation.look()
    last = bench.events()[-1]
    assert (bench.events().count(last), last) == (1, "confirmed not known")
    assert bench.notices() == ["Tripped"]
