"""The command newapi-demo."""

import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from demo.cli import main

GATEWAY = "from demo.cli import main; main()"


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(main, list(arguments))
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def dsn(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'one-api.db'}"


def test_tables_then_rows(dsn: str) -> None:
    assert "One API: tables created" in run("schema", "--dsn", dsn, "--flavour", "one-api").output
    said = run("load", "--dsn", dsn, "--rows", "200", "--days", "2", "--channels", "3").output
    assert "200 rows in" in said
    assert "type 2: " in said


def test_what_cannot_work_ends_with_a_line(dsn: str, tmp_path: Path) -> None:
    assert "no such file" in run("load", "--dsn", dsn, code=3).output
    assert "SQL_DSN has a wrong value (not shown" in run("load", "--dsn", "x", code=2).output
    run("schema", "--dsn", dsn)
    assert (
        "--history: expected a SQLite file"
        in run("gateway", "--dsn", "u:p@tcp(127.0.0.1:1)/x", "--history", "1", code=2).output
    )
    assert (
        "expected --control" in run("gateway", "--dsn", dsn, "--incident-after", "1", code=2).output
    )
    assert "at least 1 channel" in run("load", "--dsn", dsn, "--keys", "0", code=2).output
    assert "not empty" in run("schema", "--dsn", dsn, code=3).output
    (tmp_path / "file").touch()
    control = str(tmp_path / "file" / "control")
    assert "--control=" in run("incident", "dead", "--control", control, code=2).output


def test_without_honcho_all_but_the_demo_itself_works(tmp_path: Path) -> None:
    (tmp_path / "honcho.py").write_text("raise ModuleNotFoundError")
    for words, code in ((["--help"], 0), (["run", "--help"], 0), (["run"], 2)):
        done = subprocess.run(
            [sys.executable, "-c", GATEWAY, *words],
            env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        said = "newapi-demo run needs the Python package honcho: " if code else ""
        assert done.stderr.startswith(said)
        assert len(done.stderr.splitlines()) == (code == 2)


def test_an_incident_is_started_and_stopped(tmp_path: Path) -> None:
    control = tmp_path / "control"
    run("incident", "slow", "--channel", "3", "--for", "60", "--control", str(control))
    assert [path.name for path in control.iterdir()] == ["slow-3.json"]
    assert "1 ended" in run("incident", "slow", "--stop", "--control", str(control)).output
    assert not list(control.iterdir())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_gateway_runs_until_it_is_told_to_end(
    dsn: str, tmp_path: Path, number: signal.Signals
) -> None:
    run("schema", "--dsn", dsn)
    command = [sys.executable, "-c", GATEWAY, "gateway", "--dsn", dsn, "--rate", "50", "--steady"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            _wait_for_rows(tmp_path / "one-api.db")
            began = time.monotonic()
            process.send_signal(number)
            _, said = process.communicate(timeout=10)
        finally:
            process.kill()
    assert process.returncode == 0
    assert time.monotonic() - began < 3
    assert "rows written" in said.splitlines()[-1]


def _wait_for_rows(path: Path) -> None:
    until = time.monotonic() + 30
    connection = sqlite3.connect(path, timeout=5)
    while not connection.execute("SELECT count(*) FROM logs").fetchone()[0]:
        assert time.monotonic() < until
        time.sleep(0.05)
    connection.close()
