"""Metrics about what the gateway has: channels, API keys, users, models, options."""

from collections.abc import Iterable, Iterator

from prometheus_client.metrics_core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from exporter.ledger import Ledger
from exporter.stock import Stock
from newapi.inventory import ApiKey, Channel, Inventory, User
from newapi.options import SWITCHES, Options

CHANNEL_STATUSES = ("enabled", "manually_disabled", "auto_disabled")
API_KEY_STATUSES = ("enabled", "disabled", "expired", "exhausted")
USER_STATUSES = ("enabled", "disabled", "deleted")


class InventoryCollector(Collector):
    """Exposes the inventory as it was read last; nothing before the first reading."""

    def __init__(self, stock: Stock, ledger: Ledger) -> None:
        self._stock = stock
        self._ledger = ledger

    def collect(self) -> Iterator[Metric]:
        """Give every family of one moment."""
        inventory, options = self._stock.inventory, self._stock.options
        if inventory is None or options is None:
            return
        yield from self._names()
        yield from _channels(inventory.channels)
        yield from _api_keys(inventory.api_keys)
        yield from _users(inventory.users)
        yield _models(inventory)
        yield from _options(options)

    def _names(self) -> Iterator[Metric]:
        """Give the names behind ids, also of what was deleted not long ago."""
        families = {
            kind: InfoMetricFamily(f"newapi_{kind}", f"Names behind the id of {what}.")
            for kind, what in (
                ("channel", "a channel"),
                ("api_key", "an API key"),
                ("user", "a user"),
            )
        }
        for (kind, number), entity in list(self._ledger.entities.items()):
            if entity.info is not None:
                labels = {f"{kind}_id": str(number), **entity.info}
                families[kind].add_sample(f"newapi_{kind}_info", labels, 1)
        yield from families.values()


def _channels(channels: Iterable[Channel]) -> Iterator[Metric]:
    label = ("channel_id",)
    status = GaugeMetricFamily(
        "newapi_channel_status", "1 for the status that a channel has.", labels=(*label, "status")
    )
    test = "of the last channel test"
    response = _gauge("newapi_channel_response_time_seconds", f"Response time {test}.", label)
    tested = _gauge("newapi_channel_last_test_timestamp_seconds", f"Unix time {test}.", label)
    balance = _gauge("newapi_channel_balance_usd", "Balance as the provider told it.", label)
    used = _gauge("newapi_channel_used_quota", "Quota used so far, less refunds.", label)
    for channel in channels:
        key = [str(channel.id)]
        _states(status, key, CHANNEL_STATUSES, channel.status)
        response.add_metric(key, channel.response_time)
        tested.add_metric(key, channel.tested_at)
        balance.add_metric(key, channel.balance)
        used.add_metric(key, channel.used_quota)
    yield from (status, response, tested, balance, used)


def _api_keys(api_keys: Iterable[ApiKey]) -> Iterator[Metric]:
    label = ("api_key_id",)
    status = GaugeMetricFamily(
        "newapi_api_key_status", "1 for the status that a key has.", labels=(*label, "status")
    )
    remaining = _gauge("newapi_api_key_remaining_quota", "Quota that a key has left.", label)
    used = _gauge("newapi_api_key_used_quota", "Quota that a key used so far.", label)
    unlimited = _gauge("newapi_api_key_unlimited", "1 where a key has no limit.", label)
    expiry = _gauge(
        "newapi_api_key_expiry_timestamp_seconds", "Unix time of expiry, -1 = never.", label
    )
    last = _gauge("newapi_api_key_last_used_timestamp_seconds", "Unix time of last use.", label)
    for api_key in api_keys:
        key = [str(api_key.id)]
        _states(status, key, API_KEY_STATUSES, api_key.status)
        remaining.add_metric(key, api_key.remaining_quota)
        used.add_metric(key, api_key.used_quota)
        unlimited.add_metric(key, int(api_key.unlimited))
        expiry.add_metric(key, api_key.expires_at)
        last.add_metric(key, api_key.used_at)
    yield from (status, remaining, used, unlimited, expiry, last)


def _users(users: Iterable[User]) -> Iterator[Metric]:
    label = ("user_id",)
    status = GaugeMetricFamily(
        "newapi_user_status", "1 for the status that a user has.", labels=(*label, "status")
    )
    remaining = _gauge("newapi_user_remaining_quota", "Quota that a user has left.", label)
    used = _gauge("newapi_user_used_quota", "Quota that a user used so far, less refunds.", label)
    for user in users:
        key = [str(user.id)]
        if user.status:
            _states(status, key, USER_STATUSES, user.status)
        remaining.add_metric(key, user.remaining_quota)
        used.add_metric(key, user.used_quota)
    yield from (status, remaining, used)


def _models(inventory: Inventory) -> Metric:
    gauge = _gauge(
        "newapi_model_enabled_channels",
        "Channels that can serve a model to a group: enabled in both tables.",
        ("model", "group"),
    )
    for (model, group), count in inventory.enabled_channels.items():
        gauge.add_metric([model, group], count)
    return gauge


def _options(options: Options) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "newapi_quota_per_usd", "Quota units to the US dollar.", value=options.quota_per_usd
    )
    currency, rate = options.currency
    display = _gauge(
        "newapi_display_currency_per_usd",
        "Units of the currency that the gateway shows to the US dollar.",
        ("currency",),
    )
    display.add_metric([currency], rate)
    yield display
    yield switches(options, SWITCHES)


def switches(options: Options, names: Iterable[str]) -> Metric:
    """Give the family that tells which switches of the gateway are on."""
    gauge = _gauge("newapi_option_enabled", "1 where a switch is on.", ("option",))
    for name in names:
        gauge.add_metric([name], int(options.enabled(name)))
    return gauge


def _gauge(name: str, text: str, labels: tuple[str, ...]) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=labels)


def _states(gauge: GaugeMetricFamily, key: list[str], states: Iterable[str], now: str) -> None:
    for state in states:
        gauge.add_metric([*key, state], int(state == now))
