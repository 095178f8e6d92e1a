"""The whole chain on real servers: gateway, exporter, Prometheus, Alertmanager, breaker."""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import requests

from deploy.render import render
from deploy.settings import RenderSettings
from service.settings import load
from tests.programs import Breaker, Exporter
from tests.servers import Alertmanager, Prometheus
from tests.servers.process import Server

TOKEN = "a-token-of-the-tests"
BOT_TOKEN = "1000001:a-bot-of-the-tests"
CHAT_ID = -1009999


class Telegram(Server):
    """The stand-in for the Telegram API."""

    name = "telegram"

    def __init__(self) -> None:
        super().__init__()
        self.url = f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        env = ["env", f"TELEGRAM_BOT_TOKEN={BOT_TOKEN}"]
        return [*env, sys.executable, "-m", "demo.telegram", self.url]

    def answers(self) -> bool:
        try:
            return bool(self._ask())
        except requests.RequestException:
            return False

    def messages(self) -> list[dict[str, Any]]:
        """What was received, oldest first."""
        found: list[dict[str, Any]] = self._ask()["messages"]
        return found

    def refused(self) -> list[str]:
        """Why messages were refused."""
        found: list[str] = self._ask()["refused"]
        return found

    def _ask(self) -> dict[str, Any]:
        answer: dict[str, Any] = requests.get(f"{self.url}/messages", timeout=5).json()
        return answer


class Gateway(Server):
    """The simulated gateway on a database that has its tables."""

    name = "gateway"

    def __init__(self, dsn: str, *options: str) -> None:
        super().__init__()
        self.control = self.folder / "control"
        self._dsn = dsn
        self._options = options

    def command(self) -> list[str]:
        program = str(Path(sys.executable).parent / "newapi-demo")
        control = ["--control", str(self.control)]
        return ["env", f"SQL_DSN={self._dsn}", program, "gateway", *control, *self._options]

    def answers(self) -> bool:
        return self.running


class Stack:
    """Exporter, breaker, Prometheus, Alertmanager and Telegram around a gateway's database.

    Args:
        dsn: the gateway's database.
        alerts: the text of alerts.yml.
        language: of messages.
        hurried: with the intervals of hurry(), and polls every second.
        settings: more settings of exporter and breaker.
    """

    def __init__(
        self,
        dsn: str,
        alerts: str,
        language: str = "en",
        *,
        hurried: bool = False,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="newapi-stack-"))
        self._open = ExitStack()
        self.alerts_file = self._folder / "alerts.yml"
        self.alerts_file.write_text(alerts, encoding="utf-8")
        self.telegram = Telegram()
        more = {"POLL_INTERVAL": "1"} if hurried else {}
        more |= settings or {}
        known = {"SQL_DSN": dsn, "ALERTS_FILE": str(self.alerts_file)}
        self.exporter = Exporter({**known, **more})
        config = self._folder / "config"
        # What it remembers of messages is written at intervals: 1m in service.
        interval = f"--data.maintenance-interval={'1s' if hurried else '1m'}"
        file = config / "alertmanager" / "alertmanager.yml"
        self.alertmanager = Alertmanager(file, interval)
        self.breaker = Breaker(
            {
                "SQL_DSN": dsn,
                "BREAKER_TOKEN": TOKEN,
                "ALERTMANAGER_URL": self.alertmanager.url,
                "MONITOR_LANG": language,
                **more,
            }
        )
        self.prometheus = Prometheus(config / "prometheus" / "prometheus.yml")
        rendering = load(
            RenderSettings,
            exporter_url=self.exporter.url,
            breaker_url=self.breaker.url,
            alertmanager_url=self.alertmanager.url,
            prometheus_url=self.prometheus.url,
            breaker_token=TOKEN,
            telegram_bot_token=BOT_TOKEN,
            telegram_chat_id=CHAT_ID,
            telegram_api_url=self.telegram.url,
            monitor_lang=language,
        )
        render(rendering, config)
        if hurried:
            hurry(config)

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            for server in (
                self.telegram,
                self.alertmanager,
                self.breaker,
                self.exporter,
                self.prometheus,
            ):
                opening.enter_context(server)
            self._open = opening.pop_all()
        return self

    def history(self, *options: str) -> list[dict[str, Any]]:
        """What the breaker recorded, the newest first."""
        program = Path(sys.executable).parent / "newapi-breaker"
        state = self.breaker.settings["BREAKER_STATE"]
        done = subprocess.run(
            [program, "history", "--state", state, "--json", *options],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        entries: list[dict[str, Any]] = json.loads(done.stdout)
        return entries

    def __exit__(self, *_: object) -> None:
        self._open.close()
        for path in sorted(self._folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        self._folder.rmdir()


def hurry(
    config: Path,
    wait: str = "3s",
    crowd: str = "10s",
    interval: str = "1s",
    hour: str = "1h",
    again: str = "59m",
) -> None:
    """Let everything that was rendered happen sooner; what happens is the same.

    Args:
        config: the folder of `newapi-monitor render`.
        wait: for more alerts, before a group's first message.
        crowd: the same, of a rule that looks at each one by itself.
        interval: between two messages of a group.
        hour: the same, of a rule that looks at each one by itself.
        again: after which such a rule is told again.
    """
    path = config / "alertmanager" / "alertmanager.yml"
    text = path.read_text().replace("group_wait: 10s", f"group_wait: {wait}")
    each = f"group_interval: {hour}\n      group_wait: {crowd}"
    text = text.replace("group_interval: 1h", each)
    text = text.replace("repeat_interval: 59m", f"repeat_interval: {again}")
    path.write_text(re.sub(r"group_interval: (1m|10s)", f"group_interval: {interval}", text))
    path = config / "prometheus" / "prometheus.yml"
    text = re.sub(r"scrape_timeout: \w+", "scrape_timeout: 1s", path.read_text())
    path.write_text(re.sub(r"(scrape_interval|evaluation_interval): \w+", r"\1: 1s", text))
    for path in (config / "prometheus" / "rules").iterdir():
        path.write_text(re.sub(r"interval: (2|15)s", "interval: 1s", path.read_text()))
