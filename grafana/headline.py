"""Numbers at a glance: how much, how fast, how well, and whether the data is fresh."""

from collections.abc import Callable

from grafana_foundation_sdk.builders import stat
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from grafana import counters, measures, promql, style
from grafana.language import Say
from grafana.metrics import COUNTED_UNTIL
from grafana.panels import MONEY, Card, colored, in_currency, numbers
from grafana.promql import HOUR, RANGE, RECENT, Window
from grafana.queries import now
from grafana.style import BAD, GOOD, IDLE, PLAIN, WARNING

Measure = Callable[[Window], str]


def tokens(say: Say) -> stat.Panel:
    """Tokens of the range."""
    about = "Prompt and completion tokens, channel tests included."
    return _total(say, "Tokens", about, "short", measures.tokens)


def requests(say: Say) -> stat.Panel:
    """Requests of the range."""
    about = "Completed requests, channel tests excluded."
    return _total(say, "Requests", about, "short", measures.requests)


def cost(say: Say) -> stat.Panel:
    """Cost of the range."""
    about = "Quota charged less quota given back, in the currency that the gateway shows."
    panel = _total(say, "Cost", about, MONEY, measures.spent, shown=measures.cost)
    return in_currency(panel)


def active_channels(say: Say) -> stat.Panel:
    """Channels in use."""
    about = "Channels that completed a request in this period."
    expr = measures.active("channel_id", RANGE)
    return _value(say, "Active channels", about, "none", expr).decimals(0)


def active_models(say: Say) -> stat.Panel:
    """Models in use."""
    about = "Models that completed a request in this period."
    expr = measures.active("model", RANGE)
    return _value(say, "Active models", about, "none", expr).decimals(0)


def success(say: Say) -> stat.Panel:
    """Success rate of the range."""
    about = (
        "Completed requests among all attempts of this period. Attempts that failed and were "
        "tried again elsewhere count; what the caller did wrong and channel tests do not. Empty "
        "while no failure was ever logged."
    )
    expr = measures.success(RANGE)
    panel = _value(say, "Success rate", about, "percentunit", expr).decimals(2).max(1)
    limits = style.thresholds(BAD, (0.95, WARNING), (0.99, GOOD))
    return panel.color_scheme(style.by_threshold()).thresholds(limits)


def rpm(say: Say, where: str = "", width: int = 3) -> stat.Panel:
    """Requests a minute."""
    about = "Completed requests a minute in the last 5 minutes, and a period earlier."
    expr = promql.a_minute(measures.requests, RECENT, where)
    return _value(say, "RPM", about, "short", expr, width)


def tpm(say: Say, where: str = "", width: int = 3) -> stat.Panel:
    """Tokens a minute."""
    about = "LLM tokens a minute in the last 5 minutes, and a period earlier."
    expr = promql.a_minute(measures.tokens, RECENT, where)
    return _value(say, "TPM", about, "short", expr, width)


def model_health(say: Say, width: int = 8) -> stat.Panel:
    """How many models are well."""
    about = (
        "Models by success rate in the last hour: healthy from 95 %, degraded from 80 %, failing "
        "below. Idle: nobody asked for it. No channel: none that serves it is enabled."
    )
    card = Card(say("Model health"), say(about), width=width, height=4, unit="none")
    panel = numbers(
        card,
        now(measures.models_where(">= 0.95", HOUR), say("Healthy")),
        now(measures.models_where(">= 0.8 < 0.95", HOUR), say("Degraded")),
        now(measures.models_where("< 0.8", HOUR), say("Failing")),
        now(measures.idle_models(HOUR), say("Idle")),
        now(measures.models_without_channel(), say("No channel")),
    ).decimals(0)
    for name, shade in (("Degraded", WARNING), ("Failing", BAD), ("No channel", BAD)):
        panel = panel.override_by_name(say(name), style.from_one(shade))
    return colored(panel, {say("Healthy"): GOOD, say("Idle"): IDLE})


def channels(say: Say) -> stat.Panel:
    """Channels by status."""
    about = "Channels by status. What the breaker disabled counts as manually disabled."
    card = Card(say("Channels"), say(about), width=6, height=4, unit="none")
    panel = numbers(
        card,
        now(measures.channels_with("enabled"), say("Enabled")),
        now(measures.channels_with("manually_disabled"), say("Manually disabled")),
        now(measures.channels_with("auto_disabled"), say("Auto-disabled")),
    ).decimals(0)
    panel = panel.override_by_name(say("Auto-disabled"), style.from_one(WARNING))
    return colored(panel, {say("Enabled"): GOOD, say("Manually disabled"): IDLE})


def age(say: Say, width: int = 3) -> stat.Panel:
    """How far the data is behind."""
    about = "Everything older than this is counted. It grows while the data stands still."
    card = Card(say("Data is behind by"), say(about), width=width, height=4, unit="s")
    panel = numbers(card, now(f"time() - max({COUNTED_UNTIL})", say("Now"))).decimals(0)
    limits = style.thresholds(GOOD, (120, WARNING), (300, BAD))
    return panel.color_scheme(style.by_threshold()).thresholds(limits)


def _total(
    say: Say, title: str, about: str, unit: str, measure: Measure, shown: Measure | None = None
) -> stat.Panel:
    """Show the total of the range, in the form of `shown`, and the change against before."""
    card = Card(say(title), say(about), width=3, height=5, unit=unit)
    change = counters.change(measure(RANGE))
    as_ratio = [
        DynamicConfigValue("unit", "percentunit"),
        DynamicConfigValue("decimals", 1),
        style.color(PLAIN),
    ]
    value = (shown or measure)(RANGE)
    queries = now(value, say("This period")), now(change, say("Change"))
    panel = numbers(card, *queries, stacked=True)
    return panel.override_by_name(say("Change"), as_ratio)


def _value(say: Say, title: str, about: str, unit: str, expr: str, width: int = 3) -> stat.Panel:
    """Show a value, and what it was in the period before."""
    card = Card(say(title), say(about), width=width, height=5, unit=unit)
    queries = now(expr, say("Now")), now(counters.earlier(expr), say("Before"))
    panel = numbers(card, *queries, stacked=True)
    return colored(panel, {say("Before"): PLAIN})
