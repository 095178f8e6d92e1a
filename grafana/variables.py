"""The variables of the dashboards: the source, and what a page is filtered by."""

from collections.abc import Iterable, Iterator

from grafana_foundation_sdk.builders.dashboard import (
    CustomVariable,
    DatasourceVariable,
    QueryVariable,
    TextBoxVariable,
)
from grafana_foundation_sdk.models.dashboard import (
    VariableHide,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from grafana.counters import GONE, PAST, earlier, recorded
from grafana.language import Say
from grafana.metrics import CHANNEL, COUNTED_CHANNELS, ERRORS, REQUESTS, Thing
from grafana.promql import EXACT, EXACT_BEFORE, EXACT_DAY, RANGE, Window, gauge, last
from grafana.queries import PROMETHEUS

ALL = ".*"
"""The value of a filter that lets everything through, in PromQL as it stands."""

_DAY = 86400


def source(say: Say) -> DatasourceVariable:
    """Choose the Prometheus."""
    return (
        DatasourceVariable("datasource")
        .label(say("Data source"))
        .type("prometheus")
        .regex("")
        .current(VariableOption(text="Prometheus", value="prometheus"))
    )


def past() -> QueryVariable:
    """Match every id where the recorded totals do not reach back to the start of the range."""
    recorded = RANGE.start_of(REQUESTS.recorded("gateway"))
    none = f'label_replace(vector(1), "ids", "none", "", "") and on () {recorded}'
    every = 'label_replace(vector(1), "ids", ".+", "", "")'
    return (
        asked(PAST, f"{none} or on () {every}", '/ids="([^"]+)"/')
        .hide(VariableHide.HIDE_VARIABLE)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .current(VariableOption(text=".+", value=".+"))
    )


def gone() -> QueryVariable:
    """Keep the ids of channels whose series left within the range, or "none"."""
    none = 'label_replace(vector(1), "channel_id", "none", "", "")'
    return top(GONE, f"{_left(RANGE)} or {none}", CHANNEL.id)


def exact() -> Iterator[QueryVariable]:
    """Match everything where usage is read off the counters: of a range, the one before, a day."""
    there = recorded(RANGE)
    # GONE knows only what left in the range itself.
    kept = f"{earlier(there)} unless on () {earlier(f'count({_left(RANGE)})')}"
    # Before the first sample there is nothing to read, of counters either.
    before = f"({kept} or on () vector(1) unless on () {earlier(_counted())})"
    long = f"and on () vector($__range_s) >= {_DAY}"
    day = last(24)
    enough = {
        EXACT: f"{there} {long}",
        EXACT_BEFORE: f"{before} {long}",
        EXACT_DAY: f"({recorded(day)} unless on () count({_left(day)}))",
    }
    for name, condition in enough.items():
        none = f'label_replace(vector(1), "ids", "none", "", "") and on () {condition}'
        every = f'label_replace(vector(1), "ids", "{ALL}", "", "")'
        yield (
            asked(name, f"{none} or on () {every}", '/ids="([^"]+)"/')
            .hide(VariableHide.HIDE_VARIABLE)
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .current(VariableOption(text=ALL, value=ALL))
        )


def _left(window: Window) -> str:
    counted = COUNTED_CHANNELS.format("gateway")
    return f"max by (channel_id) ({window.start_of(counted)} unless {counted})"


def _counted() -> str:
    return f"count({RANGE.start_of(REQUESTS.name)})"


def asked(name: str, expr: str, regex: str) -> QueryVariable:
    """Take the values of a variable from what a query answers, through a regular expression."""
    query: dict[str, object] = {"query": f"query_result({expr})", "refId": name}
    return (
        QueryVariable(name)
        .datasource(PROMETHEUS)
        .query(query)
        .regex(regex)
        .refresh(VariableRefresh.ON_DASHBOARD_LOAD)
        .sort(VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)
    )


def hidden_number(name: str, expr: str) -> QueryVariable:
    """Take a number from the answer to a query, for SQL."""
    variable = asked(name, expr, r"/} ([-+.0-9e]+) /").hide(VariableHide.HIDE_VARIABLE)
    return variable.current(VariableOption(text="0", value="0"))


def of(name: str, label: str, thing: Thing, say: Say) -> QueryVariable:
    """Choose one thing by its name, or all of them; its value is an id, or ALL."""
    groups = {thing.id: '"(?<value>[^"]+)"', "name": '"(?<text>[^"]*)"'}
    # Prometheus gives labels in alphabetical order.
    regex = ",".join(f"{each}={groups[each]}" for each in sorted(groups))
    return (
        asked(name, gauge(thing.info, tuple(groups)), f"/{regex}/")
        .label(say(label))
        .include_all(True)
        .all_value(ALL)
        .current(VariableOption(text="All", value="$__all"))
    )


def model(say: Say) -> QueryVariable:
    """Choose one model, or all of them: of those that failed each time, too."""
    counted = f'{{__name__=~"{REQUESTS.name}|{ERRORS.name}"}}'
    return (
        asked("model", f"count by (model) ({counted})", '/model="([^"]*)"/')
        .label(say("Model"))
        .include_all(True)
        .all_value(ALL)
        .current(VariableOption(text="All", value="$__all"))
    )


def top(name: str, expr: str, label: str) -> QueryVariable:
    """Keep what a query finds, hidden: graphs of few among thousands read only these."""
    return (
        asked(name, expr, f'/{label}="([^"]+)"/')
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .hide(VariableHide.HIDE_VARIABLE)
        .multi(True)
        .include_all(True)
        .current(VariableOption(text="All", value="$__all"))
    )


def text(name: str, label: str, default: str = "") -> TextBoxVariable:
    """Ask for a text."""
    option = VariableOption(text=default, value=default)
    return TextBoxVariable(name).label(label).default_value(default).current(option)


def hidden_text(name: str, default: str) -> TextBoxVariable:
    """Keep a text that links set."""
    return text(name, "", default).hide(VariableHide.HIDE_VARIABLE)


def choice(name: str, label: str, options: Iterable[tuple[str, str]]) -> CustomVariable:
    """Choose one of (text, value); the first at the beginning."""
    options = list(options)
    shown = [VariableOption(text=text, value=value) for text, value in options]
    return (
        CustomVariable(name)
        .label(label)
        .values(",".join(f"{text} : {value}" for text, value in options))
        .options(shown)
        .current(shown[0])
    )
