"""Errors: of which kind, where, since when, and each with its message."""

from collections.abc import Iterator

from grafana_foundation_sdk.builders import bargauge, stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard, QueryVariable

from grafana import counters, log_rows, measures, promql, sql, style, variables
from grafana.dashboard import add, frame, link
from grafana.language import Language, Say
from grafana.metrics import CHANNEL, ERRORS, NO_TESTS
from grafana.panels import Card, bars, numbers, ranking
from grafana.promql import RANGE, WHOLE, Window, both, named
from grafana.queries import now, over_time
from grafana.style import BAD, GOOD, WARNING
from grafana.tables import Column, comparison, sql_table

NAME = "errors"

_CHOSEN = ("channel", "model")
_FILTERS = ("database", "channel", "model", "part")
_PAIR = ("channel_id", "model")
_WHERE = both(NO_TESTS, *(counters.CHOSEN[name] for name in _CHOSEN))

_DRAWN, _ROWS = 10, 50
"""Pairs of channel and model in the graph, and in the table."""

_MOST, _LISTED = "most", "listed"
"""What the hidden variables begin with that hold the channels and the models of the pairs that
failed most: of the few that are drawn, and of those that are listed."""

_FAILED = (
    "l.type = 5",
    sql.equals("l.channel_id", "channel"),
    sql.is_text("l.model_name", "model"),
    sql.contains("l.content", "part"),
)

_CODE = "CASE WHEN l.content LIKE 'status_code=%' THEN SUBSTR(l.content, 13, 3) ELSE '' END"
"""New API begins the content of a failure with it (controller/relay.go processChannelError)."""


def build(language: Language) -> Dashboard:
    """Make the dashboard in a language."""
    say = language.say
    filters = (
        variables.of("channel", "Channel", CHANNEL, say),
        variables.model(say),
        variables.text("part", say("Part of the message")),
        *log_rows.page_variables(say),
        log_rows.row_variable(say),
        log_rows.source_variable(say),
        *_pairs_of(_LISTED, _ROWS, _WHERE),
        *_pairs_of(_MOST, _DRAWN, both(NO_TESTS, _among(_LISTED))),
    )
    about = "What fails: of which kind, where, since when, and each with its message."
    links = [log_rows.newest(say, NAME, language, _FILTERS)]
    board = frame(NAME, language, "Errors", about, *filters, links=links)
    add(board, _logging(say), _rate(say), _categories(say), _codes(say))
    add(board, _by_category(say), _by_pair(say))
    add(board, _pairs(language), row=say("Where"))
    return add(board, _list(language), log_rows.whole_row(say), row=say("One by one"))


def _pairs_of(name: str, n: int, where: str) -> Iterator[QueryVariable]:
    """Hold the channels, and the models, of the n pairs that failed most."""
    for label in _PAIR:
        yield variables.top(f"{name}_{label}", _worst(n, RANGE, where), label)


def _among(name: str) -> str:
    """Match these channels and models: the pairs themselves, and few others."""
    return both(*(f'{label}=~"${name}_{label}"' for label in _PAIR))


def _worst(n: int, window: Window, where: str) -> str:
    """Give the n pairs that failed most."""
    return promql.largest(n, counters.growth(ERRORS, window, _PAIR, where))


def _logging(say: Say) -> stat.Panel:
    about = (
        "Whether a failure was ever logged. New API logs failures only with the line "
        "ERROR_LOG_ENABLED=true in its environment; One API logs none."
    )
    card = Card(say("Failure logging"), say(about), width=6, height=5, unit="none")
    texts = {
        "0": (say("Never seen: set ERROR_LOG_ENABLED=true"), WARNING),
        "1": (say("On"), GOOD),
    }
    panel = numbers(card, now("max(newapi_error_log_seen)", say("Logging")))
    return panel.mappings([style.words(texts)]).color_scheme(style.by_threshold())


def _rate(say: Say) -> stat.Panel:
    about = (
        "Failed attempts among all of this period, without those of category client and without "
        "channel tests. Empty without traffic, and while no failure was ever logged."
    )
    card = Card(say("Error rate"), say(about), width=6, height=5, unit="percentunit")
    expr = measures.error_rate(RANGE, (), "", _CHOSEN)
    panel = numbers(card, now(expr, say("Error rate"))).decimals(2)
    limits = style.thresholds(GOOD, (0.01, WARNING), (0.05, BAD))
    return panel.color_scheme(style.by_threshold()).thresholds(limits)


def _categories(say: Say) -> bargauge.Panel:
    about = "Failed attempts of this period by category, channel tests excluded."
    card = Card(say("By category"), say(about), width=6, height=5, unit="short")
    panel = ranking(
        card,
        now(counters.growth(ERRORS, RANGE, ("category",), NO_TESTS, _CHOSEN), "{{category}}"),
    )
    for category, (text, shade) in style.CATEGORIES.items():
        panel = panel.override_by_name(category, [style.show_as(say(text)), style.color(shade)])
    return panel


