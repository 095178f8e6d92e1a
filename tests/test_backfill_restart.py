"""A backfill that is interrupted, at whatever moment, ends as if it had not been."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from demo.schema import create
from exporter.backfill import boundary, progress, writer
from exporter.backfill.blocks import WORK, BlockError, Job, Workshop
from exporter.backfill.grid import Grid
from exporter.backfill.progress import Progress
from exporter.backfill.writer import Writer
from exporter.state import State
from newapi.database import Database
from newapi.dsn import parse_dsn
from newapi.logs import LogTable
from newapi.schema import inspect
from service.binaries import find
from tests.servers.process import wait_until
from tests.servers.prometheus import promtool
from tests.test_backfill import COMMAND, attempt, write

MOMENT = 1_790_000_123.456


class Crash(BaseException):
    """The process ends here, as by kill -9."""


class Place:
    """A log table, a state folder and a data folder of Prometheus."""

    def __init__(self, folder: Path, dsn: str) -> None:
        self.out = folder / "data"
        self.out.mkdir(parents=True)
        self._state = folder / "state"
        self._database = Database(parse_dsn(dsn))
        state = State(self._state)
        with self._database.connect() as connection:
            table = LogTable(inspect(connection))
            end = boundary.find(connection, table, lambda: MOMENT)
        progress.begin(state, Progress(Grid.over(3, MOMENT), self.out, "here:1"), end)
        state.close()

    def run(self) -> Progress | None:
        """Go on with the backfill; None where it is finished."""
        state = State(self._state)
        try:
            begun = progress.load(state)
            if begun is None:
                return None
            workshop = Workshop(self.out, find("promtool"))
            return Writer(self._database, state, begun, workshop, 10, lambda *_: None).run()
        finally:
            state.close()

    def result(self) -> tuple[Any, ...]:
        """Everything that a backfill leaves behind."""
        state = State(self._state)
        kept = (
            state.sums().sums,
            state.position(),
            state.gaps(),
            sorted(state.failures(), key=lambda failure: failure.request_id),
            state.entities(),
            state.noted("counting_since"),
            progress.load(state),
        )
        state.close()
        assert not (self.out / WORK).exists()
        (self.out / "wal").mkdir(exist_ok=True)  # promtool wants one
        return (*kept, sorted(promtool("tsdb", "dump", self.out).stdout.splitlines()))

    def blocks(self) -> list[tuple[int, int]]:
        """Begin and end of each block, milliseconds."""
        lines = promtool("tsdb", "list", self.out).stdout.splitlines()[1:]
        return sorted((int(line.split()[1]), int(line.split()[2])) for line in lines)


@pytest.fixture
def dsn(tmp_path: Path) -> str:
    """A log table with three days of rows before MOMENT."""
    return log_table(tmp_path, int(MOMENT))


def log_table(tmp_path: Path, now: int) -> str:
    dsn = f"sqlite:///{tmp_path}/one-api.db"
    create(parse_dsn(dsn))
    engine = create_engine(parse_dsn(dsn))
    write(engine, now, days=3, rows=1500)
    engine.dispose()
    return dsn


def fails(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, number: int) -> None:
    """Let the process end at the n-th call of a function, before or after it did its work."""
    original: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def replaced(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number // 2 and number % 2 == 0:
            raise Crash
        done = original(*args, **kwargs)
        if calls == number // 2 and number % 2 == 1:
            raise Crash
        return done

    monkeypatch.setattr(owner, name, replaced)


def test_a_crash_at_any_step_changes_nothing(
    tmp_path: Path, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "SAMPLES", 20_000)
    monkeypatch.setattr(writer, "KEPT", 500)
    whole = Place(tmp_path / "whole", dsn)
    done = whole.run()
    expected = whole.result()
    assert done is not None
    assert done.blocks == len(whole.blocks()) >= 3
    assert done.samples == len(expected[-1])
    steps: list[tuple[Any, str]] = [
        (Job, "start"),
        (Job, "finish"),
        (progress, "save"),
        (Workshop, "move"),
        (Path, "rename"),
        (progress, "finish"),
    ]
    for owner, name in steps:
        place = Place(tmp_path / f"{owner.__name__}.{name}", dsn)
        crashes = 0
        for number in range(2, 8):
            with monkeypatch.context() as patched:
                fails(patched, owner, name, number)
                with contextlib.suppress(Crash):
                    place.run()
                    break
            crashes += 1
        else:
            place.run()
        assert crashes > (name != "finish"), name
        assert place.result() == expected, name
        ranges = place.blocks()
        assert all(end <= begin for (_, end), (begin, _) in pairwise(ranges))


def test_a_block_that_has_gone_is_said(
    tmp_path: Path, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path / "place", dsn)
    with monkeypatch.context() as patched:
        fails(patched, Workshop, "move", 6)
        with pytest.raises(Crash):
            place.run()
    for path in sorted((place.out / WORK).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    with pytest.raises(BlockError, match="is not there any more"):
        place.run()


def test_signals_end_it_and_the_same_command_goes_on(tmp_path: Path) -> None:
    dsn = log_table(tmp_path, int(time.time()))
    out, state = tmp_path / "data", tmp_path / "state"
    command = [*COMMAND, "--out", str(out), "--days", "3"]
    environment = os.environ | {"SQL_DSN": dsn, "EXPORTER_STATE": str(state)}
    boundaries = set()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with subprocess.Popen(
            command, env=environment, stderr=subprocess.PIPE, text=True
        ) as running:
            folder = f"*{running.pid}-*"
            wait_until(lambda folder=folder: list((out / WORK).glob(folder)), 20)  # type: ignore[misc]
            running.send_signal(number)
            _, said = running.communicate(timeout=20)
        if number is signal.SIGKILL:
            assert running.returncode == -number
        else:
            assert running.returncode == 128 + number
            assert "interrupted: the same command goes on from here" in said
        kept = State(state)
        found = progress.load(kept)
        assert found is not None
        boundaries.add(found.grid)
        kept.close()
    assert len(boundaries) == 1
    other = attempt(dsn, state, tmp_path / "other", "--days", "3")
    assert other.returncode == 2
    assert f"a backfill into {out} was interrupted" in other.stderr
    done = attempt(dsn, state, out)
    assert done.returncode == 0, done.stderr
    assert "going on with the backfill" in done.stderr
    assert len(list(out.iterdir())) in {2, 3}  # blocks, cut at multiples of 54 hours
