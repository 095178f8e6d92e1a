"""API keys: who uses most, who will run out first, and which nobody uses."""

from grafana_foundation_sdk.builders import piechart, table
from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from grafana import measures, promql, spenders, style, variables
from grafana.counters import growth
from grafana.dashboard import add, frame, link
from grafana.language import Language, Say
from grafana.metrics import (
    API_KEY,
    API_KEY_ERRORS,
    API_KEY_QUOTA,
    API_KEY_REQUESTS,
    API_KEY_TOKENS,
)
from grafana.panels import MONEY, Card, colored, pie
from grafana.promql import RANGE, both, gauge, named, named_there
from grafana.queries import now
from grafana.spenders import Spender
from grafana.style import BAD, GOOD, IDLE, PLAIN, WARNING
from grafana.tables import Column, comparison

NAME = "api-keys"

KEYS = Spender(API_KEY, "api_key", API_KEY_REQUESTS, API_KEY_ERRORS, API_KEY_TOKENS, API_KEY_QUOTA)

_BY = ("api_key_id",)
_STATUSES = (
    ("enabled", "Enabled", GOOD),
    ("disabled", "Disabled", IDLE),
    ("expired", "Expired", "purple"),
    ("exhausted", "Exhausted", WARNING),
)
_UNLIMITED = -1
"""Stands for what is left of no limit."""


def build(language: Language) -> Dashboard:
    """Make the dashboard in a language."""
    say = language.say
    about = "Who uses most, who will run out first, and which API keys nobody uses."
    filters = variables.of("api_key", "API key", API_KEY, say), *KEYS.variables()
    board = frame(NAME, language, "API keys", about, *filters)
    most = "The 10 API keys that used most tokens in this period."
    cost = "The 10 API keys that were charged most in this period; refunds are not taken off."
    add(board, _statuses(say), spenders.highest_cost(say, KEYS, cost, width=18))
    add(board, spenders.tokens(say, KEYS, most, 12), spenders.requests(say, KEYS, most, 12))
    add(board, _table(language), row=say("Charged most"))
    return add(board, run_out(say), _low(say), _unused(say), row=say("To look after"))


def _statuses(say: Say) -> piechart.Panel:
    about = "API keys by status."
    card = Card(say("API keys by status"), say(about), width=6, height=9, unit="none")
    queries = [now(measures.api_keys_with(name), say(text)) for name, text, _ in _STATUSES]
    return colored(pie(card, *queries), {say(text): shade for _, text, shade in _STATUSES})


def _table(language: Language) -> table.Panel:
    say = language.say
    about = (
        "The 100 API keys that were charged most in this period, deleted ones too. An unlimited "
        "key ends with its user's quota. Failed: attempts of every category."
    )
    card = Card(say("API keys"), say(about), width=24, height=12, unit="short")
    self_link = style.linked(say("Show only this"), link(NAME, language, api_key="${__value.raw}"))
    keys = [
        Column(say("Id"), "api_key_id", more=[style.width(70), self_link]),
        Column(say("Name"), "name", more=[style.width(190)]),
        Column(say("User"), "username", more=[style.width(130)]),
        Column(say("Group"), "group", more=[style.width(100)]),
    ]
    words = {
        str(index): (say(text), shade) for index, (_, text, shade) in enumerate(_STATUSES, start=1)
    }
    listed = KEYS.listed
    charged = growth(API_KEY_QUOTA, RANGE, _BY, listed)
    cost = measures.money(f"({named(charged, API_KEY, 'group')})")
    endless = f"({gauge('newapi_api_key_unlimited', _BY, listed)} == 1) * {_UNLIMITED}"
    remaining = f"{measures.money(measures.limited_keys(listed))} or {endless}"
    unlimited = {str(_UNLIMITED): (say("Unlimited"), PLAIN)}
    values = [
        Column(say("Cost"), cost, MONEY),
        Column(say("Status"), _status(), "none", style.as_word(words, 90)),
        Column(say("Tokens"), growth(API_KEY_TOKENS, RANGE, _BY, listed)),
        Column(say("Requests"), growth(API_KEY_REQUESTS, RANGE, _BY, listed)),
        Column(say("Failed"), growth(API_KEY_ERRORS, RANGE, _BY, listed)),
        Column(say("Used ever"), measures.money(_used(listed)), MONEY),
        Column(say("Remaining"), remaining, MONEY,
               [DynamicConfigValue("mappings", [style.words(unlimited)])]),
        Column(say("Last use"), f"{_last_use(listed)} * 1000", "dateTimeFromNow"),
    ]  # fmt: skip
    return comparison(card, keys, values, sort=say("Cost"))


