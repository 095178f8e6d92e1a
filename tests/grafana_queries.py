"""The queries of a dashboard's JSON, and what Grafana would fill into them."""

import json
import re
from collections.abc import Iterable, Iterator
from importlib.resources import files
from typing import Any, NamedTuple
from urllib.parse import quote

from tests.servers import Sample

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Query(NamedTuple):
    """One query of a panel."""

    panel: str
    ref: str
    expr: str
    instant: bool


def dashboard(language: str, name: str) -> dict[str, Any]:
    """A dashboard as committed."""
    path = files("grafana") / "dashboards" / language / f"{name}.json"
    model: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return model


def panels(model: dict[str, Any]) -> list[dict[str, Any]]:
    """Its panels but the titles of rows."""
    return [panel for panel in _all(model["panels"]) if panel["type"] != "row"]


def queries(model: dict[str, Any]) -> list[Query]:
    """All queries, panel by panel."""
    return [
        Query(panel["title"], target["refId"], target["expr"], bool(target.get("instant")))
        for panel in panels(model)
        for target in panel["targets"]
        if "expr" in target
    ]


def statements(model: dict[str, Any]) -> dict[str, str]:
    """All SQL, by the titles of panels."""
    return {
        panel["title"]: target["rawSql"]
        for panel in panels(model)
        for target in panel["targets"]
        if "rawSql" in target
    }


def substitute(
    expr: str,
    range: str = "1h",  # noqa: A002
    interval: str = "2m",
    end: float = 0,
    **variables: str,
) -> str:
    """Fill in variables as Grafana does.

    Args:
        expr: with variables.
        range: of the dashboard.
        interval: between two points.
        end: of the dashboard's range, unix seconds.
        variables: of the dashboard; those that are missing let everything through.
    """
    values = {
        "__range": f"{seconds(range)}s",
        "__range_s": str(seconds(range)),
        "__interval": interval,
        "__rate_interval": f"{seconds(interval) + 60}s",
        "__interval_ms": str(seconds(interval) * 1000),
        "__from": str(int(end - seconds(range)) * 1000),
        "past": ".+",
        "gone": "none",
        **variables,
    }
    return re.sub(r"\$([A-Za-z_]\w*)", lambda found: values.get(found[1], ".*"), expr)


def fill(sql: str, begin: int, end: int, /, **variables: str) -> str:
    """Fill in the variables of SQL as Grafana does; those that are missing let everything through.

    percentencode is JavaScript's encodeURIComponent, and ! ' ( ) * besides
    (public/app/features/templating/formatVariableValue.ts, formatRegistry of @grafana/scenes).
    """
    moments = {"from": str(begin), "to": str(end)}
    newest = {"page_time": "0", "page_type": "9", "page_id": "9223372036854775807"}
    texts = dict.fromkeys(("part", "model_part", "key_name"), "")
    values = {**newest, **texts, "row": "0", "money": "0.000002", **variables}

    def encoded(found: re.Match[str]) -> str:
        return quote(values.get(found[1], ".*"), safe="-_.~")

    sql = re.sub(r"\$\{__(from|to):date:seconds\}", lambda found: moments[found[1]], sql)
    return re.sub(r"\$\{(\w+):percentencode\}", encoded, sql)


def options(variable: dict[str, Any], samples: Iterable[Sample], end: int) -> dict[str, str]:
    """What can be chosen of a query variable, and the text that shows it.

    As Grafana reads it: each series as text, through the regular expression.

    Args:
        variable: of a dashboard's JSON.
        samples: what its query found.
        end: of the dashboard's range, unix seconds.
    """
    regex = re.compile(variable["regex"].strip("/").replace("(?<", "(?P<"))
    found = {}
    for sample in samples:
        labels = ",".join(f'{name}="{text}"' for name, text in sorted(sample.labels.items()))
        match = regex.search(f"{{{labels}}} {sample.value!r} {end * 1000}")
        assert match, (variable["name"], labels)
        groups = match.groupdict() or {"value": match[1], "text": match[1]}
        found[groups["value"]] = groups["text"]
    return found


def seconds(duration: str) -> int:
    """A duration of one unit, in seconds."""
    return int(duration[:-1]) * _SECONDS[duration[-1]]


def _all(found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for panel in found:
        yield panel
        yield from _all(panel.get("panels", []))
