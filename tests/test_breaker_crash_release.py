"""kill -9 between the steps of a release, by command and by timer, then a restart: one release."""

import json
from pathlib import Path

import pytest

from newapi.schema import Flavour
from tests.breaker import OFF, ON
from tests.breaker_crash import kill, restarted
from tests.gateway_channels import add_channel, add_key, key_status, make_gateway, tables
from tests.webhooks import KEY, TRIP_LABELS, raw_alert

STEPS = ("intent", "write", "result", "record")


@pytest.mark.parametrize(
    ("what", "way", "point"),
    [("channel", "command", point) for point in ("look", "half", "answer", *STEPS)]
    + [("channel", "timer", point) for point in ("look", "half", *STEPS)]
    + [("API key", way, point) for way in ("command", "timer") for point in STEPS]
    + [("One API", "command", point) for point in ("write", "result")],
)
def test_a_kill_while_it_is_released(
    gateway_url: str, tmp_path: Path, what: str, way: str, point: str
) -> None:
    database = make_gateway(gateway_url, Flavour.ONE_API if what == "One API" else Flavour.NEW_API)
    add_channel(database, 7)
    add_key(database, 3)
    key = what == "API key"
    first = restarted(gateway_url, tmp_path)
    first.post(raw_alert((KEY if key else TRIP_LABELS) | {"release_after": "600"}))
    first.breaker.close()
    timer = way == "timer"
    kill(point, gateway_url, tmp_path, None if timer else ["release", "--all"], later=timer)

    def on() -> bool:
        found = tables(database, 7)[::2]
        assert found in {True: [(1, ON)], False: [(1, ON), (2, OFF)]}[key]
        return key_status(database, 3) == 1 if key else found == (1, ON)

    assert on() is (point in {"result", "record", "answer"})
    bench = restarted(gateway_url, tmp_path)
    bench.clock.now = 2_000_000_060 if timer else 1_800_000_060
    for _ in range(3):
        bench.breaker.hold()
    if way == "command" and point == "intent":  # nothing says that it was begun: it is given again
        assert (on(), bench.trips(), bench.notices()) == (False, ["held"], ["Tripped"])
    else:
        assert (on(), bench.trips(), bench.held()) == (True, ["released"], [])
        assert bench.notices() == ["Tripped", "Released"]
        assert [e for e in bench.events() if "releas" in e][-1] == f"released {way} status 1"
        assert bench.decisions()["released", way] == 1
    if what == "channel":
        reason = json.loads(tables(database, 7).other_info or "")["status_reason"]
        assert reason.endswith(f"by {way}") is on()
    bench.breaker.close()
    database.close()
