"""kill -9 between the steps of a trip, then a restart and Alertmanager's retry: one trip."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from breaker.serve import Breaker
from breaker.settings import BreakerSettings
from newapi.schema import Flavour
from tests.breaker import BEARER, OFF, ON, TOKEN, Bench, Clock
from tests.test_breaker_webhook import raw_alert, webhook
from tests.test_switch import add_channel, make_gateway, tables

# Kills itself at one point of the first trip, given as the name of what is about to be done.
PROGRAM = """
import json, os, signal, sys
from breaker.serve import Breaker
from breaker.settings import BreakerSettings
from newapi.switch import Kind
from newapi.switch_channel import ChannelSwitch
from newapi.switch_key import ApiKeySwitch
from service.settings import load

def kill(*args, **more):
    os.kill(os.getpid(), signal.SIGKILL)

class Killing(ChannelSwitch):
    def disable(self, *args):
        if point == "write":
            kill()
        outcome = super().disable(*args)
        if point == "result":
            kill()
        return outcome

point, headers, body = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
switches = {Kind.CHANNEL: Killing(), Kind.API_KEY: ApiKeySwitch()}
breaker = Breaker(load(BreakerSettings), switches=switches)
if point == "look":
    breaker.database.connect = kill
if point == "intent":
    breaker.record.incidents.move = kill
answer = breaker.app().test_client().post("/alerts", headers=headers, json=body)
if point == "answer":
    kill()
"""


@pytest.mark.parametrize(
    ("flavour", "point"),
    [(Flavour.NEW_API, point) for point in ("look", "intent", "write", "result", "answer")]
    + [(Flavour.ONE_API, point) for point in ("write", "result")],
)
def test_a_kill_at_any_step_leaves_one_trip(
    gateway_url: str, tmp_path: Path, flavour: Flavour, point: str
) -> None:
    database = make_gateway(gateway_url, flavour)
    add_channel(database, 7)
    body = webhook(raw_alert())
    killed = subprocess.run(
        [sys.executable, "-c", PROGRAM, point, json.dumps(BEARER), json.dumps(body)],
        env=os.environ
        | {
            "BREAKER_TOKEN": TOKEN,
            "BREAKER_STATE": str(tmp_path / "state"),
            "BREAKER_SQL_DSN": gateway_url,
        },
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    done = point in {"result", "answer"}
    assert tables(database, 7)[::2] == ((2, OFF) if done else (1, ON))

    settings = BreakerSettings(
        breaker_token=TOKEN, breaker_state=tmp_path / "state", breaker_sql_dsn=gateway_url
    )
    breaker = Breaker(settings, clock=Clock(1_800_000_000), new_id=lambda: "after-it")
    bench = Bench(breaker, Clock(0))
    for _ in range(3):
        assert bench.post(raw_alert()).status_code == 200
    status, other_info, enabled = tables(database, 7)
    assert (status, enabled) == (2, OFF)
    assert (bench.trips(), bench.notices()) == (["held"], ["Tripped"])
    ((result, _, _),) = bench.results()
    assert result == "tripped"
    (trip,) = breaker.store.read("SELECT id FROM trips")
    assert trip["id"] != "after-it"
    if flavour is Flavour.NEW_API:
        assert f"newapi-breaker {trip['id']}: " in (other_info or "")
    breaker.close()
    database.close()
