"""What the rules of a file cover now, and how near each target is to its threshold."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

from exporter.fill import Filler
from exporter.ledger import Ledger
from exporter.position import Position
from exporter.readings import FEW, NEAR, Reading, Readings
from exporter.rules.describe import amount, described, scope
from exporter.rules.rule import GATEWAY, Rule
from exporter.seen import enabled
from exporter.state import State
from exporter.status import Status
from exporter.stock import Stock
from exporter.windows import Window
from newapi.database import Database, DatabaseError, Fault
from newapi.inventory import Inventory
from newapi.logs import LogTable
from newapi.schema import inspect

MOST = 10
"""Targets that are told of each rule."""


class Check:
    """Fills the windows of rules in a state of its own, which is then thrown away.

    Args:
        database: where channels, API keys, users and options are.
        logs: where the log table is.
        zone: of natural days and active hours.
        clock: gives unix seconds.
    """

    def __init__(
        self, database: Database, logs: Database, zone: ZoneInfo, clock: Callable[[], float]
    ) -> None:
        self._database = database
        self._logs = logs
        self._zone = zone
        self._clock = clock

    def report(self, rules: Iterable[Rule], progress: Callable[[float], None]) -> Iterator[str]:
        """Give the lines that say how the rules stand; `progress` is told the part that is read.

        Raises:
            DatabaseError: one of the databases cannot be read.
            StateError: there is no room for temporary files.
        """
        rules = tuple(rules)
        with (
            tempfile.TemporaryDirectory(prefix="newapi-check-") as folder,
            closing(State(Path(folder))) as state,
        ):
            ledger = Ledger(state, self._zone, 0, 1, self._clock)
            stock = self._stock(ledger, rules)
            filler = Filler(ledger, self._clock)
            windows = [Window.of(rule, self._zone) for rule in rules if rule.has_window]
            self._fill(ledger, filler, windows, progress)
            readings = Readings(ledger, filler, stock, self._clock)
            inventory = stock.inventory
            if inventory is None:
                raise DatabaseError(Fault.OTHER, f"{self._database.name}: it was not read")
            for rule in rules:
                yield from self._rule(rule, readings, inventory)

    def _stock(self, ledger: Ledger, rules: tuple[Rule, ...]) -> Stock:
        status = Status()
        stock = Stock(self._database, self._logs, ledger, status, self._clock)
        stock.seen.follow(rules, self._clock())
        stock.read()
        if status.troubles:
            raise DatabaseError(Fault.OTHER, "; ".join(status.reasons()))
        return stock

    def _fill(
        self,
        ledger: Ledger,
        filler: Filler,
        windows: list[Window],
        progress: Callable[[float], None],
    ) -> None:
        if not windows:
            return
        with self._logs.connect() as connection:
            table = LogTable(inspect(connection))
            ledger.begin(Position(*table.newest(connection)))
            filler.plan(windows)
            while not all(filler.complete(window) for window in windows):
                filler.work(connection, table, 0)
                progress(min(filler.filled(window) for window in windows))

    def _rule(self, rule: Rule, readings: Readings, inventory: Inventory) -> Iterator[str]:
        yield f"\n{rule.name}: {described(rule)}"
        if not readings.active(rule, self._zone):
            why = "it is outside its hours, or its range is over" if rule.enabled else "disabled"
            yield f"  does not count now: {why}"
        found = sorted(readings.of(rule, self._zone), key=lambda reading: -reading.share)
        names = _names(inventory, rule.scope)
        if rule.each:
            present = len(enabled(inventory, rule.scope))
            yield f"  looks at {present} {scope(rule.scope, present)}, those that are enabled"
        elif rule.scope != GATEWAY:
            for target in rule.targets:
                if target not in names:
                    yield f"  {scope(rule.scope)} {target}: the gateway has none such now"
        for reading in found[:MOST]:
            shown = _target(rule, reading, names) + _value(rule, reading, readings)
            yield f"  {_share(reading):>7}  {shown}"
        if len(found) > MOST:
            yield f"  and {len(found) - MOST} more, none nearer to the threshold"
        if not found and rule.each:
            near = f"none is above {NEAR * 100:.0f} % of the threshold"
            yield f"  {'none shows anything yet' if rule.scope in FEW else near}"


def _share(reading: Reading) -> str:
    return "100+ %" if reading.share > 100 else f"{reading.share * 100:.0f} %"


def _names(inventory: Inventory, of: str) -> dict[str, str]:
    if of == "channel":
        return {str(channel.id): channel.name for channel in inventory.channels}
    if of == "api_key":
        return {str(key.id): key.name for key in inventory.api_keys}
    if of == "user":
        return {str(user.id): user.name for user in inventory.users}
    return {model: "" for model, _ in inventory.enabled_channels}


def _target(rule: Rule, reading: Reading, names: dict[str, str]) -> str:
    if rule.scope == GATEWAY:
        return ""
    name = names.get(reading.target, "")
    return f"{scope(rule.scope)} {reading.target}{f' ({name})' if name else ''}: "


def _value(rule: Rule, reading: Reading, readings: Readings) -> str:
    """Say in words what a target shows."""
    values, unit = reading.values, readings.quota_per_unit(rule) or 1.0
    if rule.type == "channel_down":
        return ("in service", "disabled by the gateway", "disabled by hand")[int(values["down"])]
    if rule.type == "quota_low":
        return f"{amount(rule, values['remaining'] / unit)} left"
    if rule.type in {"token_usage", "cost"}:
        used = values["tokens" if rule.type == "token_usage" else "quota"]
        text = amount(rule, used / unit)
        if rule.projected:
            text += f", at this pace {amount(rule, values['projected'] / unit)} in the end"
        return text
    return _health(rule, values)


def _health(rule: Rule, values: Mapping[str, float]) -> str:
    requests = values["requests"]
    if rule.type == "request_spike":
        before = values["requests_before"]
        text, fewest = f"{requests:,.0f} requests, {before:,.0f} before", min(requests, before)
    elif rule.type == "error_rate":
        errors = values["errors"]
        fewest = requests + errors
        text = f"{errors:,.0f} of {fewest:,.0f} attempts failed"
    else:
        seconds, fewest = values.get("seconds"), requests
        took = "" if seconds is None else f"{seconds:,.4g} s in "
        text = f"{took}{requests:,.0f} request{'s' if requests != 1 else ''}"
    few = f"; says nothing below {rule.min_requests}" if fewest < rule.min_requests else ""
    return text + few
