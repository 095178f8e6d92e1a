"""Hours of traffic: exporter and breaker stay as large as they are, and their sums stay right.

`make soak` runs it; SOAK_SECONDS says for how long, two hours unless it is set.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from demo.schema import create
from newapi.dsn import parse_dsn
from tests.oracle import differences, newapi_sums
from tests.programs import Program
from tests.servers import MariaDB
from tests.servers.process import wait_until
from tests.stack import Gateway, Stack

SECONDS = int(os.environ.get("SOAK_SECONDS", "7200"))
RATE = 100
"""Log rows a second."""
SAMPLES = 120
RULES = """
rules:
  - {name: tokens, type: token_usage, channel: "*", period: 5m, threshold: 1e12}
  - {name: errors, type: error_rate, model: "*", period: 15m, threshold: 99}
  - {name: keys, type: cost, api_key: "*", period: 1h, threshold: 1e9, currency: USD}
"""


class Size(NamedTuple):
    """How large a program is at one moment."""

    memory: float
    """MiB, resident."""
    files: float
    """MiB below its folder of state."""
    descriptors: int
    threads: int


def size(program: Program) -> Size:
    process = Path(f"/proc/{program.pid}")
    status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines())
    state = Path(program.settings[program.keeps])
    kept = sum(path.stat().st_size for path in state.rglob("*") if path.is_file())
    return Size(
        int(status["VmRSS"].split()[0]) / 1024,
        kept / 2**20,
        len(list((process / "fd").iterdir())),
        int(status["Threads"]),
    )


@pytest.mark.soak
def test_nothing_grows(mariadb: MariaDB, capsys: pytest.CaptureFixture[str]) -> None:
    dsn = mariadb.create_database("soak")
    create(parse_dsn(dsn))
    with Stack(dsn, RULES) as stack:
        programs: dict[str, Program] = {"exporter": stack.exporter, "breaker": stack.breaker}
        sizes: dict[str, list[Size]] = {name: [] for name in programs}
        began = time.monotonic()
        with Gateway(dsn, "--rate", str(RATE), "--steady"):
            while (passed := time.monotonic() - began) < SECONDS:
                time.sleep(min(SECONDS / SAMPLES, SECONDS - passed))
                for name, program in programs.items():
                    sizes[name].append(size(program))
        expected = newapi_sums(dsn)
        rows = sum(expected["newapi_requests_total"].values())

        def counted() -> bool:
            found = stack.exporter.metrics()["newapi_requests_total"]
            return sum(found.values()) >= rows

        wait_until(counted, 60, "the last rows are counted")
        wrong = differences(stack.exporter.metrics(), expected)
    mariadb.drop_database("soak")
    table = "".join(
        f"    {name:<10}{field:<14}{''.join(f'{v:>9.2f}' for v in quarters(taken, field))}\n"
        for name, taken in sizes.items()
        for field in Size._fields
    )
    with capsys.disabled():
        head = f"\n{rows:,.0f} requests in {SECONDS} s; medians of each quarter:\n"
        sys.stdout.write(head + table)
    assert wrong == []
    assert rows > SECONDS * RATE / 2
    assert {name: found for name, taken in sizes.items() if (found := grown(taken))} == {}


def grown(sizes: list[Size]) -> list[str]:
    """Name what is larger in the last quarter than it was in the one before, or before that.

    By then each window is full. Of what a program does at all, some is new still: 2 MiB.
    """
    allowed = {"memory": 2, "files": 2, "descriptors": 1, "threads": 1}
    return [
        field
        for field, more in allowed.items()
        for _, second, third, last in [quarters(sizes, field)]
        if last > third + more or (more == 1 and last > second + more)
    ]


@pytest.mark.parametrize(
    ("leak", "found"),
    [
        (Size(0, 0, 0, 0), []),
        (Size(10, 0, 0, 0), ["memory"]),
        (Size(0, 5, 0, 0), ["files"]),
        (Size(0, 0, 10, 5), ["descriptors", "threads"]),
    ],
)
def test_a_leak_is_seen(leak: Size, found: list[str]) -> None:
    """In two hours; each figure is what is lost in an hour."""
    hours = [2 * n / SAMPLES for n in range(SAMPLES)]
    taken = [
        Size(80 + leak.memory * h, 4 + leak.files * h, int(14 + leak.descriptors * h),
             int(10 + leak.threads * h))
        for h in hours
    ]  # fmt: skip
    assert grown(taken) == found


def quarters(sizes: list[Size], field: str) -> list[float]:
    """Give the median of a field in each quarter of the time."""
    values: list[float] = [getattr(one, field) for one in sizes]
    each = len(values) // 4
    middle: Callable[[list[float]], float] = statistics.median
    return [middle(values[n * each : (n + 1) * each]) for n in range(4)]
