"""What Grafana asks Prometheus to show a dashboard: each panel's queries, filled in."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.grafana_queries import options, panels, seconds, substitute
from tests.servers import Prometheus

VARIABLES = "its variables"
"""Stands for a panel: the queries that a page sends before any panel can."""

_LIMITS = (
    (17.5, 15), (25, 20), (45, 30), (90, 60), (210, 120), (450, 300), (750, 600), (1050, 900),
    (1500, 1200), (2700, 1800), (5400, 3600), (9000, 7200), (16200, 10800), (32400, 21600),
    (86400, 43200), (604800, 86400),
)  # fmt: skip
"""Seconds below which a step is rounded to which (roundInterval of @grafana/data)."""


@dataclass(frozen=True)
class Request:
    """A query as Grafana sends it.

    Attributes:
        panel: its title.
        path: of Prometheus's API.
        parameters: of the request.
    """

    panel: str
    path: str
    parameters: dict[str, str]


def step(panel: dict[str, Any], length: int) -> int:
    """Give the seconds between two points of a panel.

    Args:
        panel: of a dashboard's JSON; the number of its points must be given there.
        length: of the range, in seconds.
    """
    wanted = length / panel["maxDataPoints"]
    return max(next(to for limit, to in _LIMITS if wanted < limit), seconds(panel["interval"]))


def requests_of(
    model: dict[str, Any], server: Prometheus, length: str, end: int
) -> Iterator[Request]:
    """Give all that a dashboard asks Prometheus.

    Args:
        model: its JSON.
        server: that knows the values of its variables.
        length: of its range.
        end: of its range, unix seconds.
    """
    chosen: dict[str, str] = {}
    for variable in model["templating"]["list"]:
        if variable["type"] == "query":
            expr = variable["query"]["query"].removeprefix("query_result(").removesuffix(")")
            filled = substitute(expr, length, end=end, **chosen)
            yield Request(VARIABLES, "/api/v1/query", {"query": filled, "time": str(end)})
            found = list(options(variable, server.query(filled, at=end), end))
            chosen |= _choice(variable, found)
    for panel in panels(model):
        for target in panel["targets"]:
            if "expr" in target:
                yield _request(panel, target, length, end, chosen)


def _choice(variable: dict[str, Any], found: list[str]) -> dict[str, str]:
    """Give what a variable is at first; nothing where it lets everything through."""
    if not variable["includeAll"]:
        return {variable["name"]: found[0]}
    return {} if variable.get("allValue") else {variable["name"]: f"({'|'.join(found)})"}


def _request(
    panel: dict[str, Any], target: dict[str, Any], length: str, end: int, chosen: dict[str, str]
) -> Request:
    if target.get("instant"):
        filled = substitute(target["expr"], length, end=end, **chosen)
        return Request(panel["title"], "/api/v1/query", {"query": filled, "time": str(end)})
    between = step(panel, seconds(length))
    filled = substitute(target["expr"], length, f"{between}s", end, **chosen)
    # From and to a multiple of the step, as Grafana does.
    first, last = (at // between * between for at in (end - seconds(length), end))
    span = {"start": str(first), "end": str(last), "step": str(between)}
    return Request(panel["title"], "/api/v1/query_range", {"query": filled, **span})
