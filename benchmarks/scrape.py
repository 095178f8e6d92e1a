"""A scrape at growing numbers of series, and a start with them: a real exporter, a real client."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from newapi.database import Database
from tests.bulk import OTHER
from tests.follower import LOGS, REQUEST
from tests.gateway import gateway_at
from tests.programs import Exporter
from tests.servers.process import wait_until

SERIES = (1_000, 10_000, 20_000, 100_000)
ROUNDS = 10
PARALLEL = 10
MODELS = 20
EACH = 40
"""Series that a channel's model brings, roughly."""
PLAIN, GZIP = {"Accept-Encoding": "identity"}, {"Accept-Encoding": "gzip"}
IMPORT = "import exporter.cli, exporter.serve"


class _Parsed(Collector):
    """The same numbers, as prometheus_client would expose them."""

    def __init__(self, page: str) -> None:
        self._families = list(text_string_to_metric_families(page))

    def collect(self) -> Iterator[Metric]:
        """Give them."""
        return iter(self._families)


def main() -> None:
    """Print milliseconds and bytes of a scrape by the number of series, and of a start."""
    imports = min(_seconds(_import) for _ in range(3))
    print("\nA scrape, milliseconds (median, worst of 10); generate_latest: the same numbers")
    print(f"    imports alone: {1000 * imports:.0f} ms, part of each start")
    print(
        f"    {'series':>8}{'plain':>8}{'worst':>8}{'gzip':>8}{'worst':>8}{'10 at once':>12}"
        f"{'generate_latest':>17}{'MB':>7}{'gzip MB':>9}{'start ms':>10}"
    )
    for wanted in SERIES:
        with tempfile.TemporaryDirectory() as folder:
            print(f"    {_measure(Path(folder), wanted)}")


def _measure(folder: Path, wanted: int) -> str:
    dsn = f"sqlite:///{folder}/one-api.db"
    with (
        gateway_at(dsn) as database,
        Exporter({"SQL_DSN": dsn, "POLL_INTERVAL": "1"}) as exporter,
    ):
        _write(database, max(wanted // EACH, 1))
        wait_until(lambda: len(exporter.metrics().get("newapi_requests_total", {})) >= 1, 60)
        time.sleep(2)  # what was held is shown
        plain: list[float] = []
        zipped: list[float] = []
        both: list[float] = []
        for _ in range(ROUNDS):
            plain.append(_seconds(lambda: _scrape(exporter.url, PLAIN)))
            zipped.append(_seconds(lambda: _scrape(exporter.url, GZIP)))
        with ThreadPoolExecutor(PARALLEL) as pool:
            for _ in range(3):
                begun = time.perf_counter()
                list(pool.map(lambda _: _scrape(exporter.url, GZIP), range(PARALLEL)))
                both.append(time.perf_counter() - begun)
        page = _scrape(exporter.url, PLAIN)
        small = int(_head(exporter.url)["Content-Length"])
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Parsed(page.decode()))
        client = statistics.median(_seconds(lambda: generate_latest(registry)) for _ in range(5))
        starts = [_start(exporter) for _ in range(3)]
    found = sum(not line.startswith(b"#") for line in page.splitlines())
    return (
        f"{found:>8,}{_ms(plain)}{1000 * max(plain):>8.0f}{_ms(zipped)}{1000 * max(zipped):>8.0f}"
        f"{1000 * statistics.median(both):>12.0f}{1000 * client:>17.0f}{len(page) / 1e6:>7.2f}"
        f"{small / 1e6:>9.2f}{1000 * statistics.median(starts):>10.0f}"
    )


def _write(database: Database, many: int) -> None:
    rows = [
        {
            **REQUEST,
            "created_at": int(time.time()),
            "channel_id": 1 + number // MODELS,
            "model_name": f"model-{number % MODELS}",
            "token_id": 1 + number,
            "is_stream": True,
            "other": OTHER,
        }
        for number in range(many)
    ]
    with database.begin() as connection:
        connection.execute(LOGS.insert(), rows)


def _start(exporter: Exporter) -> float:
    """Seconds from exec to the first page."""
    exporter.stop()
    begun = time.perf_counter()
    exporter.start()
    _scrape(exporter.url, PLAIN)
    return time.perf_counter() - begun


def _scrape(url: str, headers: dict[str, str]) -> bytes:
    answer = requests.get(f"{url}/metrics", headers=headers, timeout=60)
    answer.raise_for_status()
    return answer.content


def _head(url: str) -> dict[str, str]:
    return dict(requests.get(f"{url}/metrics", headers=GZIP, timeout=60, stream=True).headers)


def _import() -> None:
    subprocess.run([sys.executable, "-c", IMPORT], check=True)


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _ms(times: list[float]) -> str:
    return f"{1000 * statistics.median(times):>8.0f}"


if __name__ == "__main__":
    main()
