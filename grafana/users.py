"""Users: who uses most, and who will run out first."""

from grafana_foundation_sdk.builders import stat, table
from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from grafana import measures, promql, spenders, style, variables
from grafana.counters import growth
from grafana.dashboard import add, frame, link
from grafana.language import Language, Say
from grafana.metrics import API_KEY, USER, USER_ERRORS, USER_QUOTA, USER_REQUESTS, USER_TOKENS
from grafana.panels import MONEY, Card, colored, numbers
from grafana.promql import RANGE, gauge, named
from grafana.queries import now
from grafana.spenders import Spender
from grafana.style import BAD, GOOD, IDLE, PLAIN, WARNING
from grafana.tables import Column, comparison

NAME = "users"

USERS = Spender(USER, "user", USER_REQUESTS, USER_ERRORS, USER_TOKENS, USER_QUOTA)

_BY = ("user_id",)


def build(language: Language) -> Dashboard:
    """Make the dashboard in a language."""
    say = language.say
    about = "Which users use most, and who will run out first."
    filters = variables.of("user", "User", USER, say), *USERS.variables()
    board = frame(NAME, language, "Users", about, *filters)
    most = "The 10 users that used most tokens in this period."
    cost = "The 10 users that were charged most in this period; refunds are not taken off."
    add(board, _counts(say), spenders.highest_cost(say, USERS, cost, width=18))
    add(board, spenders.tokens(say, USERS, most, 12), spenders.requests(say, USERS, most, 12))
    add(board, _table(language), row=say("Charged most"))
    return add(board, _run_out(say), _low(say), _unused(say), row=say("To look after"))


def _counts(say: Say) -> stat.Panel:
    about = (
        "Users by status, those that were charged in this period, and those without quota left. "
        "Known: deleted ones too, for 35 days."
    )
    card = Card(say("Number of users"), say(about), width=6, height=9, unit="none")
    charged = f"sum({growth(USER_QUOTA, RANGE, _BY)} > bool 0)"
    panel = numbers(
        card,
        now(f"count(max by (user_id) ({USER.info}))", say("Known")),
        now(_with("enabled"), say("Enabled")),
        now(_with("disabled"), say("Disabled")),
        now(charged, say("Charged")),
        now(promql.or_zero(f"count({_left()} <= 0)"), say("Nothing left")),
        stacked=True,
    )
    panel = panel.decimals(0).override_by_name(say("Nothing left"), style.from_one(WARNING))
    return colored(panel, {say("Enabled"): GOOD, say("Disabled"): IDLE})


def _with(status: str) -> str:
    return f'sum(max by (user_id) (newapi_user_status{{status="{status}"}}))'


def _table(language: Language) -> table.Panel:
    say = language.say
    about = (
        "The 100 users that were charged most in this period, deleted ones too. Used ever: less "
        "refunds, as the gateway counts it. Failed: attempts of every category. Last use: of any "
        "API key of the user."
    )
    card = Card(say("Users"), say(about), width=24, height=12, unit="short")
    self_link = style.linked(say("Show only this"), link(NAME, language, user="${__value.raw}"))
    keys = [
        Column(say("Id"), "user_id", more=[style.width(80), self_link]),
        Column(say("Name"), "name", more=[style.width(220)]),
        Column(say("Group"), "group", more=[style.width(120)]),
    ]
    listed = USERS.listed
    charged = growth(USER_QUOTA, RANGE, _BY, listed)
    values = [
        Column(say("Cost"), measures.money(f"({named(charged, USER, 'group')})"), MONEY),
        Column(say("Tokens"), growth(USER_TOKENS, RANGE, _BY, listed)),
        Column(say("Requests"), growth(USER_REQUESTS, RANGE, _BY, listed)),
        Column(say("Failed"), growth(USER_ERRORS, RANGE, _BY, listed)),
        Column(say("Used ever"), measures.money(_used(listed)), MONEY),
        Column(say("Remaining"), measures.money(_left(listed)), MONEY),
        Column(say("Last use"), f"{_last_use(listed)} * 1000", "dateTimeFromNow"),
    ]
    return comparison(card, keys, values, sort=say("Cost"))


def _run_out(say: Say) -> table.Panel:
    about = "The 15 users whose quota will be used up first at the pace of this period."
    nothing = say("No user with quota left is charged")
    card = Card(say("Run out first"), say(about), width=8, height=11, unit="s", nothing=nothing)
    first = f"bottomk(15, {measures.lasts(f'({_left()} > 0)', growth(USER_QUOTA, RANGE, _BY))})"
    values = [
        Column(say("Runs out in"), named(f"({first})", USER), "s",
               [*style.cell(BAD, (86400, WARNING), (7 * 86400, PLAIN)),
                DynamicConfigValue("decimals", 0)]),
    ]  # fmt: skip
    return comparison(card, _names(say), values, sort=say("Runs out in"), least_first=True)


def _low(say: Say) -> table.Panel:
    about = "The 15 users that have least of their quota left, below 20 %."
    nothing = say("Every user has 20 % or more left")
    card = Card(say("Low quota"), say(about), width=8, height=11, unit="percentunit",
                nothing=nothing)  # fmt: skip
    low = f"bottomk(15, ({_left()} / ({_left()} + {_used()} > 0)) < 0.2)"
    values = [
        Column(say("Part left"), named(f"({low})", USER), "percentunit",
               [*style.cell(BAD, (0.05, WARNING)), DynamicConfigValue("decimals", 1)]),
    ]  # fmt: skip
    return comparison(card, _names(say), values, sort=say("Part left"), least_first=True)


def _unused(say: Say) -> table.Panel:
    about = (
        "The 15 users with quota left who used none of their API keys for longest, from 30 days on."
    )
    nothing = say("No user with quota left and an API key was idle for 30 days")
    card = Card(say("Unused for long"), say(about), width=8, height=11, unit="s", nothing=nothing)
    unused = f"(time() - {_last_use()}) > 30 * 86400 and {_left()} > 0"
    longest = named(promql.largest(15, unused), USER)
    values = [Column(say("Not used for"), longest, "s", [DynamicConfigValue("decimals", 0)])]
    return comparison(card, _names(say), values, sort=say("Not used for"))


def _left(where: str = "") -> str:
    return gauge("newapi_user_remaining_quota", _BY, where)


def _used(where: str = "") -> str:
    return gauge("newapi_user_used_quota", _BY, where)


def _last_use(where: str = "") -> str:
    """Give when each user last used one of its API keys, in unix seconds."""
    used = f"({gauge('newapi_api_key_last_used_timestamp_seconds', ('api_key_id',))} > 0)"
    owner = gauge(API_KEY.info, ("api_key_id", "user_id"), where)
    owned = f"topk by (api_key_id) (1, {owner})"
    return f"max by (user_id) ({used} * on (api_key_id) group_left (user_id) {owned})"


def _names(say: Say) -> list[Column]:
    return [Column(say("Id"), "user_id", more=[style.width(80)]), Column(say("Name"), "name")]
