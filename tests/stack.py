"""The whole chain on real servers: gateway, exporter, Prometheus, Alertmanager, breaker."""

import sys
import tempfile
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
    """

    def __init__(self, dsn: str, alerts: str, language: str = "en") -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="newapi-stack-"))
        self._open = ExitStack()
        alerts_file = self._folder / "alerts.yml"
        alerts_file.write_text(alerts, encoding="utf-8")
        self.telegram = Telegram()
        self.exporter = Exporter({"SQL_DSN": dsn, "ALERTS_FILE": str(alerts_file)})
        config = self._folder / "config"
        self.alertmanager = Alertmanager(config / "alertmanager" / "alertmanager.yml")
        self.breaker = Breaker(
            {
                "SQL_DSN": dsn,
                "BREAKER_TOKEN": TOKEN,
                "ALERTMANAGER_URL": self.alertmanager.url,
                "MONITOR_LANG": language,
            }
        )
        self.prometheus = Prometheus(config / "prometheus" / "prometheus.yml")
        settings = load(
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
        render(settings, config)

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

    def __exit__(self, *_: object) -> None:
        self._open.close()
        for path in sorted(self._folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        self._folder.rmdir()
