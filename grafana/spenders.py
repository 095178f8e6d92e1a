"""What API keys and users have in common: who uses most, and who will run out first."""

from dataclasses import dataclass

from grafana_foundation_sdk.builders import bargauge, timeseries
from grafana_foundation_sdk.builders.dashboard import QueryVariable

from grafana import counters, measures, promql, variables
from grafana.language import Say
from grafana.metrics import Counter, Thing
from grafana.panels import MONEY, Card, bars, in_currency, ranking
from grafana.promql import RANGE, STEP, named
from grafana.queries import now, over_time

TOP = "top"
"""The hidden variable that holds the ids of those that used most."""

LISTED = "listed"
"""The hidden variable that holds the ids of those that were charged most: to look for them among
thousands once for each column takes as often as long."""

_ROWS = 100
"""Of a table, at most: there may be thousands."""


@dataclass(frozen=True)
class Spender:
    """API keys, or users.

    Attributes:
        thing: its id and names.
        variable: the dashboard's variable that chooses one.
        requests, errors, tokens, quota: what they use.
    """

    thing: Thing
    variable: str
    requests: Counter
    errors: Counter
    tokens: Counter
    quota: Counter

    @property
    def by(self) -> tuple[str, ...]:
        """The label of its id."""
        return (self.thing.id,)

    @property
    def chosen(self) -> str:
        """The matcher of what is chosen."""
        return f'{self.thing.id}=~"${self.variable}"'

    @property
    def most(self) -> str:
        """The few that the graphs show."""
        return f'{self.thing.id}=~"${TOP}"'

    @property
    def listed(self) -> str:
        """The matcher of those that the table lists."""
        return f'{self.thing.id}=~"${LISTED}"'

    def variables(self) -> tuple[QueryVariable, QueryVariable]:
        """Make the variables that hold those that used most, and those that were charged most."""
        used = promql.largest(10, counters.growth(self.tokens, RANGE, self.by, self.chosen))
        charged = promql.largest(_ROWS, counters.growth(self.quota, RANGE, self.by, self.chosen))
        return (
            variables.top(TOP, used, self.thing.id),
            variables.top(LISTED, charged, self.thing.id),
        )

    def charged(self) -> str:
        """Give what each that is listed was charged, as money."""
        return measures.money(counters.growth(self.quota, RANGE, self.by, self.listed))


def tokens(say: Say, spender: Spender, about: str, width: int) -> timeseries.Panel:
    """Tokens over time of those that used most."""
    card = Card(say("Tokens over time"), say(about), width=width, height=9, unit="short")
    grown = counters.growth(spender.tokens, STEP, spender.by, spender.most)
    return bars(card, over_time(named(grown, spender.thing), spender.thing.legend))


def requests(say: Say, spender: Spender, about: str, width: int) -> timeseries.Panel:
    """Requests over time of those that used most."""
    card = Card(say("Requests over time"), say(about), width=width, height=9, unit="short")
    grown = counters.growth(spender.requests, STEP, spender.by, spender.most)
    return bars(card, over_time(named(grown, spender.thing), spender.thing.legend))


def highest_cost(say: Say, spender: Spender, about: str, width: int) -> bargauge.Panel:
    """Who was charged most."""
    card = Card(say("Highest cost"), say(about), width=width, height=9, unit=MONEY)
    top = promql.largest(10, spender.charged())
    return in_currency(ranking(card, now(named(top, spender.thing), spender.thing.legend)))