def _codes(say: Say) -> table.Panel:
    about = (
        "Failed attempts by the HTTP status that the gateway noted, tests included; at most the "
        "last 7 days of the range."
    )
    card = Card(say("By status code"), say(about), width=6, height=5, unit="none",
                nothing=say("No failure"))  # fmt: skip
    where = "\n  AND ".join((sql.IN_RANGE, *_FAILED))
    statement = (
        f"{sql.SELECT} {_CODE} AS code, COUNT(*) AS found\nFROM logs l\nWHERE {where}\n"
        f"GROUP BY {_CODE} ORDER BY found DESC LIMIT 20"
    )
    columns = [Column(say("Code"), "code"), Column(say("Failed"), "found", "none")]
    return sql_table(card, columns, statement)


def _by_category(say: Say) -> timeseries.Panel:
    about = "Failed attempts, channel tests excluded. Those of category client count in no rate."
    card = Card(say("Errors by category"), say(about), width=12, height=9, unit="short")
    expr = counters.chosen_steps(ERRORS, _CHOSEN, ("category",))
    panel = bars(card, over_time(expr, "{{category}}"))
    for category, (text, shade) in style.CATEGORIES.items():
        panel = panel.override_by_name(category, [style.show_as(say(text)), style.color(shade)])
    return panel


def _by_pair(say: Say) -> timeseries.Panel:
    about = "Failed attempts of the 10 pairs of channel and model that failed most."
    card = Card(say("Errors by channel and model"), say(about), width=12, height=9, unit="short")
    where = both(NO_TESTS, _among(_MOST))
    each = counters.steps(ERRORS, "channel_model", _PAIR, where)
    kept = f"({each} and on (channel_id, model) {_worst(_DRAWN, WHOLE, where)})"
    return bars(card, over_time(named(kept, CHANNEL), "{{name}} #{{channel_id}} · {{model}}"))


def _pairs(language: Language) -> table.Panel:
    say = language.say
    about = (
        "The 50 pairs of channel and model with most failed attempts in this period. Error rate: "
        "without those of category client. Tests are excluded."
    )
    card = Card(say("Channel and model"), say(about), width=24, height=11, unit="short",
                nothing=say("No failure"))  # fmt: skip
    most = f"({_worst(_ROWS, RANGE, both(NO_TESTS, _among(_LISTED)))} > 0)"
    to_channel = style.linked(say("Channels"), link("channels", language, channel="${__value.raw}"))
    keys = [
        Column(say("Id"), "channel_id", "", [to_channel, style.width(70)]),
        Column(say("Channel"), "name", "", [style.width(200)]),
        Column(say("Model"), "model"),
    ]

    rate = measures.error_rate(RANGE, _PAIR, _among(_LISTED))

    def kept(expr: str) -> str:
        return f"{expr} and on (channel_id, model) {most}"

    values = [
        Column(say("Failed"), named(most, CHANNEL)),
        Column(say("Error rate"), kept(rate), "percentunit", style.error_cell()),
        *(
            Column(say(text), kept(_of(category)), "short")
            for category, (text, _) in style.CATEGORIES.items()
        ),
    ]  # fmt: skip
    return comparison(card, keys, values, sort=say("Failed"))


def _of(category: str) -> str:
    where = both(NO_TESTS, _among(_LISTED), f'category="{category}"')
    return f"({counters.growth(ERRORS, RANGE, _PAIR, where)} > 0)"


def _list(language: Language) -> table.Panel:
    say = language.say
    about = (
        "Failed attempts, newest first, 50 a page, channel tests too. The time leads to the rows "
        "before this one, the id to the whole row below. Of the range at most the last 7 days."
    )
    nothing = say("No failure that the filters let through. Chinese text cannot be searched")
    card = Card(say("Failures"), say(about), width=24, height=16, unit="none", nothing=nothing)
    columns = (
        "p.id", "p.created_at * 1000 AS at", "p.created_at", "p.type AS kind", "p.channel_id",
        "p.model_name", "p.username", "p.token_name", "p.content",
        f"{sql.optional(sql.SECONDS, 'p')} AS seconds",
    )  # fmt: skip
    shown = [
        log_rows.id_column(say, NAME, language, (*_FILTERS, *log_rows.PLACE)),
        log_rows.time_column(say, NAME, language, _FILTERS),
        *log_rows.details(say),
        log_rows.seconds(say),
        Column(say("Message"), "content", "", [style.width(480)]),
    ]
    return sql_table(card, shown, sql.page(columns, _FAILED), hidden=("created_at", "kind"))
