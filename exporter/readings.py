"""What the targets of each alert rule show now, and how near they are to its threshold."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple
from zoneinfo import ZoneInfo

from exporter import measures
from exporter.fill import Filler
from exporter.ledger import Ledger
from exporter.rules.hours import holds
from exporter.rules.period import Range
from exporter.rules.rule import Rule
from exporter.stock import Stock
from exporter.windows import Amounts, Use, Window
from newapi.inventory import Channel
from newapi.options import Options

FEW = {"channel", "model", "gateway"}
"""Scopes without thousands of targets: with "*" all are shown that show anything."""

NEAR = 0.5
"""The share of its threshold above which a target of the other scopes is shown."""

_DOWN = {"auto_disabled": 1, "manually_disabled": 2}
_SHORTEST_PACE = 24
"""A pace is taken over at least this part of the period: over the first minute of a day it would
say nothing."""


class Reading(NamedTuple):
    """What one target shows: values by name, as newapi_rule_<name> has them."""

    target: str
    values: Mapping[str, float]
    share: float
    """Its part of the threshold, 1 and above where the rule fires; 0 where it says nothing."""


class Readings:
    """Reads rules off the windows and the inventory.

    Args:
        ledger: where the windows are.
        filler: knows which of them are complete.
        stock: the inventory, the gateway's rates, and what was seen enabled.
        clock: gives unix seconds.
    """

    def __init__(
        self, ledger: Ledger, filler: Filler, stock: Stock, clock: Callable[[], float]
    ) -> None:
        self._ledger = ledger
        self._filler = filler
        self._stock = stock
        self._clock = clock

    def threshold(self, rule: Rule) -> float | None:
        """Give a rule's threshold in the unit of what it is compared with.

        Money is in quota units, channel_down has 1; None while the gateway's rate is not known.
        """
        if rule.threshold is None:
            return 1.0
        unit = self.quota_per_unit(rule)
        return rule.threshold if unit is None else rule.threshold * unit if unit else None

    def quota_per_unit(self, rule: Rule) -> float | None:
        """Give the quota units to one unit of a rule's currency, 0 while they are not known.

        None where the rule is not about money.
        """
        if rule.type not in {"cost", "quota_low"}:
            return None
        options = self._stock.options
        return 0.0 if options is None else _quota_per_unit(options, rule.currency)

    def active(self, rule: Rule, zone: ZoneInfo) -> bool:
        """Tell whether a rule counts now."""
        return (
            rule.enabled and not self.over(rule, zone) and holds(rule.minutes, self._clock(), zone)
        )

    def over(self, rule: Rule, zone: ZoneInfo) -> bool:
        """Tell whether a rule's range has ended."""
        end = rule.period.ends_at(zone) if isinstance(rule.period, Range) else None
        return end is not None and self._clock() >= end

    def filled(self, rule: Rule, zone: ZoneInfo) -> float:
        """Tell what part of a rule's window is filled, from 0 to 1."""
        return self._filler.filled(Window.of(rule, zone))

    def stamp(self, rule: Rule) -> tuple[float, int] | None:
        """Give what is the same as long as a rule's readings are; None: they may always change."""
        return None if rule.has_window else (self._stock.read_at, self._stock.seen.generation)

    def of(self, rule: Rule, zone: ZoneInfo) -> Iterator[Reading]:
        """Give what the targets of a rule show.

        Of a rule with "*" those that were seen enabled; with thousands of them only those near
        the threshold.
        """
        readings = self._window(rule, zone) if rule.has_window else self._inventory(rule)
        if not rule.each:
            yield from readings
            return
        covered, few = self._stock.seen.covered(rule), rule.scope in FEW
        for reading in readings:
            if (few or reading.share > NEAR) and reading.target in covered:
                yield reading

    def _window(self, rule: Rule, zone: ZoneInfo) -> Iterator[Reading]:
        window = Window.of(rule, zone)
        read = _BY_TYPE[rule.type]
        if not self._filler.complete(window) and rule.type not in _SPENDING:
            return  # a part of a window may be worse than the whole
        threshold, now = self.threshold(rule), self._clock()
        use = self._ledger.used(window)
        pace = _pace(window, now) if rule.projected else None
        for target in self._candidates(rule, use, threshold, pace):
            values, value = read(rule, use, target)
            if pace is not None:
                values["projected"] = value = value * pace
            yield Reading(target, values, value / threshold if threshold else 0.0)

    @staticmethod
    def _candidates(
        rule: Rule, use: Use, threshold: float | None, pace: float | None
    ) -> Iterable[str]:
        """Give the targets to look at: of thousands those that may be near the threshold."""
        if not rule.each:
            return rule.targets
        if rule.scope in FEW or threshold is None:
            return use.now
        if rule.type == "request_spike":
            measure, least = measures.REQUESTS, float(rule.min_requests)
        else:
            measure, least = _SPENDING[rule.type], NEAR * threshold / (pace or 1.0)
        return [target for target, mine in use.now.items() if mine.get(measure, 0) >= least]

    def _inventory(self, rule: Rule) -> Iterator[Reading]:
        inventory = self._stock.inventory
        if inventory is None:
            return
        each, targets = rule.each, rule.targets
        if rule.type == "channel_down":
            for channel in inventory.channels:
                target = str(channel.id)
                if each or target in targets:
                    down = _down(channel, rule)
                    yield Reading(target, {"down": down}, float(down > 0))
            return
        threshold = self.threshold(rule)
        for target, remaining in self._remaining(rule).items():
            if each or target in targets:
                share = 0.0
                if threshold is not None:
                    share = threshold / remaining if remaining > 0 else float("inf")
                yield Reading(target, {"remaining": remaining}, share)

    def _remaining(self, rule: Rule) -> dict[str, float]:
        """Give what is left by target, in quota units."""
        inventory, options = self._stock.inventory, self._stock.options
        if inventory is None or options is None:
            return {}
        if rule.scope == "channel":
            return {
                str(channel.id): channel.balance * options.quota_per_usd
                for channel in inventory.channels
                if channel.balance_read_at
            }
        if rule.scope == "user":
            return {str(user.id): user.remaining_quota for user in inventory.users}
        return {
            str(key.id): key.remaining_quota
            for key in inventory.api_keys
            if not key.unlimited and key.status in {"enabled", "exhausted"}
        }


