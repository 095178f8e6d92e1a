"""The kinds of panels that dashboards are made of, each with what it always has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    heatmap,
    piechart,
    stat,
    statushistory,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders.common import (
    ReduceDataOptions,
    StackingConfig,
    TableSortByFieldState,
    VizLegendOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.builders.heatmap import CellValues, HeatmapColorOptions, YAxisConfig
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models.common import (
    BarAlignment,
    BarGaugeDisplayMode,
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig, DynamicConfigValue
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.piechart import PieChartLabels, PieChartLegendValues
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.queries import (
    MIXED,
    PROMETHEUS,
    SqlQuery,
    channel_names,
    currency,
    names_of_channels,
    rows,
    unit_from_currency,
    unit_from_currency_of,
)
from grafana.style import NEUTRAL, by_threshold, color, fixed, palette, show_as

MONEY = "currencyUSD"
"""Unit of money; the panel changes it to the currency that the gateway shows."""

NOTHING = "–"
"""Stands where there is no value, never 0."""

_POINTS = 100
"""At most so many bars or points in a panel: a bar stays wide enough to be read."""

P = TypeVar(
    "P", stat.Panel, timeseries.Panel, piechart.Panel, bargauge.Panel, table.Panel,
    heatmap.Panel, statushistory.Panel,
)  # fmt: skip


@dataclass(frozen=True)
class Card:
    """What every panel has: texts in the dashboard's language, size on the grid of 24, unit."""

    title: str
    description: str
    width: int
    height: int
    unit: str
    nothing: str = NOTHING


def numbers(card: Card, *queries: Dataquery, stacked: bool = False) -> stat.Panel:
    """Make a panel of big numbers with their names, one for each query, in a row or stacked."""
    # Grafana means how each number stretches.
    orientation = VizOrientation.HORIZONTAL if stacked else VizOrientation.VERTICAL
    return (
        _panel(stat.Panel(), card, queries)
        .min(0)
        .reduce_options(_last())
        .text_mode(BigValueTextMode.VALUE_AND_NAME)
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.NONE)
        .orientation(orientation)
        .color_scheme(fixed(NEUTRAL))
    )


def bars(card: Card, *queries: Dataquery) -> timeseries.Panel:
    """Make a panel of stacked bars; a bar is what came about since the bar before."""
    # A step of 2 minutes has samples enough for increase() at any scrape interval up to one.
    return (
        _graph(card, queries)
        .interval("2m")
        .draw_style(GraphDrawStyle.BARS)
        .bar_alignment(BarAlignment.BEFORE)
        .stacking(StackingConfig().mode(StackingMode.NORMAL).group("A"))
        .line_width(0)
        .fill_opacity(80)
    )


def lines(card: Card, *queries: Dataquery) -> timeseries.Panel:
    """Make a panel of lines."""
    return (
        _graph(card, queries)
        .interval("5m")
        .draw_style(GraphDrawStyle.LINE)
        .line_width(2)
        .fill_opacity(10)
        .show_points(VisibilityMode.AUTO)
    )


def pie(card: Card, *queries: Dataquery) -> piechart.Panel:
    """Make a pie: shares of a whole."""
    legend = (
        piechart.PieChartLegendOptions()
        .show_legend(True)
        .display_mode(LegendDisplayMode.TABLE)
        .placement(LegendPlacement.RIGHT)
        .values([PieChartLegendValues.PERCENT, PieChartLegendValues.VALUE])
    )
    return (
        _panel(piechart.Panel(), card, queries)
        .min(0)
        .reduce_options(_last())
        .display_labels([PieChartLabels.PERCENT])
        .legend(legend)
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.SINGLE))
        .color_scheme(palette())
    )


def ranking(card: Card, *queries: Dataquery) -> bargauge.Panel:
    """Make a list of bars, as long as the values are large."""
    return (
        _panel(bargauge.Panel(), card, queries)
        .min(0)
        .reduce_options(_last())
        .orientation(VizOrientation.HORIZONTAL)
        .display_mode(BarGaugeDisplayMode.BASIC)
        .color_scheme(fixed(NEUTRAL))
    )


