"""The dashboards once more, made as one would without this project's care: by increase()."""

import json
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

from grafana import counters, measures
from grafana.counters import CHOSEN, Chosen
from grafana.generate import documents
from grafana.metrics import Counter
from grafana.promql import STEP, Window, both, total


def dashboards() -> dict[str, dict[str, Any]]:
    """Give the dashboards by name; usage and graphs are increase() of the same counters."""
    with ExitStack() as stack:
        for module in (counters, measures):
            stack.enter_context(patch.object(module, "each", _each))
            stack.enter_context(patch.object(module, "steps", _steps))
            stack.enter_context(patch.object(module, "chosen_steps", _chosen_steps))
        made = documents()
    return {
        path.removeprefix("en/").removesuffix(".json"): json.loads(text)
        for path, text in made.items()
        if path.startswith("en/")
    }


def _each(counter: Counter, window: Window, where: str = "", by: tuple[str, ...] = (),
          chosen: Chosen = ()) -> str:  # fmt: skip
    del by
    over = f"{counter.name}{{{both(where, *(CHOSEN[name] for name in chosen))}}}[{window.length}]"
    return f"increase({window.end_of(over)})"


def _steps(counter: Counter, level: str, by: tuple[str, ...] = (), where: str = "") -> str:
    del level
    return _chosen_steps(counter, (), by, where)


def _chosen_steps(
    counter: Counter, chosen: Chosen, by: tuple[str, ...] = (), where: str = ""
) -> str:
    return total(_each(counter, STEP, both(where, counter.recorded_where), (), chosen), by)
