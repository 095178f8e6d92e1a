"""A backup of the exporter's state that is put back, as docs/upgrades.md has it."""

import shutil
import time
from pathlib import Path

from demo.load import load
from demo.world import Sizes
from newapi.dsn import parse_dsn
from tests.gateway import gateway_at
from tests.oracle import COUNTED
from tests.programs import Exporter, Samples
from tests.servers.process import wait_until

ROWS = 400


def counters(samples: Samples) -> Samples:
    return {name: samples.get(name, {}) for name in COUNTED}


def test_a_restored_state_catches_up_to_the_same_figures(tmp_path: Path) -> None:
    dsn = f"sqlite:///{tmp_path}/one-api.db"
    state, backup = tmp_path / "state", tmp_path / "backup"
    settings = {"SQL_DSN": dsn, "EXPORTER_STATE": str(state), "ALERTS_FILE": "none.yml"}

    def requests() -> float:
        return sum(program.metrics().get("newapi_exporter_rows_read_total", {}).values())

    def write(seed: int) -> None:
        now = time.time()
        sizes = Sizes(channels=3, keys=5, users=4)
        load(parse_dsn(dsn), rows=ROWS, start=now - 60, end=now, seed=seed, sizes=sizes)

    with gateway_at(dsn):
        write(1)
    with Exporter(settings) as program:
        write(2)
        wait_until(lambda: requests() == ROWS)
    shutil.copytree(state, backup)
    with Exporter(settings) as program:
        write(3)
        wait_until(lambda: requests() == ROWS)
        before = counters(program.metrics())
    shutil.rmtree(state)
    shutil.copytree(backup, state)
    with Exporter(settings) as program:  # ready only when it has caught up
        after = counters(program.metrics())
    assert sum(before["newapi_requests_total"].values()) > ROWS
    assert after == before