def _status() -> str:
    """Give the status of each key that is listed as its number in _STATUSES."""
    return " or ".join(
        f"({_has(name, KEYS.listed)}) * {number}"
        for number, (name, _, _) in enumerate(_STATUSES, start=1)
    )


def _has(status: str, where: str = "") -> str:
    matchers = both(f'status="{status}"', where)
    return f"{gauge('newapi_api_key_status', _BY, matchers)} == 1"


def _used(where: str = "") -> str:
    return gauge("newapi_api_key_used_quota", _BY, where)


def _last_use(where: str = "") -> str:
    return f"({gauge('newapi_api_key_last_used_timestamp_seconds', _BY, where)} > 0)"


def run_out(say: Say, title: str = "Run out first", height: int = 11) -> table.Panel:
    """The API keys that run out first."""
    about = (
        "The 15 enabled API keys with a limit that will be used up first at the pace of this "
        "period."
    )
    nothing = say("No API key with a limit is in use")
    card = Card(say(title), say(about), width=8, height=height, unit="s", nothing=nothing)
    pace = growth(API_KEY_QUOTA, RANGE, _BY)
    first = f"bottomk(15, {measures.lasts(measures.limited_keys(), pace)} and {_has('enabled')})"
    values = [
        Column(say("Runs out in"), named_there(f"({first})", API_KEY), "s",
               [*style.cell(BAD, (86400, WARNING), (7 * 86400, PLAIN)),
                DynamicConfigValue("decimals", 0)]),
    ]  # fmt: skip
    return comparison(card, _names(say), values, sort=say("Runs out in"), least_first=True)


def _low(say: Say) -> table.Panel:
    about = "The 15 enabled API keys that have least of their limit left, below 20 %."
    nothing = say("Every enabled API key has 20 % or more left")
    card = Card(say("Low quota"), say(about), width=8, height=11, unit="percentunit",
                nothing=nothing)  # fmt: skip
    left = measures.limited_keys()
    ratio = f"{left} / ({left} + {_used()} > 0)"
    low = f"bottomk(15, ({ratio}) < 0.2 and {_has('enabled')})"
    values = [
        Column(say("Part left"), named_there(f"({low})", API_KEY), "percentunit",
               [*style.cell(BAD, (0.05, WARNING)), DynamicConfigValue("decimals", 1)]),
    ]  # fmt: skip
    return comparison(card, _names(say), values, sort=say("Part left"), least_first=True)


def _unused(say: Say) -> table.Panel:
    about = "The 15 enabled API keys that were not used for longest, from 30 days on."
    nothing = say("Every enabled API key was used within 30 days")
    card = Card(say("Unused for long"), say(about), width=8, height=11, unit="s", nothing=nothing)
    unused = f"(time() - {_last_use()}) > 30 * 86400 and {_has('enabled')}"
    longest = promql.largest(15, unused)
    values = [
        Column(say("Not used for"), named_there(longest, API_KEY), "s",
               [DynamicConfigValue("decimals", 0)]),
    ]  # fmt: skip
    return comparison(card, _names(say), values, sort=say("Not used for"))


def _names(say: Say) -> list[Column]:
    return [
        Column(say("Id"), "api_key_id", more=[style.width(70)]),
        Column(say("Name"), "name"),
        Column(say("User"), "username"),
    ]
