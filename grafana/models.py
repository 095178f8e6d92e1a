"""Models: what each is used for, what it really costs, how fast it is and how often it fails."""

from grafana_foundation_sdk.builders import bargauge, piechart, table
from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from grafana import counters, measures, promql, style, variables
from grafana.dashboard import add, frame, link
from grafana.graphs import cost, errors_by_category, latency, requests_and_failures
from grafana.graphs import tokens_by_direction as tokens
from grafana.language import Language, Say
from grafana.metrics import CHANNEL, DURATION, FIRST_TOKEN, TOKENS
from grafana.panels import MONEY, Card, colored, in_currency, pie, ranking
from grafana.promql import RANGE, named
from grafana.queries import now
from grafana.style import IDLE
from grafana.tables import Column, comparison

NAME = "models"

_BY = ("model",)


def build(language: Language) -> Dashboard:
    """Make the dashboard in a language."""
    say = language.say
    about = "What each model is used for, what it costs, how fast it is and how often it fails."
    board = frame(NAME, language, "Models", about, variables.model(say))
    add(board, _by_requests(say), _by_tokens(say), _shares(say))
    add(board, _table(language), row=say("All models"))
    add(board, slowest(say), _first_tokens(say), _speed(say), _prices(say), row=say("Compared"))
    graphs = requests_and_failures, errors_by_category, latency, tokens
    panels = [graph(say, ("model",)) for graph in graphs]
    money = cost(say, ("model",))
    return add(board, *panels, money, _channels(say), row=say("The chosen model"))


def _by_requests(say: Say) -> bargauge.Panel:
    about = "The 10 models with most completed requests in this period, tests excluded."
    card = Card(say("Most requests"), say(about), width=8, height=9, unit="short")
    top = promql.largest(10, measures.requests(RANGE, _BY))
    return ranking(card, now(top, "{{model}}"))


def _by_tokens(say: Say) -> bargauge.Panel:
    about = "The 10 models that used most tokens in this period."
    card = Card(say("Most tokens"), say(about), width=8, height=9, unit="short")
    return ranking(card, now(promql.largest(10, measures.tokens(RANGE, _BY)), "{{model}}"))


def _shares(say: Say) -> piechart.Panel:
    about = "Share of the 10 models that used most tokens in this period, and of all others."
    card = Card(say("Share of tokens"), say(about), width=8, height=9, unit="short")
    each = measures.tokens(RANGE, _BY)
    top = promql.largest(10, each)
    panel = pie(card, now(top, "{{model}}"), now(f"sum({each} unless {top})", say("All others")))
    return colored(panel, {say("All others"): IDLE})


def _table(language: Language) -> table.Panel:
    say = language.say
    about = (
        "All models of this period. Output speed: completion tokens for each second that requests "
        "took. Price: what a million tokens cost, prompt and completion together, after cache and "
        "discounts. Error rate: failed attempts among all, without those of category client and "
        "without tests. p95 needs 20 requests."
    )
    card = Card(say("Models"), say(about), width=24, height=12, unit="short")
    self_link = style.linked(say("Show below"), link(NAME, language, model="${__value.raw}"))
    keys = [Column(say("Model"), "model", more=[style.width(220), self_link])]
    everyone = f"({measures.requests(RANGE, _BY)} or {measures.enabled_channels()} * 0)"
    values = [
        Column(say("Requests"), everyone),
        Column(say("Channels"), measures.enabled_channels(), "none"),
        Column(say("Tokens"), measures.tokens(RANGE, _BY)),
        Column(say("Cost"), measures.cost(RANGE, _BY), MONEY),
        Column(say("Price per million"), measures.paid_per_million(_BY), MONEY),
        Column(
            say("Error rate"), measures.error_rate(RANGE, _BY), "percentunit", style.error_cell()
        ),
        Column(say("Mean"), counters.mean(DURATION, RANGE, _BY), "s", style.slow_cell()),
        Column(say("p95"), counters.quantile(0.95, DURATION, RANGE, _BY), "s", style.slow_cell()),
        Column(
            say("First token"),
            counters.quantile(0.95, FIRST_TOKEN, RANGE, _BY),
            "s",
            style.slow_cell(),
        ),
        Column(
            say("Output speed"), _output_speed(), "suffix: /s", [DynamicConfigValue("decimals", 0)]
        ),
    ]
    return comparison(card, keys, values, sort=say("Requests"))


def _output_speed() -> str:
    """Give completion tokens a second of request."""
    written = counters.growth(TOKENS, RANGE, _BY, 'direction="completion"')
    return f"{written} / ({counters.growth(DURATION.sum, RANGE, _BY)} > 0)"


def slowest(say: Say, title: str = "Slowest, p95", width: int = 6) -> bargauge.Panel:
    """The slowest models."""
    about = "The 10 slowest models: 95 of 100 requests took no longer. From 20 requests on."
    card = Card(say(title), say(about), width=width, height=9, unit="s")
    slow = promql.largest(10, counters.quantile(0.95, DURATION, RANGE, _BY))
    return ranking(card, now(f"({slow})", "{{model}}"))


def _first_tokens(say: Say) -> bargauge.Panel:
    about = "The 10 models that let streams wait longest for the first token, p95."
    card = Card(say("First token, p95"), say(about), width=6, height=9, unit="s")
    slow = promql.largest(10, counters.quantile(0.95, FIRST_TOKEN, RANGE, _BY))
    return ranking(card, now(f"({slow})", "{{model}}"))


def _speed(say: Say) -> bargauge.Panel:
    about = "The 10 fastest models: completion tokens for each second that requests took."
    card = Card(say("Fastest output"), say(about), width=6, height=9, unit="suffix: /s")
    return ranking(card, now(promql.largest(10, _output_speed()), "{{model}}"))


def _prices(say: Say) -> bargauge.Panel:
    about = "The 10 dearest models: what a million tokens cost, after cache and discounts."
    card = Card(say("Dearest per million tokens"), say(about), width=6, height=9, unit=MONEY)
    dear = promql.largest(10, measures.paid_per_million(_BY))
    return in_currency(ranking(card, now(dear, "{{model}}")))


def _channels(say: Say) -> bargauge.Panel:
    about = "The 10 channels that completed most requests for the chosen model."
    card = Card(say("Its channels"), say(about), width=12, height=8, unit="short")
    top = promql.largest(10, measures.requests(RANGE, ("channel_id",), chosen=("model",)))
    return ranking(card, now(named(top, CHANNEL), CHANNEL.legend))
