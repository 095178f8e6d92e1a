"""What alerts cost at the largest size: rules in Prometheus, and the series that they rest on."""

import re
import statistics
import time
from pathlib import Path

from benchmarks import alert_series
from tests.remote_write import RECEIVER
from tests.rule_history import write_history
from tests.servers import Prometheus

RULES = Path(__file__).parent.parent / "prometheus" / "rules"

OFTEN = 8
"""Seconds between two evaluations of a group that has more: its cost does not depend on it."""
CONFIG = """
global: {evaluation_interval: 8s}
rule_files: [rules/*.yml]
"""

Times = dict[str, dict[str, float]]
"""Seconds of an evaluation, by group, by its moment."""


def main(seconds: float = 40) -> None:
    """Print the median and the worst evaluation of each group, and the sum of the medians."""
    with Prometheus(CONFIG, RECEIVER, rules=_rules()) as server:
        write_history(server)
        taken = _watch(server, time.monotonic() + seconds)
        build = server.get("/api/v1/status/buildinfo")["data"]["version"]
    print(f"\nEvaluation of all rules at the largest size, milliseconds, Prometheus {build}:")
    print(f"    {'group':<32}{'median':>8}{'worst':>8}{'evaluations':>13}")
    rows = {group: list(moments.values()) for group, moments in taken.items()}
    for group, times in sorted(rows.items(), key=lambda row: -statistics.median(row[1])):
        middle, worst = 1000 * statistics.median(times), 1000 * max(times)
        print(f"    {group:<32}{middle:>8.1f}{worst:>8.1f}{len(times):>13}")
    total = 1000 * sum(statistics.median(times) for times in rows.values())
    print(f"    {'all groups':<32}{total:>8.1f}")
    alert_series.main()


def _rules() -> dict[str, str]:
    """Give the rule files, with groups evaluated so often that each is within a minute."""
    return {
        path.name: re.sub(r"interval: (15s|\d+m)", f"interval: {OFTEN}s", path.read_text("utf-8"))
        for path in RULES.glob("*.yml")
    }


def _watch(server: Prometheus, until: float) -> Times:
    """Note what each evaluation took that began after the history was written."""
    known: Times = {}
    before = {name: moment for name, moment, _ in _evaluations(server)}
    while time.monotonic() < until:
        for name, moment, seconds in _evaluations(server):
            if moment != before.get(name):
                known.setdefault(name, {})[moment] = seconds
        time.sleep(0.5)
    return known


def _evaluations(server: Prometheus) -> list[tuple[str, str, float]]:
    groups = server.get("/api/v1/rules")["data"]["groups"]
    return [(g["name"], g["lastEvaluation"], float(g["evaluationTime"])) for g in groups]


if __name__ == "__main__":
    main()
