"""Alertmanager for tests."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from service.binaries import find
from tests.servers.http import HttpServer
from tests.servers.prometheus import run_tool


class Alertmanager(HttpServer):
    """A server of its own, without a cluster.

    Args:
        config: its path, used where it stands, or its text.
        options: more arguments for alertmanager.
    """

    name = "alertmanager"

    def command(self) -> list[str]:
        """The program and its arguments."""
        return [
            str(find("alertmanager")),
            f"--config.file={self.config}",
            f"--storage.path={self.data}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            f"--web.external-url={self.url}",
            "--cluster.listen-address=",
            *self.options,
        ]

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that it knows."""
        found: list[dict[str, Any]] = self.get("/api/v2/alerts")
        return found

    def send(self, alerts: Sequence[dict[str, Any]]) -> None:
        """Hand it alerts, as Prometheus does."""
        self.post("/api/v2/alerts", list(alerts))


def amtool(
    *arguments: str | Path, cwd: Path | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run amtool; where it fails and `check` is set, that fails the test with what it said."""
    return run_tool(find("amtool"), *arguments, cwd=cwd, check=check)
