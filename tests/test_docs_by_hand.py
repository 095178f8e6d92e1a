"""The commands of docs/installation.md for a machine without Docker, run as they stand there.

Its Chinese twin has the same ones: tests/test_docs.py.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from demo.schema import create
from newapi.dsn import parse_dsn
from service.binaries import find
from tests.compose import EXAMPLE
from tests.documents import blocks
from tests.servers.process import free_port, wait_until
from tests.stack import BOT_TOKEN, CHAT_ID, Telegram
from tests.test_compose import make_env, needed_by_make_env

SERVERS = {
    "exporter": (9847, "/-/ready"),
    "breaker": (9848, "/-/ready"),
    "prometheus": (9090, "/-/ready"),
    "alertmanager": (9093, "/-/ready"),
}
"""Where each listens in the document, and what answers 200 there."""


def by_hand() -> str:
    """Give the shell of the section, without what makes the virtual environment."""
    found = [block.code for block in blocks(Path("docs/installation.md")) if block.language == "sh"]
    (first,) = (number for number, code in enumerate(found) if ". ./.env" in code)
    assert "newapi-monitor render" in found[first + 1]
    lines = "".join(found[first : first + 2]).splitlines()
    return "\n".join(line for line in lines if not line.startswith(("python3", "venv/", ". venv/")))


class ByHand:
    """A folder in which `make env` has run, and everything that the document starts in it."""

    def __init__(self, folder: Path, telegram: Telegram) -> None:
        self.ports = {name: free_port() for name in SERVERS}
        self.folder = folder
        needed_by_make_env(folder)
        assert make_env(folder).returncode == 0
        create(parse_dsn(f"sqlite:///{folder}/one-api.db"))
        settings = (folder / ".env").read_text(encoding="utf-8")
        # A port of its own for each, which is the only thing that differs.
        _, without_docker = EXAMPLE.read_text(encoding="utf-8").split("### Without Docker")
        for name in re.findall(r"^#?(\w+)=.*:\d+$", without_docker, re.MULTILINE):
            settings = re.sub(rf"^#?({name}=)", r"\1", settings, flags=re.MULTILINE)
        settings += f"TELEGRAM_BOT_TOKEN={BOT_TOKEN}\nTELEGRAM_CHAT_ID={CHAT_ID}\n"
        settings += f"TELEGRAM_API_URL={telegram.url}\n"
        (folder / ".env").write_text(self.here(settings), encoding="utf-8")
        programs = folder / "bin"
        programs.mkdir()
        for name, program in (
            ("prometheus", "prometheus"),
            ("promtool", "promtool"),
            ("prometheus-alertmanager", "alertmanager"),
        ):
            (programs / name).write_text(f'#!/bin/sh\nexec "{find(program)}" "$@"\n')
            (programs / name).chmod(0o700)
        ours = Path(sys.executable).parent
        self._path = os.pathsep.join((str(programs), str(ours), os.environ["PATH"]))
        self._shell: subprocess.Popen[bytes] | None = None

    def here(self, text: str) -> str:
        """Give a text with the ports of this test."""
        for name, (port, _) in SERVERS.items():
            text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{self.ports[name]}")
        return text

    def start(self, script: str) -> None:
        """Run the script; what it starts goes on."""
        with (self.folder / "log").open("wb") as log:
            self._shell = subprocess.Popen(
                ["/bin/bash", "-ec", f"{self.here(script)}\nwait"],
                cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env={"PATH": self._path}, start_new_session=True,
            )  # fmt: skip

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run one more line in the same shell's environment."""
        return subprocess.run(
            ["/bin/bash", "-ec", f"set -a; . ./.env; {line}"], cwd=self.folder, check=False,
            capture_output=True, text=True, env={"PATH": self._path}, timeout=60,
        )  # fmt: skip

    def answers(self, name: str) -> bool:
        try:
            path = SERVERS[name][1]
            return requests.get(f"http://127.0.0.1:{self.ports[name]}{path}", timeout=5).ok
        except requests.RequestException:
            return False

    def listening(self) -> set[str]:
        """Give every address on which something of it listens."""
        assert self._shell is not None
        return {
            f"{connection.laddr.ip}:{connection.laddr.port}"
            for process in psutil.Process(self._shell.pid).children(recursive=True)
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        }

    def stop(self) -> None:
        if self._shell is None:
            return
        started = psutil.Process(self._shell.pid).children(recursive=True)
        self._shell.kill()
        self._shell.wait()
        for process in started:
            process.send_signal(signal.SIGTERM)
        _, left = psutil.wait_procs(started, 15)
        for process in left:
            process.kill()


@pytest.fixture
def started(tmp_path: Path) -> Iterator[tuple[ByHand, Telegram]]:
    with Telegram() as telegram:
        found = ByHand(tmp_path, telegram)
        try:
            found.start(by_hand())
            yield found, telegram
        finally:
            found.stop()


def test_what_is_started_by_hand_works_and_is_reached_from_this_machine_alone(
    started: tuple[ByHand, Telegram],
) -> None:
    place, telegram = started
    for name in SERVERS:
        wait_until(lambda name=name: place.answers(name), 90, f"{name} answers")  # type: ignore[misc]
    assert place.listening() == {f"127.0.0.1:{port}" for port in place.ports.values()}
    # The breaker finds Alertmanager, the exporter the rules that `make env` speaks of.
    done = place.run("newapi-breaker test-notification")
    assert (done.returncode, done.stderr) == (0, "")
    wait_until(telegram.messages, 20, "the message")
    url = f"http://127.0.0.1:{place.ports['exporter']}/metrics/alerts"
    assert "newapi_alert_rule{" in requests.get(url, timeout=10).text
