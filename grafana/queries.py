"""Queries of panels, and the currency that panels about money take their unit from."""

from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef, DataTransformerConfig
from grafana_foundation_sdk.models.prometheus import PromQueryFormat, QueryEditorMode

PROMETHEUS = DataSourceRef(type_val="prometheus", uid="${datasource}")

CURRENCY = "currency"
"""Id of the query that tells the unit of money."""


def now(expr: str, legend: str = "") -> Dataquery:
    """Ask for one value a series, at the end of the dashboard's range."""
    return _query(expr).instant().legend_format(legend)


def over_time(expr: str, legend: str = "") -> Dataquery:
    """Ask for a value at each step of the dashboard's range."""
    return _query(expr).range().legend_format(legend)


def rows(expr: str) -> Dataquery:
    """Ask for a table: a row a series, a column a label."""
    return _query(expr).instant().format(PromQueryFormat.TABLE)


def currency() -> Dataquery:
    """Ask for the currency that the gateway shows, as the name of a Grafana unit.

    Grafana has no unit for the yuan, and takes any symbol after "currency:".
    """
    expr = "max by (currency) (newapi_display_currency_per_usd)"
    for code, unit in (("(.+)", "currency:$1"), ("USD", "currencyUSD"), ("CNY", "currency:¥")):
        expr = f'label_replace({expr}, "unit", "{unit}", "currency", "{code}")'
    return rows(expr).ref_id(CURRENCY)


def unit_from_currency() -> DataTransformerConfig:
    """Set the unit of a panel from the answer to currency(): units take no variables."""
    mapping = {"fieldName": "unit", "handlerKey": "unit"}
    return DataTransformerConfig(
        id_val="configFromData", options={"configRefId": CURRENCY, "mappings": [mapping]}
    )


def _query(expr: str) -> Dataquery:
    return Dataquery().datasource(PROMETHEUS).editor_mode(QueryEditorMode.CODE).expr(expr)
