"""Performance: how long people wait, how much goes through, and which requests were slowest."""

from grafana_foundation_sdk.builders import heatmap, stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana import counters, headline, log_rows, promql, sql, style, variables
from grafana.dashboard import add, frame
from grafana.language import Language, Say
from grafana.metrics import (
    CHANNEL,
    DURATION,
    FIRST_TOKEN,
    REQUESTS,
    TOKENS,
    Counter,
    Histogram,
)
from grafana.panels import Card, bars, colored, heat, lines, numbers
from grafana.promql import RANGE
from grafana.queries import now, over_time
from grafana.style import BAD, GOOD, NEUTRAL, WARNING
from grafana.tables import sql_table

NAME = "performance"

_CHOSEN = ("channel", "model")
_WHERE = promql.both(*(counters.CHOSEN[name] for name in _CHOSEN))
_QUANTILES = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))


def build(language: Language) -> Dashboard:
    """Make the dashboard in a language."""
    say = language.say
    filters = variables.of("channel", "Channel", CHANNEL, say), variables.model(say)
    about = "How long people wait, how much goes through, and which requests were slowest."
    more = log_rows.row_variable(say), log_rows.source_variable(say), log_rows.rate()
    board = frame(NAME, language, "Performance", about, *filters, *more)
    add(board, headline.rpm(say, _WHERE, width=6), headline.tpm(say, _WHERE, width=6))
    add(board, _now(say, DURATION, "Duration"), _now(say, FIRST_TOKEN, "Time to first token"))
    heats = _heat(say, DURATION, "Durations"), _heat(say, FIRST_TOKEN, "Times to first token")
    add(board, *heats, row=say("Spread"))
    add(board, _over_time(say, DURATION, "Duration over time"),
        _over_time(say, FIRST_TOKEN, "Time to first token over time"))  # fmt: skip
    add(board, _a_minute(say, REQUESTS, "Requests a minute"), _a_minute(say, TOKENS,
        "Tokens a minute"), row=say("Throughput"))  # fmt: skip
    slowest = _slowest(language)
    return add(board, slowest, log_rows.whole_row(say), row=say("Slowest requests"))


def _now(say: Say, histogram: Histogram, title: str) -> stat.Panel:
    about = (
        "Mean and percentiles of this period: of completed requests, tests excluded; first token: "
        "of streams that got one. Percentiles from 20 on. Amber above 2 s, red above 5 s."
    )
    card = Card(say(title), say(about), width=6, height=5, unit="s")
    queries = [now(counters.mean(histogram, RANGE, (), "", _CHOSEN), say("Mean"))]
    queries += [
        now(counters.quantile(q, histogram, RANGE, (), "", _CHOSEN), say(name))
        for q, name in _QUANTILES
    ]
    panel = numbers(card, *queries).decimals(1).color_scheme(style.by_threshold())
    return panel.thresholds(style.thresholds(GOOD, (2, WARNING), (5, BAD)))


def _heat(say: Say, histogram: Histogram, title: str) -> heatmap.Panel:
    about = "How many took how long, from point to point; darker is more."
    card = Card(say(title), say(about), width=12, height=9, unit="short")
    return heat(
        card, over_time(counters.chosen_steps(histogram.buckets, _CHOSEN, ("le",)), "{{le}}")
    )


def _over_time(say: Say, histogram: Histogram, title: str) -> timeseries.Panel:
    about = "Of 100, 50, 95 and 99 took no longer. From 20 on."
    card = Card(say(title), say(about), width=12, height=8, unit="s")
    panel = lines(
        card,
        *(
            over_time(counters.quantile_steps(q, histogram, _CHOSEN), say(name))
            for q, name in _QUANTILES
        ),
    )
    return colored(panel, {say("p50"): GOOD, say("p95"): WARNING, say("p99"): BAD})


def _a_minute(say: Say, counter: Counter, title: str) -> timeseries.Panel:
    about = "Mean from point to point, tests excluded of requests."
    card = Card(say(title), say(about), width=12, height=8, unit="short")
    expr = f"{counters.chosen_steps(counter, _CHOSEN)} / ($__interval_ms / 60000)"
    return colored(bars(card, over_time(expr, say("A minute"))), {say("A minute"): NEUTRAL})


def _slowest(language: Language) -> table.Panel:
    say = language.say
    about = (
        "The 20 completed requests of this period that took longest, of at most its last 7 days. "
        "Amber above 2 s, red above 5 s. The gateway stores whole seconds, and a retry counts "
        "from the first attempt."
    )
    nothing = say("No completed request. A model with a Chinese name cannot be searched")
    card = Card(say("20 slowest requests"), say(about), width=24, height=15, unit="none",
                nothing=nothing)  # fmt: skip
    columns = (
        "p.id", "p.created_at * 1000 AS at", "p.channel_id", "p.model_name", "p.username",
        "p.token_name", "p.prompt_tokens", "p.completion_tokens",
        f"{sql.money('p.quota')} AS cost", f"{sql.optional(sql.SECONDS, 'p')} AS seconds",
    )  # fmt: skip
    conditions = (
        "l.type = 2",
        sql.equals("l.channel_id", "channel"),
        sql.is_text("l.model_name", "model"),
    )
    statement = sql.page(columns, conditions, order=f"{sql.optional(sql.SECONDS, 'l')} DESC")
    shown = [
        log_rows.id_column(say, NAME, language, ("database", *_CHOSEN)),
        log_rows.plain_time(say),
        *log_rows.details(say),
        *log_rows.usage(say),
        log_rows.seconds(say),
    ]
    return sql_table(card, shown, statement)