_SPENDING = {"token_usage": measures.TOKENS, "cost": measures.QUOTA}


def _quota_per_unit(options: Options, currency: str) -> float:
    rate = options.number("USDExchangeRate") if currency == "CNY" else 1.0
    return options.quota_per_usd / rate


def _pace(window: Window, now: float) -> float:
    """Give what to multiply the use so far by, to have that at the end of the period."""
    begin, end = window.span.edges(now).begin, window.span.end(now)
    if end is None or not begin < now < end:
        return 1.0
    return (end - begin) / max(now - begin, (end - begin) / _SHORTEST_PACE)


def _down(channel: Channel, rule: Rule) -> int:
    down = _DOWN.get(channel.status, 0)
    return down if rule.include_manual or down != _DOWN["manually_disabled"] else 0


_Values = tuple[dict[str, float], float]
"""The values that are shown, and the one that the threshold is for: 0 where too few requests say
anything."""


def _sum(measure: str) -> Callable[[Rule, Use, str], _Values]:
    def read(_rule: Rule, use: Use, target: str) -> _Values:
        amount = use.now.get(target, {}).get(measure, 0)
        return {measure: amount}, amount

    return read


def _error_rate(rule: Rule, use: Use, target: str) -> _Values:
    mine = use.now.get(target, {})
    failed = mine.get(measures.FAILURES if rule.count == "all" else measures.ERRORS, 0)
    completed = mine.get(measures.REQUESTS, 0)
    enough = failed + completed >= rule.min_requests
    ratio = 100 * failed / (failed + completed) if enough else 0.0
    return {"errors": failed, "requests": completed}, ratio


def _latency(rule: Rule, use: Use, target: str) -> _Values:
    mine = use.now.get(target, {})
    requests = mine.get(measures.REQUESTS, 0)
    values: dict[str, float] = {"requests": requests}
    seconds = _seconds(rule, mine)
    if seconds is None:
        return values, 0.0
    values["seconds"] = seconds
    return values, seconds if requests >= rule.min_requests else 0.0


def _seconds(rule: Rule, use: Amounts) -> float | None:
    """Give the statistic that a rule asks for; None where there were no requests."""
    if rule.statistic != "mean":
        return measures.quantile(use, int(rule.statistic[1:]) / 100)
    requests = use.get(measures.REQUESTS, 0)
    return use.get(measures.MILLISECONDS, 0) / (1000 * requests) if requests else None


def _spike(rule: Rule, use: Use, target: str) -> _Values:
    now = use.now.get(target, {}).get(measures.REQUESTS, 0)
    before = use.before.get(target, {}).get(measures.REQUESTS, 0)
    enough = min(now, before) >= rule.min_requests
    growth = 100 * (now - before) / before if enough else 0.0
    return {"requests": now, "requests_before": before}, max(growth, 0.0)


_BY_TYPE: Mapping[str, Callable[[Rule, Use, str], _Values]] = {
    "token_usage": _sum(measures.TOKENS),
    "cost": _sum(measures.QUOTA),
    "error_rate": _error_rate,
    "latency": _latency,
    "request_spike": _spike,
}
