"""Queries of panels, and the currency that panels about money take their unit from."""

from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery as AnyDataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef, DataTransformerConfig
from grafana_foundation_sdk.models.prometheus import PromQueryFormat, QueryEditorMode

PROMETHEUS = DataSourceRef(type_val="prometheus", uid="${datasource}")

SQL_SOURCE = "database"
"""The variable that holds the uid of the source that is the gateway's database."""

DATABASE = DataSourceRef(uid=f"${{{SQL_SOURCE}}}")
"""The gateway's database. Which kind it is only its provisioning knows, so this names none."""

MIXED = DataSourceRef(type_val="datasource", uid="-- Mixed --")
"""Grafana's own: each query has its source."""

CURRENCY = "currency"
"""Id of the query that tells the unit of money."""


NAMES = "names"
"""Id of the query that tells the names of channels."""


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


def unit_from_currency_of(fields: list[str]) -> DataTransformerConfig:
    """Set the unit of some fields, as the source names them."""
    # All at once, since Grafana then drops the answer to currency().
    mapping = {"fieldName": "unit", "handlerKey": "unit"}
    applied = {"id": "byRegexp", "options": f"/^({'|'.join(fields)})$/"}
    return DataTransformerConfig(
        id_val="configFromData",
        options={"configRefId": CURRENCY, "mappings": [mapping], "applyTo": applied},
    )


def channel_names() -> Dataquery:
    """Ask for the names of channels."""
    return rows("max by (channel_id, name) (newapi_channel_info)").ref_id(NAMES)


def names_of_channels() -> DataTransformerConfig:
    """Show the names of channels where the log table has their ids."""
    mappings = [
        {"fieldName": "channel_id", "handlerKey": "mappings.value"},
        {"fieldName": "name", "handlerKey": "mappings.text"},
    ]
    applied = {"id": "byName", "options": "channel_id"}
    return DataTransformerConfig(
        id_val="configFromData",
        options={"configRefId": NAMES, "mappings": mappings, "applyTo": applied},
    )


class SqlQuery(Builder[AnyDataquery], AnyDataquery):
    """A table from the gateway's database, in the form of each of Grafana's sources at once.

    MySQL and PostgreSQL read rawSql, the SQLite plug-in queryText and rawQueryText.
    """

    def __init__(self, sql: str) -> None:
        self._sql = sql
        self._ref = ""

    def ref_id(self, ref: str) -> "SqlQuery":
        """Set its name."""
        self._ref = ref
        return self

    def build(self) -> "SqlQuery":
        """Give the query."""
        return self

    def to_json(self) -> dict[str, object]:
        """Give it as Grafana keeps it."""
        return {
            "datasource": DATABASE,
            "editorMode": "code",
            "format": "table",
            "queryText": self._sql,
            "queryType": "table",
            "rawQuery": True,
            "rawQueryText": self._sql,
            "rawSql": self._sql,
            "refId": self._ref,
            "timeColumns": [],
        }


def _query(expr: str) -> Dataquery:
    return Dataquery().datasource(PROMETHEUS).editor_mode(QueryEditorMode.CODE).expr(expr)
