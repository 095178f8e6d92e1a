"""What all dashboards have in common: their frame, their links, and how they become JSON."""

import json
from collections.abc import Sequence

from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DashboardLink,
    Row,
    TimeOption,
    TimePicker,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    Panel,
    VariableModel,
)

from grafana import variables
from grafana.language import Language

TAG = "newapi-monitor"

RANGES = {
    "1h": "Last hour",
    "6h": "Last 6 hours",
    "12h": "Last 12 hours",
    "24h": "Last 24 hours",
    "72h": "Last 72 hours",
    "7d": "Last 7 days",
    "30d": "Last 30 days",
}
REFRESH = ["5s", "10s", "30s", "1m"]


def uid(name: str, language: Language) -> str:
    """Give the uid of a dashboard; it never changes, since people keep links."""
    return f"newapi-{name}-{language}"


def frame(
    name: str,
    language: Language,
    title: str,
    description: str,
    *filters: Builder[VariableModel],
    since: str = "24h",
    links: Sequence[tuple[str, str]] = (),
) -> Dashboard:
    """Begin a dashboard: everything but its panels.

    Args:
        name: of the file, and in the uid.
        language: of the dashboard.
        title: in English, as `description`.
        description: what it is for.
        filters: its variables, beside those that all have.
        since: the length of its first range.
        links: (title, path) of further links.
    """
    say = language.say
    picker = TimePicker().refresh_intervals(REFRESH)
    ranges = [
        TimeOption().display(say(text)).from_val(f"now-{length}").to("now")
        for length, text in RANGES.items()
    ]
    board = (
        Dashboard(say(title))
        .uid(uid(name, language))
        .description(say(description))
        .tags([TAG, f"{TAG}-{language}"])
        .timezone("browser")
        .readonly()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .time(f"now-{since}", "now")
        .refresh("30s")
        .timepicker(picker.quick_ranges(list(ranges)))
        .links(
            [
                _dashboards(language),
                _other_language(name, language),
                *(
                    DashboardLink(text).type(DashboardLinkType.LINK).url(path)
                    for text, path in links
                ),
            ]
        )
    )
    hidden = variables.gone(), *variables.exact()
    for variable in (variables.source(say), *hidden, *filters, variables.past()):
        board = board.with_variable(variable)
    return board


def link(name: str, language: Language, *keep: str, **values: str) -> str:
    """Give the path of a dashboard with values of its variables, keeping range and data source.

    Args:
        name: of the dashboard.
        language: of the dashboard.
        keep: variables whose value goes along.
        values: those that get another.
    """
    chosen = "".join(f"&${{{variable}:queryparam}}" for variable in ("datasource", *keep))
    chosen += "".join(f"&var-{variable}={value}" for variable, value in values.items())
    return f"/d/{uid(name, language)}?${{__url_time_range}}{chosen}"


def add(board: Dashboard, *panels: Builder[Panel], row: str | None = None) -> Dashboard:
    """Add panels from left to right, below what is there; with the title of a row above them."""
    if row is not None:
        board.with_row(Row(row))
    for panel in panels:
        board.with_panel(panel)
    return board


def to_json(board: Dashboard) -> str:
    """Give the text of a dashboard's file."""
    model = board.build()
    for number, panel in enumerate(model.panels or [], start=1):
        panel.id_val = number
    document = json.loads(json.dumps(model, cls=JSONEncoder))
    for variable in document["templating"]["list"]:
        if variable["type"] == "query" and variable.get("hide"):
            # A link would keep what was found when it was made. The builder lacks the field.
            variable["skipUrlSync"] = True
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _dashboards(language: Language) -> DashboardLink:
    return (
        DashboardLink(language.say("Dashboards"))
        .type(DashboardLinkType.DASHBOARDS)
        .tags([f"{TAG}-{language}"])
        .as_dropdown(True)
        .keep_time(True)
        .include_vars(True)
    )


def _other_language(name: str, language: Language) -> DashboardLink:
    other = next(each for each in Language if each is not language)
    return (
        DashboardLink(other.own_name)
        .type(DashboardLinkType.LINK)
        .icon("doc")
        .url(f"/d/{uid(name, other)}")
        .keep_time(True)
        .include_vars(True)
    )
