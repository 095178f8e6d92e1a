"""Logs: the gateway's own rows, filtered and page by page, from its database."""

from grafana_foundation_sdk.builders import stat, table
from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana import log_rows, sql, style, variables
from grafana.dashboard import add, frame
from grafana.language import Language, Say
from grafana.metrics import API_KEY, CHANNEL, USER
from grafana.panels import MONEY, Card
from grafana.style import BAD, IDLE, NEUTRAL, WARNING
from grafana.tables import Column, sql_numbers, sql_table

NAME = "logs"

TYPES = {
    "2": ("Completed", NEUTRAL),
    "5": ("Failed", BAD),
    "6": ("Refund", WARNING),
    "1": ("Top-up", NEUTRAL),
    "3": ("Management", IDLE),
    "4": ("System", IDLE),
    "7": ("Login", IDLE),
}
"""logs.type of New API (model/log.go); in One API 5 is a channel test."""

_FILTERS = ("database", "type", "channel", "model_part", "user", "api_key", "key_name")

_CONDITIONS = (
    sql.equals("l.type", "type"),
    sql.equals("l.channel_id", "channel"),
    sql.contains("l.model_name", "model_part"),
    sql.equals("l.user_id", "user"),
    sql.equals(sql.optional("token_id", "l"), "api_key"),
    sql.contains("l.token_name", "key_name"),
)


def build(language: Language) -> Dashboard:
    """Make the dashboard in a language."""
    say = language.say
    types = [(say("All"), variables.ALL)]
    types += [(say(text), number) for number, (text, _) in TYPES.items()]
    filters = (
        variables.choice("type", say("Type"), types),
        variables.of("channel", "Channel", CHANNEL, say),
        variables.text("model_part", say("Part of the model")),
        variables.of("user", "User", USER, say),
        variables.of("api_key", "API key", API_KEY, say),
        variables.text("key_name", say("Part of the key's name")),
        *log_rows.page_variables(say),
        log_rows.row_variable(say),
        log_rows.source_variable(say),
        log_rows.rate(),
    )
    about = "The gateway's own log, filtered and page by page, read from its database."
    links = [log_rows.newest(say, NAME, language, _FILTERS)]
    board = frame(NAME, language, "Logs", about, *filters, since="1h", links=links)
    add(board, _totals(say), _list(language))
    return add(board, log_rows.whole_row(say))


def _totals(say: Say) -> stat.Panel:
    about = (
        "What the filters let through, on all pages; at most the last 7 days of the range. Cost: "
        "quota of completed requests less refunds."
    )
    card = Card(say("Found"), say(about), width=24, height=4, unit="short")
    quota = "SUM(CASE l.type WHEN 2 THEN l.quota WHEN 6 THEN -l.quota ELSE 0 END)"
    where = "\n  AND ".join((sql.IN_RANGE, *_CONDITIONS))
    statement = (
        f"{sql.SELECT} COUNT(*) AS found, SUM(l.prompt_tokens) AS prompt,"
        f" SUM(l.completion_tokens) AS completion, {sql.money(quota)} AS cost\n"
        f"FROM logs l CROSS JOIN {sql.MISSING}\nWHERE {where}"
    )
    columns = [
        Column(say("Rows"), "found", "none"),
        Column(say("Prompt tokens"), "prompt"),
        Column(say("Completion tokens"), "completion"),
        Column(say("Cost"), "cost", MONEY),
    ]
    return sql_numbers(card, columns, statement)


def _list(language: Language) -> table.Panel:
    say = language.say
    about = (
        "Log rows, newest first, 50 a page. The time leads to the rows before this one, the id to "
        "the whole row below. Of the range at most the last 7 days."
    )
    nothing = say("No row that the filters let through. Chinese text cannot be searched")
    card = Card(say("Rows found"), say(about), width=24, height=18, unit="none", nothing=nothing)
    columns = (
        "p.id", "p.created_at * 1000 AS at", "p.created_at", "p.type AS kind", "p.type",
        "p.channel_id", "p.model_name", "p.username", "p.token_name", "p.prompt_tokens",
        "p.completion_tokens", f"{sql.money('p.quota')} AS cost",
        f"{sql.optional(sql.SECONDS, 'p')} AS seconds",
    )  # fmt: skip
    words = {number: (say(text), shade) for number, (text, shade) in TYPES.items()}
    shown = [
        log_rows.id_column(say, NAME, language, (*_FILTERS, *log_rows.PLACE)),
        log_rows.time_column(say, NAME, language, _FILTERS),
        Column(say("Type"), "type", "none", style.as_word(words, 85)),
        *log_rows.details(say),
        *log_rows.usage(say),
        log_rows.seconds(say),
    ]
    return sql_table(card, shown, sql.page(columns, _CONDITIONS), hidden=("created_at", "kind"))
