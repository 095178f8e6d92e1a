"""The kinds of panels that dashboards are made of, each with what it always has."""

from collections.abc import Mapping
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
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.piechart import PieChartLabels, PieChartLegendValues
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.queries import (
    PROMETHEUS,
    SqlQuery,
    currency,
    unit_from_currency,
)
from grafana.style import NEUTRAL, by_threshold, color, fixed, palette

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
        make(stat.Panel(), card, queries)
        .min(0)
        .reduce_options(last_value())
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
        make(piechart.Panel(), card, queries)
        .min(0)
        .reduce_options(last_value())
        .display_labels([PieChartLabels.PERCENT])
        .legend(legend)
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.SINGLE))
        .color_scheme(palette())
    )


def ranking(card: Card, *queries: Dataquery) -> bargauge.Panel:
    """Make a list of bars, as long as the values are large."""
    return (
        make(bargauge.Panel(), card, queries)
        .min(0)
        .reduce_options(last_value())
        .orientation(VizOrientation.HORIZONTAL)
        .display_mode(BarGaugeDisplayMode.BASIC)
        .color_scheme(fixed(NEUTRAL))
    )


def strips(card: Card, *queries: Dataquery) -> statushistory.Panel:
    """Make a strip of cells a series, coloured by thresholds; no cell where there is no value."""
    legend = VizLegendOptions().show_legend(False).display_mode(LegendDisplayMode.LIST)
    return (
        make(statushistory.Panel(), card, queries)
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
        make(heatmap.Panel(), card, (query.format(PromQueryFormat.HEATMAP),))
        .interval("5m")
        .max_data_points(_POINTS)
        .calculate(False)
        .color(HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64))
        .y_axis(YAxisConfig().unit("s"))
        .cell_values(CellValues().unit(card.unit))
        .cell_gap(1)
        .hide_legend()
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
        make(timeseries.Panel(), card, queries)
        .min(0)
        .max_data_points(_POINTS)
        .legend(legend.placement(LegendPlacement.BOTTOM).show_legend(True))
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
        .color_scheme(palette())
    )


def make(panel: P, card: Card, queries: tuple[Dataquery | SqlQuery, ...]) -> P:
    """Give a panel what every panel has, and queries named A, B, ..."""
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


def last_value() -> ReduceDataOptions:
    """Show the last value of a field."""
    return ReduceDataOptions().calcs(["lastNotNull"]).values(False)
