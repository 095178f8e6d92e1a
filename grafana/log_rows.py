"""What the pages that list log rows have in common: their columns, their pages, the whole row."""

from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.builders.dashboard import QueryVariable, TextBoxVariable
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from grafana import sql, style, variables
from grafana.dashboard import link
from grafana.language import Language, Say
from grafana.panels import MONEY, Card
from grafana.queries import SQL_SOURCE
from grafana.tables import Column, sql_table

_FIRST = {"page_time": "0", "page_type": "9", "page_id": "9223372036854775807"}
"""Where the first page begins: no moment of a range, and later than every row of a second."""

PLACE = tuple(_FIRST)
"""The variables that say where a page begins."""

_WRAPPED = [DynamicConfigValue("custom.cellOptions", {"type": "auto", "wrapText": True})]


def page_variables(say: Say) -> tuple[TextBoxVariable, ...]:
    """Keep where the page begins; its time is shown, for it lets through no row that is newer."""
    time, *rest = _FIRST.items()
    shown = variables.text(time[0], say("Page from (unix time, 0 = newest)"), time[1])
    return (shown, *(variables.hidden_text(name, value) for name, value in rest))


def row_variable(say: Say) -> TextBoxVariable:
    """Keep which row is shown whole."""
    return variables.text("row", say("Row"), "0")


def source_variable(say: Say) -> TextBoxVariable:
    """Choose the gateway's database by uid or name: variables of sources are of one type each."""
    return variables.text(SQL_SOURCE, say("Log database"), "newapi-database")


def rate() -> QueryVariable:
    """Keep the units of the currency that the gateway shows to a unit of quota, for SQL."""
    expr = "max(newapi_display_currency_per_usd) / max(newapi_quota_per_usd)"
    return variables.hidden_number("money", expr)


def newest(say: Say, name: str, language: Language, keep: tuple[str, ...]) -> tuple[str, str]:
    """Give the link to the first page."""
    return say("Newest rows"), link(name, language, *keep, **_FIRST)


def id_column(say: Say, name: str, language: Language, keep: tuple[str, ...]) -> Column:
    """Show ids, each a link to the whole row."""
    path = link(name, language, *keep, row="${__value.raw}")
    return Column(say("Id"), "id", "", [style.linked(say("The whole row"), path), style.width(95)])


def time_column(say: Say, name: str, language: Language, keep: tuple[str, ...]) -> Column:
    """Show times, each a link to the page that begins below its row; needs created_at, kind, id."""
    below = {
        "page_time": '${__data.fields["created_at"]}',
        "page_type": '${__data.fields["kind"]}',
        "page_id": f'${{__data.fields["{say("Id")}"]}}',
    }
    path = link(name, language, *keep, **below)
    more = [style.linked(say("Rows before this one"), path), style.width(165)]
    return Column(say("Time"), "at", "dateTimeAsIso", more)


def plain_time(say: Say) -> Column:
    """Show times."""
    return Column(say("Time"), "at", "dateTimeAsIso", [style.width(165)])


def details(say: Say) -> list[Column]:
    """Show what rows of every type have."""
    return [
        Column(say("Channel"), "channel_id", "none", [style.width(140)]),
        Column(say("Model"), "model_name"),
        Column(say("User"), "username", "", [style.width(110)]),
        Column(say("API key"), "token_name", "", [style.width(130)]),
    ]


def usage(say: Say) -> list[Column]:
    """Show what completed requests used."""
    return [
        Column(say("Prompt"), "prompt_tokens", "none", [style.width(85)]),
        Column(say("Completion"), "completion_tokens", "none", [style.width(95)]),
        Column(say("Cost"), "cost", MONEY, [style.width(95)]),
    ]


def seconds(say: Say) -> Column:
    """Show how long it took."""
    return Column(say("Duration"), "seconds", "s", [*style.slow_cell(), style.width(85)])


def whole_row(say: Say) -> table.Panel:
    """Show the row that was chosen, with the JSON that the gateway noted of it."""
    about = "The row whose id was chosen in the list, with all that the gateway noted of it."
    nothing = say("Choose an id in the list")
    card = Card(say("The whole row"), say(about), width=24, height=8, unit="string",
                nothing=nothing)  # fmt: skip
    statement = (
        f"{sql.SELECT} p.id, p.content, {sql.optional('other', 'p')} AS noted,"  # noqa: S608
        f" {sql.optional('request_id', 'p')} AS request\n"
        f"FROM (SELECT l.id, l.content FROM logs l WHERE l.id = {sql.value('row')}) p"
        f" CROSS JOIN {sql.MISSING}"
    )
    columns = [
        Column(say("Id"), "id", "", [style.width(95)]),
        Column(say("Request id"), "request", "", [style.width(200)]),
        Column(say("Content"), "content", "", _WRAPPED),
        Column(say("Other"), "noted", "", [*_WRAPPED, style.width(650)]),
    ]
    return sql_table(card, columns, statement)
