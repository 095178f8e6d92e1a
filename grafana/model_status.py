"""Model status: can people use each model, now and over the last day."""

from grafana_foundation_sdk.builders import statushistory, table, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana import counters, headline, measures, style, variables
from grafana.dashboard import add, frame, link
from grafana.language import Language, Say
from grafana.metrics import FAILED_REQUESTS
from grafana.panels import Card, bars, strips
from grafana.promql import STEP, last
from grafana.queries import over_time
from grafana.style import BAD, GOOD, IDLE, PLAIN, WARNING
from grafana.tables import Column, comparison

NAME = "model-status"

_BY = ("model",)
_CHOSEN = 'model=~"$model"'
_HOURS = (1, 6, 12, 24)


def build(language: Language) -> Dashboard:
    """Make the dashboard in a language."""
    say = language.say
    about = "Whether each model can be used: its success rate over time, and who can serve it."
    board = frame(NAME, language, "Model status", about, variables.model(say), since="6h")
    add(board, headline.model_health(say, width=24))
    add(board, _strips(say), _table(language))
    return add(board, _failed(say))


def _strips(say: Say) -> statushistory.Panel:
    about = (
        "Success rate of each model from point to point: green from 95 %, amber from 80 %, red "
        "below, grey where there was no traffic. Attempts that failed and were tried again "
        "elsewhere count; what the caller did wrong and channel tests do not."
    )
    nothing = say("Unknown: no failure was ever logged. Errors says why")
    card = Card(say("Status over time"), say(about), width=24, height=14, unit="percentunit",
                nothing=nothing)  # fmt: skip
    panel = strips(card, over_time(measures.model_status_steps(_CHOSEN), "{{model}}"))
    shades = style.thresholds(IDLE, (0, BAD), (0.8, WARNING), (0.95, GOOD))
    idle = {str(measures.NO_TRAFFIC): (say("No traffic"), IDLE)}
    return panel.decimals(1).mappings([style.words(idle)]).thresholds(shades)


def _table(language: Language) -> table.Panel:
    say = language.say
    about = (
        "Success rate of each model over the last hours, whatever the range of the dashboard, and "
        "the number of enabled channels that can serve it. A red 0: nobody can use it."
    )
    card = Card(say("Success rate"), say(about), width=24, height=12, unit="percentunit")
    to_model = style.linked(say("Models"), link("models", language, model="${__value.raw}"))
    colours = style.cell(BAD, (0.8, WARNING), (0.95, GOOD))
    values = [
        Column(
            say("Channels"), measures.enabled_channels(_CHOSEN), "none",
            style.cell(BAD, (1, PLAIN)),
        ),
        *(
            Column(
                say(f"{hours} h"), measures.success(last(hours), _BY, _CHOSEN), "percentunit",
                colours,
            )
            for hours in _HOURS
        ),
    ]  # fmt: skip
    keys = [Column(say("Model"), "model", more=[to_model])]
    return comparison(card, keys, values).decimals(2)


def _failed(say: Say) -> timeseries.Panel:
    about = (
        "Requests of which no attempt succeeded: what people noticed. Told 15 minutes after the "
        "last attempt, and only by gateways that log request ids and failures."
    )
    card = Card(say("Requests that failed for the user"), say(about), width=24, height=8,
                unit="short", nothing=say("None, or the gateway does not tell"))  # fmt: skip
    grown = counters.growth(FAILED_REQUESTS, STEP, _BY, _CHOSEN)
    return bars(card, over_time(grown, "{{model}}"))
