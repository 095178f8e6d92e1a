"""VictoriaMetrics and its evaluator of rules for tests, where the environment names them."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import requests

from tests.servers.http import HttpServer

VARIABLES = ("VICTORIA_METRICS", "VMALERT", "VMALERT_TOOL")


class VictoriaMetrics(HttpServer):
    """A server that shows at once what it was given."""

    name = "victoria-metrics"

    def __init__(self) -> None:
        super().__init__("")

    def command(self) -> list[str]:
        """The program and its arguments."""
        return [
            os.environ["VICTORIA_METRICS"],
            f"-storageDataPath={self.data}",
            f"-httpListenAddr=127.0.0.1:{self.port}",
            "-search.latencyOffset=0s",
            "-search.disableCache",
            "-memory.allowedBytes=256MB",
            "-retentionPeriod=1d",
        ]

    def answers(self) -> bool:
        """Whether it says that it is well."""
        return _well(self.url)

    def write(self, lines: Sequence[str]) -> None:
        """Take samples in Prometheus' text format, with times in milliseconds."""
        answer = requests.post(
            f"{self.url}/api/v1/import/prometheus", data="\n".join(lines).encode(), timeout=30
        )
        answer.raise_for_status()


class Vmalert(HttpServer):
    """An evaluator of rule files on such a server; it tells nobody.

    Args:
        database: what is asked, and what is recorded to.
        rules: the rule files.
    """

    name = "vmalert"

    def __init__(self, database: VictoriaMetrics, rules: Sequence[Path]) -> None:
        super().__init__("")
        self._database = database.url
        self._rules = rules

    def command(self) -> list[str]:
        """The program and its arguments."""
        return [
            os.environ["VMALERT"],
            f"-datasource.url={self._database}",
            f"-remoteWrite.url={self._database}",
            f"-remoteRead.url={self._database}",
            "-remoteWrite.flushInterval=200ms",
            "-rule.evalDelay=0s",
            "-notifier.blackhole",
            f"-httpListenAddr=127.0.0.1:{self.port}",
            *(f"-rule={path}" for path in self._rules),
        ]

    def answers(self) -> bool:
        """Whether it says that it is well."""
        return _well(self.url)

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that it knows."""
        found: list[dict[str, Any]] = self.get("/api/v1/alerts")["data"]["alerts"]
        return found


def _well(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=5).ok
    except requests.RequestException:
        return False
