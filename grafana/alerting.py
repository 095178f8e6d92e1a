"""Alerts and the breaker: what fires, what is held, what it did."""

from grafana_foundation_sdk.builders import stat, table
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from grafana import measures, style
from grafana.language import Say
from grafana.metrics import API_KEY, CHANNEL
from grafana.panels import Card, numbers
from grafana.queries import now, rows
from grafana.style import BAD, GOOD, IDLE, NEUTRAL, PLAIN, WARNING
from grafana.tables import listing

_ALERT = ("alertname", "rule", "target", "severity")


def firing_count(say: Say, width: int = 3) -> stat.Panel:
    """How many alerts fire."""
    about = "Alerts that are firing, as listed below."
    card = Card(say("Alerts firing"), say(about), width=width, height=4, unit="none")
    count = f"count({measures.firing(_ALERT)}) or vector(0)"
    panel = numbers(card, now(count, say("Now"))).decimals(0)
    return panel.color_scheme(style.by_threshold()).thresholds(style.thresholds(GOOD, (1, BAD)))


def breaker(say: Say, width: int = 4) -> stat.Panel:
    """What the breaker may do, and how much it holds."""
    about = (
        "Enforce: it disables. Dry run: it only says what it would do. Off: it only records. "
        "Held: channels and API keys that it keeps disabled."
    )
    card = Card(say("Breaker"), say(about), width=width, height=4, unit="none")
    modes = {
        "off": (say("Off"), IDLE),
        "dry-run": (say("Dry run"), WARNING),
        "enforce": (say("Enforce"), GOOD),
    }
    # A number for each mode, since a stat panel shows values, not labels.
    number = " or ".join(
        f'newapi_breaker_mode{{mode="{mode}"}} * {index}' for index, mode in enumerate(modes)
    )
    names = {str(index): shown for index, shown in enumerate(modes.values())}
    as_mode = [
        DynamicConfigValue("mappings", [style.words(names)]),
        DynamicConfigValue("color", {"mode": "thresholds"}),
    ]
    held = f"count({measures.HELD}) or max(newapi_breaker_mode) * 0"
    panel = numbers(card, now(f"max({number})", say("Mode")), now(held, say("Held")))
    panel = panel.decimals(0).override_by_name(say("Mode"), as_mode)
    return panel.override_by_name(say("Held"), style.from_one(WARNING))


def firing(say: Say, width: int = 9) -> table.Panel:
    """The alerts that fire."""
    about, nothing = say("Alerts that are firing, and since when."), say("No alert is firing")
    card = Card(say("Firing"), about, width=width, height=8, unit="string", nothing=nothing)
    columns = {
        "severity": say("Severity"),
        "alertname": say("Alert"),
        "rule": say("Rule"),
        "target": say("Target"),
        "Value": say("Since"),
    }
    panel = listing(card, columns, rows(measures.firing_since(_ALERT)))
    panel = panel.override_by_name(say("Severity"), style.as_word(severities(say), pixels=90))
    return panel.override_by_name(say("Since"), _AS_TIME)


def held(say: Say, width: int = 6) -> table.Panel:
    """What the breaker holds."""
    about = say("Channels and API keys that the breaker keeps disabled until they are released.")
    nothing = say("The breaker holds nothing")
    card = Card(
        say("Held by the breaker"), about, width=width, height=8, unit="string", nothing=nothing
    )
    columns = {"kind": say("Kind"), "id": say("Id"), "name": say("Name")}
    kinds = {"channel": (say("Channel"), PLAIN), "api_key": (say("API key"), PLAIN)}
    expr = f"{measures.held('channel', CHANNEL)} or {measures.held('api_key', API_KEY)}"
    panel = listing(card, columns, rows(expr), hidden=("Value",))
    return panel.override_by_name(say("Kind"), style.as_word(kinds, pixels=90))


def acted_on(say: Say) -> table.Panel:
    """What the breaker did."""
    about = say("What came of the alerts of this period that asked the breaker to act.")
    nothing = say("It was not asked to act")
    card = Card(
        say("What the breaker did"), about, width=9, height=8, unit="string", nothing=nothing
    )
    columns = {
        "Value": say("When"),
        "result": say("Result"),
        "rule": say("Rule"),
        "target": say("Target"),
        "name": say("Name"),
    }
    panel = listing(card, columns, rows(measures.acted_on()))
    panel = panel.override_by_name(say("Result"), style.as_word(results(say), pixels=130))
    return panel.override_by_name(say("When"), _AS_TIME)


def severities(say: Say) -> dict[str, tuple[str, str]]:
    """Give the severities of alerts: name, colour."""
    return {
        "critical": (say("Critical"), BAD),
        "warning": (say("Warning"), WARNING),
        "info": (say("Info"), NEUTRAL),
    }


def results(say: Say) -> dict[str, tuple[str, str]]:
    """Give what came of alerts: name, colour."""
    return {
        "tripped": (say("Tripped"), WARNING),
        "would_trip": (say("Would have tripped"), NEUTRAL),
        "refused": (say("Refused"), IDLE),
        "failed": (say("Failed"), BAD),
        "released": (say("Released"), GOOD),
        "recorded": (say("Recorded"), PLAIN),
        "repeated": (say("Repeated"), IDLE),
        "set_again": (say("Set again"), WARNING),
    }


_AS_TIME = [DynamicConfigValue("unit", "dateTimeFromNow"), DynamicConfigValue("custom.width", 120)]
