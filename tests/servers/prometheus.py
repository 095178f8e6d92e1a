"""Prometheus for tests."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from service.binaries import find
from tests.servers.http import HttpServer


class Sample(NamedTuple):
    """One element of a query's answer."""

    labels: dict[str, str]
    value: float


class Prometheus(HttpServer):
    """A server with its lifecycle API on.

    Args:
        config: its path, used where it stands, or its text, which finds the rules as rules/NAME.
        options: more arguments for prometheus.
        rules: rule files by name: paths to copy, or their text.
    """

    name = "prometheus"

    def __init__(
        self, config: str | Path, *options: str, rules: Mapping[str, str | Path] | None = None
    ) -> None:
        super().__init__(config, *options)
        self.rules = self.folder / "rules"
        self.rules.mkdir()
        for name, rule in (rules or {}).items():
            (self.rules / name).write_text(rule if isinstance(rule, str) else rule.read_text())

    def command(self) -> list[str]:
        """The program and its arguments."""
        return [
            str(find("prometheus")),
            f"--config.file={self.config}",
            f"--storage.tsdb.path={self.data}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--web.enable-lifecycle",
            *self.options,
        ]

    def query(self, promql: str, at: float | None = None) -> list[Sample]:
        """The answer to an instant query: the elements of a vector, or one scalar."""
        moment = {} if at is None else {"time": str(at)}
        data = self.get("/api/v1/query", query=promql, **moment)["data"]
        if data["resultType"] == "scalar":
            return [Sample({}, float(data["result"][1]))]
        return [Sample(item["metric"], float(item["value"][1])) for item in data["result"]]

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that are pending or firing."""
        found: list[dict[str, Any]] = self.get("/api/v1/alerts")["data"]["alerts"]
        return found


def promtool(
    *arguments: str | Path, cwd: Path | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run promtool; where it fails and `check` is set, that fails the test with what it said."""
    return run_tool(find("promtool"), *arguments, cwd=cwd, check=check)


def run_tool(
    program: Path, *arguments: str | Path, cwd: Path | None, check: bool
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, with its output as text."""
    done = subprocess.run(
        [program, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )
    if check and done.returncode:
        raise AssertionError(
            f"{program.name} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        )
    return done
