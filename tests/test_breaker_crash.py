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
from tests.breaker import BEARER, OFF, ON, SQLITE, TOKEN, Bench, Clock
from tests.gateway import run
from tests.test_breaker_guards import KEY
from tests.test_breaker_webhook import raw_alert, webhook
from tests.test_switch import add_channel, add_key, enable, key_status, make_gateway, tables

# Kills itself at one point of the first trip, given as the name of what is about to be done.
PROGRAM = """
import json, os, signal, sys
from breaker.serve import Breaker
from breaker.settings import BreakerSettings
import newapi.switch_channel
from newapi.switch import Kind
from newapi.switch_channel import ChannelSwitch
from newapi.switch_key import ApiKeySwitch
from service.settings import load

def kill(*args, **more):
    os.kill(os.getpid(), signal.SIGKILL)

class Killing(ChannelSwitch):
    def _around(self, write, *args):
        if point == "write":
            kill()
        if point == "half":
            newapi.switch_channel._merged = kill  # between the statements of the transaction
        outcome = write(*args)
        if point == "result":
            kill()
        return outcome

    def disable(self, *args):
        return self._around(super().disable, *args)

    def set_again(self, *args):
        return self._around(super().set_again, *args)

point, headers, body = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
class KillingKeys(ApiKeySwitch):
    def disable(self, *args):
        if point == "write":
            kill()
        outcome = super().disable(*args)
        if point == "result":
            kill()
        return outcome

switches = {Kind.CHANNEL: Killing(), Kind.API_KEY: KillingKeys()}
breaker = Breaker(load(BreakerSettings), switches=switches)
if point == "look":
    breaker.database.connect = kill
if point == "intent":
    breaker.record.incidents.move = kill
if point == "record":
    breaker.record.add = breaker.record.note = kill
if body is None:
    breaker.hold()
else:
    breaker.app().test_client().post("/alerts", headers=headers, json=body)
if point == "answer":
    kill()
"""


