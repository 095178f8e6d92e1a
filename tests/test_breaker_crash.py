"""kill -9 between the steps of a trip, then a restart and Alertmanager's retry: one trip."""

import json
from pathlib import Path

import pytest

from newapi.schema import Flavour
from tests.breaker import OFF, ON, SQLITE
from tests.breaker_crash import POINTS, kill, restarted
from tests.gateway import run
from tests.gateway_channels import add_channel, add_key, enable, key_status, make_gateway, tables
from tests.webhooks import KEY, raw_alert, webhook


@pytest.mark.parametrize(
    ("flavour", "point"),
    [(Flavour.NEW_API, point) for point in POINTS]
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


@pytest.mark.parametrize("point", ["look", "write", "half", "result", "record", "answer"])
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
    done = point in {"result", "record", "answer"}
    assert tables(database, 7)[::2] == ((2, OFF) if done else (1, ON))
    bench = restarted(gateway_url, tmp_path)
    for _ in range(3):
        bench.breaker.hold()
        bench.post(raw_alert())
    assert (tables(database, 7)[::2], bench.trips()) == ((2, OFF), ["held"])
    assert bench.notices()[0] == "Tripped"
    bench.breaker.close()
    database.close()


@pytest.mark.parametrize("point", ["look", "intent", "write", "result", "record", "answer"])
def test_a_kill_while_an_api_key_is_disabled(gateway_url: str, tmp_path: Path, point: str) -> None:
    database = make_gateway(gateway_url)
    add_key(database, 3)
    kill(point, gateway_url, tmp_path, webhook(raw_alert(KEY)))
    assert key_status(database, 3) == (2 if point in {"result", "record", "answer"} else 1)
    bench = restarted(gateway_url, tmp_path)
    for _ in range(3):
        assert bench.post(raw_alert(KEY)).status_code == 200
    assert (key_status(database, 3), bench.trips()) == (2, ["held"])
    assert bench.notices() == ["Tripped"]
    assert [result for result, _, _ in bench.results()] == ["tripped"]
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
