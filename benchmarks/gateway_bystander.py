"""A process that takes as much of a processor as the exporter, and never asks the database.

What the gateway loses beside it is what any program costs that runs on the same machine: two
processors of a virtual machine are often two threads of one core.
"""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from exporter.entry import read_entries
from exporter.totals import fold
from newapi.rows import LogRow
from newapi.schema import Flavour
from tests.torture.writers import patterns

BEAT = 2.0
"""Seconds between two beginnings, as POLL_INTERVAL is."""

WARM_UP = 2.0
"""Seconds of its own start, which are not to fall into what is measured."""


@contextmanager
def bystander(percent: float) -> Iterator[None]:
    """Have one at work on the processors of this thread, once it has started.

    Args:
        percent: of one processor.
    """
    command = [sys.executable, "-m", "benchmarks.gateway_bystander", str(percent)]
    process = subprocess.Popen(command)
    try:
        time.sleep(WARM_UP)
        if process.poll() is not None:
            raise RuntimeError("the bystander ended")
        yield
    finally:
        process.kill()
        process.wait()


def _burn(percent: float) -> None:
    """Sum up the same rows over and over, as the exporter does with new ones."""
    some = patterns(1)
    random.Random(1).shuffle(some)
    rows = [LogRow._make(_columns(number, row)) for number, row in enumerate(some)]
    due = time.monotonic()
    while True:
        began = time.process_time()
        while time.process_time() - began < BEAT * percent / 100:
            events = (entry.event for entry in read_entries(rows[:200], Flavour.NEW_API))
            fold(event for event in events if event is not None)
        due += BEAT
        time.sleep(max(due - time.monotonic(), 0))


def _columns(number: int, row: object) -> Iterator[object]:
    yield number
    for name in LogRow._fields[1:]:
        yield getattr(row, {"duration": "use_time"}.get(name, name))


if __name__ == "__main__":
    _burn(float(sys.argv[1]))