def kill(point: str, dsn: str, folder: Path, body: object) -> None:
    """Have a breaker deliver a webhook to itself, or look at what it holds, and kill itself."""
    killed = subprocess.run(
        [sys.executable, "-c", PROGRAM, point, json.dumps(BEARER), json.dumps(body)],
        env=os.environ
        | {
            "BREAKER_TOKEN": TOKEN,
            "BREAKER_STATE": str(folder / "state"),
            "BREAKER_SQL_DSN": dsn,
        },
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr


def restarted(dsn: str, folder: Path) -> Bench:
    """The breaker after it was killed."""
    settings = BreakerSettings(
        breaker_token=TOKEN, breaker_state=folder / "state", breaker_sql_dsn=dsn
    )
    clock = Clock(1_800_000_000)
    return Bench(Breaker(settings, clock=clock, new_id=lambda: "after-it"), clock)


@pytest.mark.parametrize(
    ("flavour", "point"),
    [
        (Flavour.NEW_API, point)
        for point in ("look", "intent", "write", "half", "result", "record", "answer")
    ]
    + [(Flavour.ONE_API, point) for point in ("write", "result")],
)
def test_a_kill_at_any_step_leaves_one_trip(
    gateway_url: str, tmp_path: Path, flavour: Flavour, point: str
) -> None:
    database = make_gateway(gateway_url, flavour)
    add_channel(database, 7)
    kill(point, gateway_url, tmp_path, webhook(raw_alert()))
    done = point in {"result", "record", "answer"}
    assert tables(database, 7)[::2] == ((2, OFF) if done else (1, ON))

    bench = restarted(gateway_url, tmp_path)
    for _ in range(3):
        assert bench.post(raw_alert()).status_code == 200
    status, other_info, enabled = tables(database, 7)
    assert (status, enabled) == (2, OFF)
    assert (bench.trips(), bench.notices()) == (["held"], ["Tripped"])
    ((result, _, _),) = bench.results()
    assert result == "tripped"
    (trip,) = bench.breaker.store.read("SELECT id FROM trips")
    assert trip["id"] != "after-it"
    if flavour is Flavour.NEW_API:
        assert f"newapi-breaker {trip['id']}: " in (other_info or "")
    bench.breaker.close()
    database.close()


@SQLITE
@pytest.mark.parametrize("point", ["write", "half", "result", "record"])
def test_a_kill_while_it_is_set_again(gateway_url: str, tmp_path: Path, point: str) -> None:
    database = make_gateway(gateway_url)
    add_channel(database, 7)
    first = restarted(gateway_url, tmp_path)
    first.post(raw_alert())
    first.breaker.close()
    info = json.dumps({"status_reason": "", "status_time": 1_800_000_030})
    enable(database, 7)
    run(database, f"UPDATE channels SET other_info = '{info}' WHERE id = 7")
    kill(point, gateway_url, tmp_path, None)
    done = point in {"result", "record"}
    assert tables(database, 7)[::2] == ((2, OFF) if done else (1, ON))
    bench = restarted(gateway_url, tmp_path)
    for _ in range(3):
        bench.breaker.hold()
        bench.post(raw_alert())
    assert (tables(database, 7)[::2], bench.trips()) == ((2, OFF), ["held"])
    bench.breaker.close()
    database.close()


@SQLITE
@pytest.mark.parametrize("point", ["write", "result", "record"])
def test_a_kill_while_an_api_key_is_disabled(gateway_url: str, tmp_path: Path, point: str) -> None:
    database = make_gateway(gateway_url)
    add_key(database, 3)
    kill(point, gateway_url, tmp_path, webhook(raw_alert(KEY)))
    assert key_status(database, 3) == (1 if point == "write" else 2)
    bench = restarted(gateway_url, tmp_path)
    for _ in range(3):
        assert bench.post(raw_alert(KEY)).status_code == 200
    assert (key_status(database, 3), bench.trips()) == (2, ["held"])
    assert bench.notices() == ["Tripped"]
    bench.breaker.close()
    database.close()


@SQLITE
@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("flavour", Flavour)
def test_a_kill_after_which_no_delivery_comes(
    gateway_url: str, tmp_path: Path, flavour: Flavour, *, ended: bool
) -> None:
    database = make_gateway(gateway_url, flavour)
    add_channel(database, 7)
    kill("result", gateway_url, tmp_path, webhook(raw_alert()))
    bench = restarted(gateway_url, tmp_path)
    if ended:
        bench.post(raw_alert(status="resolved"))
    bench.breaker.hold()
    assert (tables(database, 7)[::2], bench.trips()) == ((2, OFF), ["held"])
    assert (bench.held(), bench.notices()) == (["channel 7"], ["Tripped"])
    rows = [r for r in bench.breaker.record.notifications(9) if r.result == "tripped"]
    assert [row.ended_at is not None for row in rows] == [ended]
    bench.breaker.close()
    database.close()


@SQLITE
def test_what_was_not_written_is_left_to_the_next_delivery(
    gateway_url: str, tmp_path: Path
) -> None:
    database = make_gateway(gateway_url)
    add_channel(database, 7)
    kill("write", gateway_url, tmp_path, webhook(raw_alert()))
    bench = restarted(gateway_url, tmp_path)
    bench.breaker.hold()
    assert (tables(database, 7)[::2], bench.trips()) == ((1, ON), ["writing"])
    (bench.breaker.store.path.parent / "mode").write_text("dry-run")
    bench.post(raw_alert())
    assert tables(database, 7)[::2] == (1, ON)
    bench.breaker.close()
    database.close()


@SQLITE
def test_a_dry_run_after_a_kill_writes_nothing(gateway_url: str, tmp_path: Path) -> None:
    database = make_gateway(gateway_url)
    add_channel(database, 7)
    kill("result", gateway_url, tmp_path, webhook(raw_alert()))
    run(database, "UPDATE abilities SET enabled = 1 WHERE channel_id = 7")
    bench = restarted(gateway_url, tmp_path)
    (bench.breaker.store.path.parent / "mode").write_text("dry-run")
    bench.breaker.hold()
    assert bench.post(raw_alert()).status_code == 503
    assert tables(database, 7)[::2] == (2, ON)
    (bench.breaker.store.path.parent / "mode").write_text("enforce")
    assert bench.post(raw_alert()).status_code == 200
    assert (tables(database, 7)[::2], bench.trips()) == ((2, OFF), ["held"])
    bench.breaker.close()
    database.close()
