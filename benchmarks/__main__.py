"""Runs all benchmarks and prints what they measured."""

import os
import platform

from benchmarks import (
    catchup,
    gateway_cost,
    keeping_up,
    panels,
    panels_sql,
    rules,
    scrape,
    trip,
)


def main() -> None:
    """Measure everything, one benchmark after the other."""
    print(f"Python {platform.python_version()}, {os.cpu_count()} processors, {platform.machine()}")
    catchup.main()
    keeping_up.main()
    scrape.main()
    trip.main()
    rules.main()
    gateway_cost.main()
    panels.main()
    panels_sql.main()


if __name__ == "__main__":
    main()
