"""Graphs that several dashboards show, each of what the dashboard's variables have chosen."""

from grafana_foundation_sdk.builders import timeseries

from grafana import counters, measures, style
from grafana.counters import Chosen
from grafana.language import Say
from grafana.metrics import DURATION, ERRORS, FAILURES, FIRST_TOKEN, REQUESTS, TOKENS
from grafana.panels import MONEY, Card, bars, colored, in_currency, lines
from grafana.queries import over_time
from grafana.style import BAD, NEUTRAL


def requests_and_failures(say: Say, chosen: Chosen = (), width: int = 12) -> timeseries.Panel:
    """Completed requests and failed attempts."""
    about = "Completed requests, and failed attempts without those of category client."
    card = Card(say("Requests over time"), say(about), width=width, height=8, unit="short")
    panel = bars(
        card,
        over_time(counters.chosen_steps(REQUESTS, chosen), say("Completed")),
        over_time(counters.chosen_steps(FAILURES, chosen), say("Failed")),
    )
    return colored(panel, {say("Completed"): NEUTRAL, say("Failed"): BAD})


def errors_by_category(say: Say, chosen: Chosen = (), width: int = 12) -> timeseries.Panel:
    """Failed attempts by category."""
    about = "Failed attempts, channel tests excluded. Those of category client count in no rate."
    card = Card(say("Errors by category"), say(about), width=width, height=8, unit="short")
    by_category = counters.chosen_steps(ERRORS, chosen, ("category",))
    panel = bars(card, over_time(by_category, "{{category}}"))
    for category, (text, shade) in style.CATEGORIES.items():
        panel = panel.override_by_name(category, [style.show_as(say(text)), style.color(shade)])
    return panel


def latency(say: Say, chosen: Chosen = (), width: int = 12) -> timeseries.Panel:
    """The slow end of requests and first tokens."""
    about = (
        "95 of 100 completed requests took no longer; first token: of streams that got one. "
        "Not drawn where there were fewer than 20 of them."
    )
    card = Card(say("Latency, p95"), say(about), width=width, height=8, unit="s")
    whole = counters.quantile_steps(0.95, DURATION, chosen)
    first = counters.quantile_steps(0.95, FIRST_TOKEN, chosen)
    panel = lines(
        card, over_time(whole, say("Whole request")), over_time(first, say("First token"))
    )
    return colored(panel, {say("Whole request"): NEUTRAL, say("First token"): "purple"})


def tokens_by_direction(say: Say, chosen: Chosen = (), width: int = 12) -> timeseries.Panel:
    """Prompt and completion tokens."""
    about = "Prompt and completion tokens, channel tests included."
    card = Card(say("Tokens over time"), say(about), width=width, height=8, unit="short")
    panel = bars(
        card,
        *(
            over_time(
                counters.chosen_steps(TOKENS, chosen, (), f'direction="{name.lower()}"'),
                say(name),
            )
            for name in ("Prompt", "Completion")
        ),
    )
    return colored(panel, {say("Prompt"): NEUTRAL, say("Completion"): "purple"})


def cost(say: Say, chosen: Chosen = (), width: int = 12) -> timeseries.Panel:
    """Cost."""
    about = "Quota charged less quota given back, in the currency that the gateway shows."
    card = Card(say("Cost over time"), say(about), width=width, height=8, unit=MONEY)
    panel = bars(card, over_time(measures.money(measures.spent_steps(chosen)), say("Cost")))
    return in_currency(colored(panel, {say("Cost"): NEUTRAL}))
