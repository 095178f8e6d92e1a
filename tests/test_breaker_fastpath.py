"""The fast path: the gateway is told by its own API, by its age, and its answer's body is read."""

from collections.abc import Iterator
from typing import Any

import pytest

from newapi.database import Database
from newapi.schema import Flavour
from tests.breaker import OFF, ON, SQLITE, Make, benches
from tests.breaker_gateway import ADMIN_TOKEN, DONE, NOT_FOUND, REFUSED, GatewayApi
from tests.servers import free_port
from tests.test_breaker_guards import KEY
from tests.test_breaker_webhook import TRIP_LABELS, raw_alert
from tests.test_switch import add_channel, add_key, make_gateway, tables

make = pytest.fixture(benches)

POST = ("POST", "/api/channel/7/status", {"status": 2})
PUT = ("PUT", "/api/channel/", {"id": 7, "status": 2})


@pytest.fixture
def gateway(gateway_url: str) -> Iterator[Database]:
    database = make_gateway(gateway_url)
    add_channel(database, 7)
    add_key(database, 3)
    yield database
    database.close()


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
        bench.clock.now += 60
        bench.breaker.hold()
        assert tables(gateway, 7)[::2] == (1, ON)
        assert api.calls == [POST, ("POST", "/api/channel/7/status", {"status": 1})]


@SQLITE
def test_one_api_is_not_told(gateway_url: str, make: Make) -> None:
    database = make_gateway(gateway_url, Flavour.ONE_API)
    add_channel(database, 7)
    with GatewayApi(DONE) as api:
        bench = make(gateway_url, **api.settings())
        bench.post(raw_alert())
        assert (api.calls, tables(database, 7)[0]) == ([], 2)
    assert "One API 600 s" in bench.annotations()[0]["follows"]
    database.close()
