"""Channels: which are in service, what each does, costs and fails at, how long its money lasts."""

from grafana_foundation_sdk.builders import bargauge, piechart, table
from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from grafana import counters, measures, promql, style, variables
from grafana.dashboard import add, frame, link
from grafana.graphs import errors_by_category, latency, requests_and_failures, tokens_by_direction
from grafana.language import Language, Say
from grafana.metrics import CHANNEL, DURATION, FIRST_TOKEN
from grafana.panels import MONEY, Card, colored, in_currency, pie, ranking
from grafana.promql import RANGE, gauge, named
from grafana.queries import now
from grafana.style import BAD, GOOD, IDLE, PLAIN, WARNING
from grafana.tables import Column, comparison

NAME = "channels"

_BY = ("channel_id",)

_BALANCE = f"({gauge('newapi_channel_balance_usd', _BY)} > 0)"
_DAYS = [
    *style.cell(BAD, (3 * 86400, WARNING), (7 * 86400, PLAIN)),
    DynamicConfigValue("decimals", 0),
]

STATUSES = (
    ("enabled", "Enabled", GOOD),
    ("manually_disabled", "Manually disabled", IDLE),
    ("auto_disabled", "Auto-disabled", WARNING),
)


def build(language: Language) -> Dashboard:
    """Make the dashboard in a language."""
    say = language.say
    chosen = variables.of("channel", "Channel", CHANNEL, say)
    about = "What each channel does, costs and fails at."
    board = frame(NAME, language, "Channels", about, chosen)
    add(board, _statuses(say), _by_requests(say), _by_cost(say))
    add(board, _table(language), row=say("All channels"))
    graphs = requests_and_failures, errors_by_category, latency, tokens_by_direction
    panels = [graph(say, ("channel",)) for graph in graphs]
    return add(board, *panels, _models(say), row=say("The chosen channel"))


def _statuses(say: Say) -> piechart.Panel:
    about = "Channels by status. What the breaker disabled counts as manually disabled."
    card = Card(say("Channels by status"), say(about), width=6, height=9, unit="none")
    queries = [now(measures.channels_with(name), say(text)) for name, text, _ in STATUSES]
    return colored(pie(card, *queries), {say(text): shade for _, text, shade in STATUSES})


def _by_requests(say: Say) -> bargauge.Panel:
    about = "The 10 channels that completed most requests in this period, tests excluded."
    card = Card(say("Most requests"), say(about), width=9, height=9, unit="short")
    top = promql.largest(10, measures.requests(RANGE, _BY))
    return ranking(card, now(named(top, CHANNEL), CHANNEL.legend))


def _by_cost(say: Say) -> bargauge.Panel:
    about = "The 10 channels that cost most in this period, refunds taken off."
    card = Card(say("Highest cost"), say(about), width=9, height=9, unit=MONEY)
    top = promql.largest(10, measures.cost(RANGE, _BY))
    return in_currency(ranking(card, now(named(top, CHANNEL), CHANNEL.legend)))


def _table(language: Language) -> table.Panel:
    say = language.say
    about = (
        "All channels of this period, deleted ones too. Since: when the status was last another, "
        "within 7 days, to ten minutes in the last day and to the hour before. Lasts: how long the "
        "balance lasts at the pace of this period. Error rate: failed attempts among all, without "
        "those of category client and without tests. Percentiles and means are of completed "
        "requests; p95 needs 20 of them."
    )
    card = Card(say("Channels"), say(about), width=24, height=14, unit="short")
    self_link = style.linked(say("Show below"), link(NAME, language, channel="${__value.raw}"))
    keys = [
        Column(say("Id"), "channel_id", more=[style.width(55), self_link]),
        Column(say("Name"), "name", more=[style.width(150)]),
    ]
    everyone = f"({measures.requests(RANGE, _BY)} or {gauge(CHANNEL.info, _BY)} * 0)"
    numbers: dict[str, str] = {
        str(index): text for index, (_, text, _) in enumerate(STATUSES, start=1)
    }
    words = {index: (say(text), STATUSES[int(index) - 1][2]) for index, text in numbers.items()}
    values = [
        Column(say("Requests"), named(everyone, CHANNEL)),
        Column(say("Status"), _status(), "none", style.as_word(words, 105)),
        Column(say("Since"), _since(), "dateTimeFromNow", [style.width(105)]),
        Column(say("Tokens"), measures.tokens(RANGE, _BY)),
        Column(say("Cost"), measures.cost(RANGE, _BY), MONEY),
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
            say("Last test"),
            f"{gauge('newapi_channel_response_time_seconds', _BY)} > 0",
            "s",
            style.slow_cell(),
        ),
        Column(say("Balance"), measures.from_usd(_BALANCE), MONEY),
        Column(say("Lasts"), _lasts(), "s", _DAYS),
    ]  # fmt: skip
    return comparison(card, keys, values, sort=say("Requests"))


def run_out(say: Say) -> table.Panel:
    """The channels whose balance ends first."""
    about = (
        "The 15 channels whose balance ends first at the pace of this period. The gateway reads "
        "balances only when told to: by hand, or by CHANNEL_UPDATE_FREQUENCY in its environment."
    )
    nothing = say("No channel in use has a balance that the gateway knows")
    card = Card(say("Balances that end first"), say(about), width=8, height=9, unit="s",
                nothing=nothing)  # fmt: skip
    keys = [Column(say("Id"), "channel_id", more=[style.width(55)]), Column(say("Name"), "name")]
    first = named(f"(bottomk(15, {_lasts()}))", CHANNEL)
    values = [Column(say("Lasts"), first, "s", _DAYS)]
    return comparison(card, keys, values, sort=say("Lasts"), least_first=True)


def _lasts() -> str:
    """Give for how many seconds each channel's balance lasts at the pace of the range."""
    spent = f"{measures.spent(RANGE, _BY)} / on () group_left () max(newapi_quota_per_usd)"
    return measures.lasts(_BALANCE, spent)


def _status() -> str:
    """Give each channel's status as its number in STATUSES."""
    return " or ".join(
        f'(max by (channel_id) (newapi_channel_status{{status="{name}"}}) == 1) * {number}'
        for number, (name, _, _) in enumerate(STATUSES, start=1)
    )


def _since() -> str:
    """Give when a channel's status was last another, in unix milliseconds."""
    labels = ("channel_id", "status")
    # A look every ten minutes of a week takes three times as long.
    last, before = (
        f"max by ({promql.listed(labels)}) "
        f"(max_over_time(timestamp(newapi_channel_status == 0)[{looks}]))"
        for looks in ("1d:10m", "7d:1h")
    )
    shown = f"{gauge('newapi_channel_status', labels)} == 1"
    return f"max by (channel_id) (({last} or {before}) and ({shown})) * 1000"


def _models(say: Say) -> bargauge.Panel:
    about = "The 10 models for which the chosen channel completed most requests."
    card = Card(say("Its models"), say(about), width=24, height=8, unit="short")
    top = promql.largest(10, measures.requests(RANGE, ("model",), counters.CHOSEN["channel"]))
    return ranking(card, now(top, "{{model}}"))
