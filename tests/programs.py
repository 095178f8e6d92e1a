"""The project's own programs, each as a process with a port, a folder and an environment."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.servers.process import Server

Series = frozenset[tuple[str, str]]
"""The labels of a sample."""
Samples = dict[str, dict[Series, float]]
"""By name of the sample, then by labels."""


class Program(Server):
    """A program of this project, as an installed command; `output` is what it had printed when it
    was stopped.

    Args:
        settings: its environment, beside what it needs to run at all.
        until: the path that answers 200 once it counts as started.
    """

    listens: ClassVar[str]
    keeps: ClassVar[str]

    def __init__(self, settings: Mapping[str, str], until: str = "/-/ready") -> None:
        super().__init__()
        self.url = f"http://127.0.0.1:{self.port}"
        self.output = ""
        self._until = until
        self.settings = {
            self.listens: f"127.0.0.1:{self.port}",
            self.keeps: str(self.folder / "state"),
            "NEW_SERIES_HOLD": "0",
            **settings,
        }

    def command(self) -> list[str]:
        settings = [f"{name}={value}" for name, value in self.settings.items()]
        return ["env", *settings, str(Path(sys.executable).parent / f"newapi-{self.name}")]

    def answers(self) -> bool:
        try:
            return self.get(self._until).ok
        except requests.RequestException:
            return False

    def get(self, path: str) -> requests.Response:
        return requests.get(f"{self.url}{path}", timeout=10)

    def metrics(self, path: str = "/metrics") -> Samples:
        """Scrape it, as Prometheus 2.42 asks by default."""
        answer = self.get(path)
        answer.raise_for_status()
        return parse(answer.text)

    def stop(self, *, crash: bool = False) -> None:
        super().stop(crash=crash)
        if self.log.exists():
            self.output = self.log.read_text(errors="replace")


class Exporter(Program):
    name = "exporter"
    listens = "EXPORTER_LISTEN"
    keeps = "EXPORTER_STATE"


class Breaker(Program):
    name = "breaker"
    listens = "BREAKER_LISTEN"
    keeps = "BREAKER_STATE"


def parse(text: str) -> Samples:
    """Read a page of metrics."""
    samples: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    return samples
