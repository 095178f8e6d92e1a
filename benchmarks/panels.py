"""How long each panel of each dashboard takes at the largest size, over a day and over 30 days."""

import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psutil
import requests

from benchmarks import panels_naive
from benchmarks.panels_history import Size, history
from benchmarks.panels_queries import Request, requests_of
from tests.grafana_queries import dashboard
from tests.servers import Prometheus

PAGES = (
    "overview", "channels", "models", "model-status", "api-keys", "users", "logs", "errors",
    "performance", "alerts", "monitor",
)  # fmt: skip
RANGES = ("24h", "30d")
ROUNDS = 3
GOAL = 1.0
"""Seconds of a panel."""
LIMIT = 120
"""Seconds after which Prometheus gives up a query, as it is unless told otherwise."""
RETENTION = "--storage.tsdb.retention.time=35d"


@dataclass
class Panel:
    """What a panel took: seconds, and Prometheus's seconds of processor, round by round."""

    page: str
    length: str
    title: str
    requests: list[Request]
    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Its seconds."""
        return statistics.median(self.seconds)

    @property
    def used(self) -> float:
        """Its seconds of processor."""
        return statistics.median(self.processor)

    @property
    def expressions(self) -> list[str]:
        """Its PromQL."""
        return [request.parameters["query"] for request in self.requests]

    def __str__(self) -> str:
        """Give a line of a table."""
        return (
            f"    {self.page:<13}{self.length:<5}{self.title:<32}{len(self.requests):>8}"
            f"{1000 * self.median:>9,.0f}{1000 * max(self.seconds):>9,.0f}"
            f"{1000 * self.used:>11,.0f}"
        )


HEADER = (
    f"    {'page':<13}{'range':<5}{'panel':<32}{'queries':>8}{'median':>9}{'worst':>9}"
    f"{'processor':>11}"
)


class Client:
    """Asks a Prometheus, and tells what that took."""

    def __init__(self, server: Prometheus, pid: int) -> None:
        self._url = server.url
        self._process = psutil.Process(pid)
        self._session = requests.Session()
        self._session.trust_env = False

    def measure(self, panel: Panel, rounds: int = 0) -> bool:
        """Send a panel's queries one after the other; whether all were answered in time.

        Where there are rounds, once more before them: it is then that files come into memory.
        """
        answered = True
        for index in range(rounds + 1):
            before, started = self._used(), time.perf_counter()
            answered = all(self._ask(request) for request in panel.requests)
            if index or not rounds:
                panel.seconds.append(time.perf_counter() - started)
                panel.processor.append(self._used() - before)
        return answered

    def _ask(self, request: Request) -> bool:
        answer = self._session.post(
            f"{self._url}{request.path}", data=request.parameters, timeout=2 * LIMIT
        )
        if answer.ok:
            return True
        text = answer.text[:500]
        if "timed out" in text:
            return False
        raise RuntimeError(f"{request.panel}: {text}")

    def _used(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)


def main(size: Size = Size(), rounds: int = ROUNDS) -> None:  # noqa: B008  (it is frozen)
    """Print the slowest panel of each page, those that miss the goal, and what is naive beside."""
    past = history(size)
    server = Prometheus("{}\n", RETENTION)
    try:
        began = time.perf_counter()
        past.write(server)
        build = server.get("/api/v1/status/buildinfo")["data"]["version"]
        print(
            f"\nDashboards: {size.channels} channels of {size.models} models, {size.keys:,} API"
            f" keys, 30 days: {len(past.series):,} series, {past.samples / 1e9:.1f} billion"
            f" samples, written in {time.perf_counter() - began:.0f} s; Prometheus {build}"
        )
        _measure(server, past.end, rounds)
    finally:
        server.close()


def _measure(server: Prometheus, end: int, rounds: int) -> None:
    client = Client(server, server.pid)
    print(f"\nThe slowest panel of each page, milliseconds, {rounds} rounds\n{HEADER}")
    measured: list[Panel] = []
    for page in PAGES:
        for length in RANGES:
            panels = list(_panels(dashboard("en", page), page, length, server, end))
            for panel in panels:
                client.measure(panel, rounds)
            print(max(panels, key=lambda panel: panel.median), flush=True)
            measured += panels
    ordered = sorted(measured, key=lambda panel: -panel.median)
    print(f"\nAll panels that take longer than {GOAL:g} s\n{HEADER}")
    print("\n".join(str(panel) for panel in ordered if panel.median > GOAL) or "    none")
    print("\nWhole pages, all panels one after the other, milliseconds")
    for page in PAGES:
        sums = (sum(p.median for p in ordered if (p.page, p.length) == (page, r)) for r in RANGES)
        print(f"    {page:<13}" + "".join(f"{1000 * total:>9,.0f}" for total in sums))
    _compare(client, server, end, ordered)


def _panels(
    model: dict[str, Any], page: str, length: str, server: Prometheus, end: int
) -> Iterator[Panel]:
    asked: dict[str, list[Request]] = {}
    for request in requests_of(model, server, length, end):
        asked.setdefault(request.panel, []).append(request)
    for title, found in asked.items():
        yield Panel(page, length, title, found)


def _compare(client: Client, server: Prometheus, end: int, ordered: list[Panel]) -> None:
    """Print what the slowest numbers and the slowest graph of each page take by increase()."""
    print("\nThe same by increase(), once, at 30 days: how often as much of the processor")
    print(HEADER)
    for page, model in panels_naive.dashboards().items():
        naive = {panel.title: panel for panel in _panels(model, page, "30d", server, end)}
        mine = [panel for panel in ordered if (panel.page, panel.length) == (page, "30d")]
        other = [p for p in mine if p.expressions != naive[p.title].expressions]
        for path in ("/api/v1/query", "/api/v1/query_range"):
            panel = next((p for p in other if p.requests[0].path == path), None)
            if panel is not None:
                there = naive[panel.title]
                answered = client.measure(there)
                more = "" if answered else "  a query was given up"
                ratio = there.used / max(panel.used, 0.01)
                print(f"{there}{ratio:>9,.0f}{more}", flush=True)


if __name__ == "__main__":
    numbers = list(map(int, sys.argv[1:]))
    main(Size(*numbers[:3]), *numbers[3:])
