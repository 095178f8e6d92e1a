"""Tables of things by several measures, and of what the gateway's database answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import stat, table
from grafana_foundation_sdk.builders.common import TableSortByFieldState
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
)
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig, DynamicConfigValue

from grafana.panels import MONEY, Card, P, last_value, make
from grafana.queries import (
    MIXED,
    SqlQuery,
    channel_names,
    currency,
    names_of_channels,
    rows,
    unit_from_currency_of,
)
from grafana.style import NEUTRAL, fixed, show_as

_NARROWEST = 50
"""Pixels. Grafana gives a column 150 where nothing is said, and then scrolls sideways."""


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
    *,
    least_first: bool = False,
) -> table.Panel:
    """Make a table of things by several measures, a query a measure, joined by their labels.

    Args:
        card: of the panel.
        keys: labels that tell the things apart; further labels are not shown.
        values: measures by these labels.
        sort: the title of the column that it is sorted by, largest first.
        hidden: labels that are not shown.
        least_first: sort it the other way round.
    """
    # With a single query Grafana names its value without the query's name.
    alone = len(values) == 1 and values[0].unit != MONEY
    refs = [f"Value #{chr(ord('A') + index)}" for index in range(len(values))]
    refs = ["Value"] if alone else refs
    panel = make(table.Panel(), card, tuple(rows(value.source) for value in values))
    money = [ref for ref, value in zip(refs, values, strict=True) if value.unit == MONEY]
    if money:
        panel = panel.with_target(currency()).with_transformation(unit_from_currency_of(money))
    names = {key.source: key.title for key in keys}
    names |= {ref: value.title for ref, value in zip(refs, values, strict=True)}
    panel = panel.with_transformation(DataTransformerConfig(id_val="merge", options={}))
    panel = _arranged(panel, names, (*keys, *values), hidden)
    if sort:
        panel = panel.sort_by([TableSortByFieldState().display_name(sort).desc(not least_first)])
    return panel


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
        panel.reduce_options(last_value().fields("/.*/"))
        .text_mode(BigValueTextMode.VALUE_AND_NAME)
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.NONE)
        .color_scheme(fixed(NEUTRAL))
    )


def _from_database(panel: P, card: Card, columns: Sequence[Column], sql: str) -> P:
    panel = make(panel, card, (SqlQuery(sql),)).datasource(MIXED)
    money = [column.source for column in columns if column.unit == MONEY]
    if money:
        panel = panel.with_target(currency()).with_transformation(unit_from_currency_of(money))
    return panel


def _arranged(
    panel: table.Panel,
    names: Mapping[str, str],
    columns: Sequence[Column],
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
    return panel.min_width(_NARROWEST).filterable(True)


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
        make(table.Panel(), card, (query,))
        .with_transformation(DataTransformerConfig(id_val="organize", options=shown))
        .min_width(_NARROWEST)
        .filterable(True)
    )
