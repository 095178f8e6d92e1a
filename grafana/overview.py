"""The Overview: what the gateway does, what it costs and whether it is well, on one screen."""

from grafana_foundation_sdk.builders import bargauge, piechart, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.common import GraphDrawStyle, StackingMode
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from grafana import (
    alerting,
    api_keys,
    channels,
    counters,
    headline,
    measures,
    models,
    promql,
    style,
)
from grafana.dashboard import add, frame
from grafana.graphs import cost, errors_by_category, latency, requests_and_failures
from grafana.language import Language, Say
from grafana.metrics import (
    API_KEY,
    API_KEY_QUOTA,
    CACHED_TOKENS,
    CHANNEL,
    TOKENS,
    USER,
    USER_QUOTA,
)
from grafana.panels import MONEY, Card, bars, colored, in_currency, pie, ranking, with_totals
from grafana.promql import RANGE, WHOLE
from grafana.queries import now, over_time
from grafana.style import GOOD, IDLE, NEUTRAL

NAME = "overview"

_TOP = 10


def build(language: Language) -> Dashboard:
    """Make the dashboard in a language."""
    say = language.say
    board = frame(NAME, language, "Overview", "What the gateway does, costs and suffers from.")
    add(board, headline.tokens(say), headline.requests(say), headline.cost(say))
    add(board, headline.active_channels(say), headline.active_models(say))
    add(board, headline.success(say), headline.rpm(say), headline.tpm(say))
    add(board, headline.model_health(say), headline.channels(say))
    add(board, alerting.firing_count(say), alerting.breaker(say), headline.age(say))
    add(board, _tokens_by_model(say), _tokens_by_channel(say), row=say("Usage"))
    usage = requests_and_failures(say, width=8), cost(say, width=8)
    add(board, _tokens(say), *usage)
    quality = latency(say), errors_by_category(say)
    add(board, *quality, row=say("Quality"))
    tables = (alerting.firing(say), alerting.held(say), alerting.acted_on(say))
    add(board, *tables, row=say("Alerts and breaker"))
    add(board, _cost_by_api_key(say), _cost_by_user(say), row=say("Who spends"))
    slow = models.slowest(say, "Slowest models, p95", width=8)
    keys = api_keys.run_out(say, "API keys that run out first", height=9)
    return add(board, slow, channels.run_out(say), keys, row=say("What is slow, what runs out"))


def _tokens_by_model(say: Say) -> timeseries.Panel:
    about = "Tokens of the 10 models that used most in this period, and of all others together."
    card = Card(say("Tokens by model"), say(about), width=16, height=9, unit="short")
    each = counters.steps(TOKENS, "model", ("model",))
    top = promql.largest(_TOP, measures.tokens(WHOLE, ("model",)))
    panel = bars(
        card,
        over_time(f"{each} and on (model) {top}", "{{model}}"),
        over_time(f"sum({each} unless on (model) {top})", say("All others")),
    )
    return with_totals(colored(panel, {say("All others"): IDLE}))


def _tokens_by_channel(say: Say) -> piechart.Panel:
    about = "Share of the 10 channels that used most tokens in this period, and of all others."
    card = Card(say("Tokens by channel"), say(about), width=8, height=9, unit="short")
    each = measures.tokens(RANGE, ("channel_id",))
    top = promql.largest(_TOP, each)
    panel = pie(
        card,
        now(promql.named(top, CHANNEL), CHANNEL.legend),
        now(f"sum({each} unless {top})", say("All others")),
    )
    return colored(panel, {say("All others"): IDLE})


def _tokens(say: Say) -> timeseries.Panel:
    about = "Prompt and completion tokens; the line is the part of the prompt served from cache."
    card = Card(say("Tokens over time"), say(about), width=8, height=8, unit="short")
    as_line = [
        DynamicConfigValue("custom.drawStyle", GraphDrawStyle.LINE),
        DynamicConfigValue("custom.stacking", {"mode": StackingMode.NONE, "group": "A"}),
        DynamicConfigValue("custom.lineWidth", 2),
        DynamicConfigValue("custom.fillOpacity", 0),
        style.color(GOOD),
    ]
    panel = bars(
        card,
        over_time(counters.steps(TOKENS, "gateway", (), 'direction="prompt"'), say("Prompt")),
        over_time(
            counters.steps(TOKENS, "gateway", (), 'direction="completion"'), say("Completion")
        ),
        over_time(counters.steps(CACHED_TOKENS, "gateway"), say("From cache")),
    )
    panel = panel.override_by_name(say("From cache"), as_line)
    return colored(panel, {say("Prompt"): NEUTRAL, say("Completion"): "purple"})


def _cost_by_api_key(say: Say) -> bargauge.Panel:
    about = "The 10 API keys that cost most in this period; refunds are not taken off."
    card = Card(say("Cost by API key"), say(about), width=12, height=9, unit=MONEY)
    top = promql.largest(_TOP, measures.cost_of(API_KEY_QUOTA, RANGE))
    return in_currency(ranking(card, now(promql.named(top, API_KEY), API_KEY.legend)))


def _cost_by_user(say: Say) -> bargauge.Panel:
    about = "The 10 users that cost most in this period; refunds are not taken off."
    card = Card(say("Cost by user"), say(about), width=12, height=9, unit=MONEY)
    top = promql.largest(_TOP, measures.cost_of(USER_QUOTA, RANGE))
    return in_currency(ranking(card, now(promql.named(top, USER), USER.legend)))