def strips(card: Card, *queries: Dataquery) -> statushistory.Panel:
    """Make a strip of cells a series, coloured by thresholds; no cell where there is no value."""
    legend = VizLegendOptions().show_legend(False).display_mode(LegendDisplayMode.LIST)
    return (
        _panel(statushistory.Panel(), card, queries)
        .interval("2m")
        .max_data_points(_POINTS)
        .show_value(VisibilityMode.NEVER)
        .row_height(0.8)
        .fill_opacity(90)
        .legend(legend.placement(LegendPlacement.BOTTOM))
        .color_scheme(by_threshold())
    )


def heat(card: Card, query: Dataquery) -> heatmap.Panel:
    """Make a heat map of the buckets of a histogram."""
    return (
        _panel(heatmap.Panel(), card, (query.format(PromQueryFormat.HEATMAP),))
        .interval("5m")
        .max_data_points(_POINTS)
        .calculate(False)
        .color(HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64))
        .y_axis(YAxisConfig().unit("s"))
        .cell_values(CellValues().unit(card.unit))
        .cell_gap(1)
        .hide_legend()
    )


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: in the dashboard's language.
        source: a PromQL expression; or the label, or the column of SQL, that it shows.
        unit: of its values; MONEY becomes the currency that the gateway shows.
        more: what else its field is configured with.
    """

    title: str
    source: str
    unit: str = ""
    more: Sequence[DynamicConfigValue] = ()


def comparison(
    card: Card,
    keys: Sequence[Column],
    values: Sequence[Column],
    sort: str = "",
    hidden: tuple[str, ...] = (),
) -> table.Panel:
    """Make a table of things by several measures, a query a measure, joined by their labels.

    Args:
        card: of the panel.
        keys: labels that tell the things apart; further labels are not shown.
        values: measures by these labels.
        sort: the title of the column that it is sorted by, largest first.
        hidden: labels that are not shown.
    """
    # With a single query Grafana names its value without the query's name.
    alone = len(values) == 1 and values[0].unit != MONEY
    refs = [f"Value #{chr(ord('A') + index)}" for index in range(len(values))]
    refs = ["Value"] if alone else refs
    panel = _panel(table.Panel(), card, tuple(rows(value.source) for value in values))
    money = [ref for ref, value in zip(refs, values, strict=True) if value.unit == MONEY]
    if money:
        panel = panel.with_target(currency())
        for transformation in unit_from_currency_of(money):
            panel = panel.with_transformation(transformation)
    names = {key.source: key.title for key in keys}
    names |= {ref: value.title for ref, value in zip(refs, values, strict=True)}
    panel = panel.with_transformation(DataTransformerConfig(id_val="merge", options={}))
    return _arranged(panel, names, (*keys, *values), sort, hidden)


def sql_table(
    card: Card, columns: Sequence[Column], sql: str, hidden: tuple[str, ...] = ()
) -> table.Panel:
    """Make a table of what a statement finds, in its order.

    Args:
        card: of the panel.
        columns: that are shown; `channel_id` shows the channel's name.
        sql: the statement.
        hidden: columns that only links use.
    """
    panel = _from_database(table.Panel(), card, columns, sql)
    if any(column.source == "channel_id" for column in columns):
        panel = panel.with_target(channel_names()).with_transformation(names_of_channels())
    for name in hidden:
        panel = panel.override_by_name(name, [DynamicConfigValue("custom.hidden", True)])
    return _arranged(panel, {column.source: column.title for column in columns}, columns)


def sql_numbers(card: Card, columns: Sequence[Column], sql: str) -> stat.Panel:
    """Make a panel of big numbers, one for each column of the one row that a statement finds."""
    panel = _from_database(stat.Panel(), card, columns, sql)
    for column in columns:
        more = [*column.more, show_as(column.title)]
        if column.unit and column.unit != MONEY:
            more.append(DynamicConfigValue("unit", column.unit))
        panel = panel.override_by_name(column.source, more)
    return (
        panel.reduce_options(_last().fields("/.*/"))
        .text_mode(BigValueTextMode.VALUE_AND_NAME)
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.NONE)
        .color_scheme(fixed(NEUTRAL))
    )


def _from_database(panel: P, card: Card, columns: Sequence[Column], sql: str) -> P:
    panel = _panel(panel, card, (SqlQuery(sql),)).datasource(MIXED)
    money = [column.source for column in columns if column.unit == MONEY]
    if money:
        panel = panel.with_target(currency())
        for transformation in unit_from_currency_of(money):
            panel = panel.with_transformation(transformation)
    return panel


def _arranged(
    panel: table.Panel,
    names: Mapping[str, str],
    columns: Sequence[Column],
    sort: str = "",
    hidden: tuple[str, ...] = (),
) -> table.Panel:
    order = {name: index for index, name in enumerate(names)}
    excluded = dict.fromkeys(("Time", *hidden), True)
    shown = {"excludeByName": excluded, "indexByName": order, "renameByName": dict(names)}
    panel = panel.with_transformation(DataTransformerConfig(id_val="organize", options=shown))
    for column in columns:
        more = list(column.more)
        if column.unit and column.unit != MONEY:
            more.append(DynamicConfigValue("unit", column.unit))
        if more:
            panel = panel.override_by_name(column.title, more)
    if sort:
        panel = panel.sort_by([TableSortByFieldState().display_name(sort).desc(True)])
    return panel.filterable(True)


def listing(
    card: Card, columns: Mapping[str, str], query: Dataquery, hidden: tuple[str, ...] = ()
) -> table.Panel:
    """Make a table.

    Args:
        card: of the panel.
        columns: {label: title}, in their order; the value's is `Value`.
        query: gives the rows.
        hidden: columns that are not shown.
    """
    order = {label: index for index, label in enumerate(columns)}
    excluded = dict.fromkeys(("Time", *hidden), True)
    shown = {"excludeByName": excluded, "indexByName": order, "renameByName": dict(columns)}
    return (
        _panel(table.Panel(), card, (query,))
        .with_transformation(DataTransformerConfig(id_val="organize", options=shown))
        .filterable(True)
    )


def colored(panel: P, colors: Mapping[str, str]) -> P:
    """Give series a colour by their names."""
    for name, shade in colors.items():
        panel = panel.override_by_name(name, [color(shade)])
    return panel


def with_totals(panel: timeseries.Panel) -> timeseries.Panel:
    """Show beside the bars what each series adds up to."""
    legend = VizLegendOptions().display_mode(LegendDisplayMode.TABLE).calcs(["sum"])
    legend = legend.sort_by("Total").sort_desc(True)  # Grafana's name of the sum
    return panel.legend(legend.placement(LegendPlacement.RIGHT).show_legend(True))


def in_currency(panel: P) -> P:
    """Make a panel show money in the currency that the gateway shows."""
    return panel.with_target(currency()).with_transformation(unit_from_currency())


def _graph(card: Card, queries: tuple[Dataquery, ...]) -> timeseries.Panel:
    legend = VizLegendOptions().display_mode(LegendDisplayMode.LIST)
    return (
        _panel(timeseries.Panel(), card, queries)
        .min(0)
        .max_data_points(_POINTS)
        .legend(legend.placement(LegendPlacement.BOTTOM).show_legend(True))
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
        .color_scheme(palette())
    )


def _panel(panel: P, card: Card, queries: tuple[Dataquery | SqlQuery, ...]) -> P:
    for index, query in enumerate(queries):
        panel = panel.with_target(query.ref_id(chr(ord("A") + index)))
    return (
        panel.title(card.title)
        .description(card.description)
        .datasource(PROMETHEUS)
        .span(card.width)
        .height(card.height)
        .unit(card.unit)
        .no_value(card.nothing)
    )


def _last() -> ReduceDataOptions:
    return ReduceDataOptions().calcs(["lastNotNull"]).values(False)
