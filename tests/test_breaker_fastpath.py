"""The fast path: the gateway is told by its own API, by its age, and its answer's body is read."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

import breaker.fastpath
import breaker.teller
from breaker.fastpath import FastPath, FastPathError
from breaker.mode import Mode
from newapi.database import Database
from newapi.schema import Flavour
from tests.breaker import OFF, ON, SQLITE, Bench, Make, benches
from tests.breaker_gateway import ADMIN_TOKEN, DONE, NOT_FOUND, REFUSED, GatewayApi, Hanging
from tests.gateway_channels import add_channel, enable, gateway_with, make_gateway, tables
from tests.servers import free_port, wait_until
from tests.webhooks import KEY, TRIP_LABELS, raw_alert

make = pytest.fixture(benches)

POST = ("POST", "/api/channel/7/status", {"status": 2})
PUT = ("PUT", "/api/channel/", {"id": 7, "status": 2})


@pytest.fixture
def gateway(gateway_url: str) -> Iterator[Database]:
    with gateway_with(gateway_url, channels=(7,), keys=(3,)) as database:
        yield database


@SQLITE
@pytest.mark.parametrize(
    ("post", "put", "calls", "told"),
    [
        (DONE, NOT_FOUND, [POST], True),
        (NOT_FOUND, DONE, [POST, PUT], True),
        ((405, ""), DONE, [POST, PUT], True),
        (REFUSED, DONE, [POST], False),
        (NOT_FOUND, REFUSED, [POST, PUT], False),
        ((200, "<html>"), DONE, [POST], False),
        ((200, []), DONE, [POST], False),
        ((500, {"success": True}), DONE, [POST], False),
        ((302, ""), DONE, [POST], False),
    ],
)
def test_the_gateway_is_told(
    gateway: Database,
    gateway_url: str,
    make: Make,
    caplog: pytest.LogCaptureFixture,
    post: tuple[int, Any],
    put: tuple[int, Any],
    calls: list[Any],
    *,
    told: bool,
) -> None:
    with GatewayApi(post, put) as api:
        bench = make(gateway_url, **api.settings())
        assert bench.post(raw_alert()).status_code == 200
        assert bench.breaker.teller.idle(10)
        assert api.calls == calls
        assert api.headers[0]["Authorization"] == f"Bearer {ADMIN_TOKEN}"
        assert api.headers[0]["New-Api-User"] == "1"
    assert tables(gateway, 7)[::2] == (2, OFF)
    assert bench.trips() == ["held"]
    follows = bench.annotations()[0]["follows"]
    assert follows.startswith("The gateway was told and follows at once") is told
    assert ("It did not take the call to GATEWAY_URL" in follows) is not told
    warnings = [r.getMessage() for r in caplog.records if "GATEWAY_URL" in r.getMessage()]
    assert len(warnings) == (0 if told else 1)
    assert all(ADMIN_TOKEN not in line and "\n" not in line for line in warnings)


def waiting(bench: Bench) -> set[str]:
    """The trips of which the gateway has not been told yet."""
    return bench.breaker.teller.waiting()


def eight() -> dict[str, Any]:
    """An alert for channel 8."""
    return raw_alert(TRIP_LABELS | {"channel_id": "8", "target": "8"})


@SQLITE
@pytest.mark.parametrize("how", Hanging.WAYS)
def test_a_gateway_that_hangs_delays_no_trip(
    gateway: Database,
    gateway_url: str,
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    how: str,
) -> None:
    monkeypatch.setattr(breaker.fastpath, "_WITHIN", 30.0)
    add_channel(gateway, 8)
    with Hanging(how) as api:
        bench = make(gateway_url, **api.settings())
        assert bench.post(raw_alert()).status_code == 200
        api.wait_for_call()
        assert bench.post(eight()).status_code == 200
        assert bench.trips() == ["held", "held"]
        assert waiting(bench) == {"00000001", "00000002"}
        assert tables(gateway, 8)[::2] == (2, OFF)
        monkeypatch.setattr(breaker.teller, "NOTICE_WAITS", 0.0)
        assert waiting(bench) == set()  # their notices wait no longer
        enable(gateway, 8)  # a person; telling the gateway would undo it
        monkeypatch.setattr(breaker.fastpath, "_WITHIN", 1.0)
        api.answer()
        wait_until(lambda: "was told" in bench.annotations()[0]["follows"])
        assert bench.breaker.teller.idle(10)
        assert len(api.calls) == 1
        assert not [r for r in caplog.records if "GATEWAY_URL" in r.getMessage()]


@pytest.mark.parametrize("how", Hanging.WAYS)
def test_a_call_takes_no_longer_than_it_may(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker.fastpath, "_WITHIN", 0.3)
    with Hanging(how) as api:
        path = FastPath(api.url, SecretStr(ADMIN_TOKEN), 1)
        with pytest.raises(FastPathError, match=r"^POST /api/channel/7/status: no answer in time$"):
            path.tell(7, 2)


def test_an_answer_has_a_limit() -> None:
    with GatewayApi((200, {"success": True, "data": "x" * 100_000})) as api:
        path = FastPath(api.url, SecretStr(ADMIN_TOKEN), 1)
        with pytest.raises(FastPathError, match="an answer of more than 65536 bytes"):
            path.tell(7, 2)


@SQLITE
@pytest.mark.usefixtures("gateway")
def test_a_call_that_had_to_wait_too_long_is_not_made(
    gateway_url: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker.teller, "_TOO_LATE", 0.0)
    with GatewayApi(DONE) as api:
        bench = make(gateway_url, **api.settings())
        bench.post(raw_alert())
        assert bench.breaker.teller.idle(10)
        assert api.calls == []
    assert "It did not take the call" in bench.annotations()[0]["follows"]


@SQLITE
@pytest.mark.usefixtures("gateway")
def test_it_is_not_told_in_a_dry_run(gateway_url: str, make: Make) -> None:
    """Of a trip, too, whose write is found done only after the mode was changed."""
    with GatewayApi(DONE) as api:
        bench = make(gateway_url, **api.settings())
        bench.post(raw_alert())
        assert bench.breaker.teller.idle(10)
        with bench.breaker.store.transaction() as connection:  # as after a crash before its record
            connection.execute("UPDATE trips SET state = 'writing'")
        (bench.breaker.store.path.parent / "mode").write_text(Mode.DRY_RUN)
        bench.breaker.hold()
        assert bench.trips() == ["held"]
        assert bench.breaker.teller.idle(10)
        assert api.calls == [POST]


@SQLITE
def test_a_gateway_that_does_not_answer_costs_a_trip_nothing(
    gateway: Database, gateway_url: str, make: Make
) -> None:
    settings = {
        "gateway_url": f"http://user:secret@127.0.0.1:{free_port()}",
        "gateway_token": ADMIN_TOKEN,
        "gateway_user_id": 1,
    }
    bench = make(gateway_url, **settings)
    assert bench.post(raw_alert()).status_code == 200
    assert (tables(gateway, 7)[::2], bench.notices()) == ((2, OFF), ["Tripped"])


@SQLITE
def test_it_is_told_of_a_release_and_of_nothing_else(
    gateway: Database, gateway_url: str, make: Make
) -> None:
    with GatewayApi(DONE) as api:
        bench = make(gateway_url, **api.settings())
        bench.post(raw_alert(KEY))  # there is no such API for other people's keys
        assert api.calls == []
        bench.post(raw_alert(TRIP_LABELS | {"release_after": "60"}))
        assert bench.breaker.teller.idle(10)
        bench.clock.now += 60
        bench.breaker.hold()
        assert tables(gateway, 7)[::2] == (1, ON)
        wait_until(lambda: len(api.calls) == 2)
        assert api.calls == [POST, ("POST", "/api/channel/7/status", {"status": 1})]


@SQLITE
def test_one_api_is_not_told(gateway_url: str, make: Make) -> None:
    database = make_gateway(gateway_url, Flavour.ONE_API)
    add_channel(database, 7)
    with GatewayApi(DONE) as api:
        bench = make(gateway_url, **api.settings())
        bench.post(raw_alert())
        assert bench.breaker.teller.idle(10)
        assert (api.calls, tables(database, 7)[0]) == ([], 2)
    assert "One API 600 s" in bench.annotations()[0]["follows"]
    database.close()
