"""Two hours of every metric that the dashboards draw, as two exporters of one gateway show it.

In the second hour everything runs at twice the pace of the first. Written as OpenMetrics with
times, so that promtool makes blocks of it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

HOUR = 3600
END = 1_767_268_800
START = END - 2 * HOUR
STEP = 60
INSTANCES = ("127.0.0.1:9847", "10.0.0.2:9847")

CHANNELS = 12
DELETED_CHANNEL = "12"
"""Its name is gone."""
RENAMED_CHANNEL = "3"
"""One of the exporters has not noticed yet."""
FAILING_MODEL = "model-13"
"""No request to it ever succeeded."""
DEGRADED_MODEL = "model-1"
IDLE_MODELS = ("idle-1", "idle-2")
UNSERVED_MODEL = "unserved"
CURRENCY = 7.3
QUOTA_PER_USD = 500_000
KEYS = 12
TRIPPED_AT = END - 600

_DURATION = ("1.0", "2.0", "3.0", "5.0", "8.0", "13.0", "20.0", "30.0", "60.0", "120.0", "300.0")
_FIRST_TOKEN = ("0.25", "0.5", "1.0", "2.0", "3.0", "5.0", "8.0", "13.0", "20.0", "30.0", "60.0")


@dataclass(frozen=True)
class Series:
    """A counter that grows by `a_minute` in the first hour and twice that in the second.

    A gauge where there is no growth: it has the value `start` all the time.
    """

    name: str
    labels: dict[str, str] = field(default_factory=dict)
    a_minute: float = 0
    start: float = 0
    instances: tuple[str, ...] = INSTANCES
    until: int = END
    """Its last sample."""

    def at(self, moment: int) -> float:
        """Its value."""
        first, second = min(moment - START, HOUR), max(moment - START - HOUR, 0)
        return self.start + self.a_minute * (first + 2 * second) / 60

    @property
    def last_hour(self) -> float:
        """By how much it grew in the last hour."""
        return self.at(END) - self.at(END - HOUR)


def series() -> list[Series]:
    """All series."""
    return [*_traffic(), *_spenders(), *_inventory(), *_alerting()]


def grown(name: str, matches: Callable[[dict[str, str]], bool] = lambda _: True) -> float:
    """The growth in the last hour of all series of a metric whose labels match."""
    return sum(one.last_hour for one in series() if one.name == name and matches(one.labels))


def openmetrics() -> Iterator[str]:
    """The lines of the file."""
    for one in series():
        for instance in one.instances:
            labels = {**one.labels, "instance": instance, "job": "newapi"}
            text = ",".join(f'{name}="{value}"' for name, value in labels.items())
            for moment in range(START, one.until + 1, STEP):
                yield f"{one.name}{{{text}}} {one.at(moment)!r} {moment}\n"
    yield "# EOF\n"


def _traffic() -> Iterator[Series]:
    for number in range(1, CHANNELS + 1):
        for model in (f"model-{number}", f"model-{number % CHANNELS + 1}"):
            yield from _channel_model({"channel_id": str(number), "model": model}, 10.0 * number)
    broken = {"channel_id": "1", "model": FAILING_MODEL, "source": "user", "category": "upstream"}
    yield Series("newapi_request_errors_total", broken, 5)


def _channel_model(labels: dict[str, str], requests: float) -> Iterator[Series]:
    def counter(name: str, a_minute: float, **more: str) -> Series:
        return Series(name, {**labels, **more}, a_minute, start=1_000_000)

    errors = "newapi_request_errors_total"
    failures = 0.1 if labels["model"] == DEGRADED_MODEL else 0.01
    yield counter("newapi_requests_total", requests, source="user")
    yield counter("newapi_requests_total", 1, source="test")
    yield counter(errors, requests * failures, source="user", category="rate_limit")
    yield counter(errors, requests * 0.5, source="user", category="client")
    yield counter(errors, 1, source="test", category="network")
    yield counter("newapi_tokens_total", requests * 900, direction="prompt")
    yield counter("newapi_tokens_total", requests * 100, direction="completion")
    yield counter("newapi_cached_tokens_total", requests * 300)
    yield counter("newapi_quota_total", requests * 5000)
    yield counter("newapi_quota_refunded_total", requests * 500)
    yield from _histogram("newapi_request_duration_seconds", labels, _DURATION, requests)
    yield from _histogram("newapi_time_to_first_token_seconds", labels, _FIRST_TOKEN, requests)


def _histogram(
    name: str, labels: dict[str, str], bounds: tuple[str, ...], requests: float
) -> Iterator[Series]:
    """Requests spread evenly over all buckets but the last two."""
    finite = len(bounds) - 1
    for index, bound in enumerate((*bounds, "+Inf"), start=1):
        share = min(index / finite, 1)
        yield Series(f"{name}_bucket", {**labels, "le": bound}, requests * share)
    yield Series(f"{name}_count", labels, requests)
    yield Series(f"{name}_sum", labels, requests * 6)


def _spenders() -> Iterator[Series]:
    for number in range(1, KEYS + 1):
        key, user = {"api_key_id": str(number)}, {"user_id": str(number)}
        yield Series("newapi_api_key_quota_total", key, number * 1000)
        yield Series("newapi_user_quota_total", user, number * 1000)
        yield Series("newapi_api_key_remaining_quota", key, start=number * 100_000)
        yield Series("newapi_api_key_status", {**key, "status": "enabled"}, start=1)
        yield Series("newapi_api_key_unlimited", key, start=float(number == KEYS))
        names = {"name": f"key {number}", "user_id": str(number), "username": f"user {number}"}
        yield Series("newapi_api_key_info", {**key, **names, "group": "default"}, start=1)
        yield Series(
            "newapi_user_info", {**user, "name": f"user {number}", "group": "default"}, start=1
        )


def _inventory() -> Iterator[Series]:
    yield Series("newapi_counting_since_timestamp_seconds", start=START)
    yield Series("newapi_counted_until_timestamp_seconds", start=END - 20)
    yield Series("newapi_error_log_seen", start=1)
    yield Series("newapi_quota_per_usd", start=QUOTA_PER_USD)
    yield Series("newapi_display_currency_per_usd", {"currency": "CNY"}, start=CURRENCY)
    # What the gateway showed before somebody changed it.
    before = {"currency": "¤"}
    yield Series("newapi_display_currency_per_usd", before, start=100, until=END - HOUR)
    for number in range(1, CHANNELS + 1):
        channel = {"channel_id": str(number)}
        now = "manually_disabled" if number == 1 else "enabled"
        for status in ("enabled", "manually_disabled", "auto_disabled"):
            labels = {**channel, "status": status}
            yield Series("newapi_channel_status", labels, start=float(status == now))
        if channel["channel_id"] != DELETED_CHANNEL:
            yield from _channel_info(channel)
    served = [f"model-{number}" for number in range(1, CHANNELS + 2)] + list(IDLE_MODELS)
    for model, count in [*((model, 2.0) for model in served), (UNSERVED_MODEL, 0.0)]:
        labels = {"model": model, "group": "default"}
        yield Series("newapi_model_enabled_channels", labels, start=count)


def _channel_info(channel: dict[str, str]) -> Iterator[Series]:
    rest = {"provider": "openai", "group": "default", "tag": ""}
    name = f"channel {channel['channel_id']}"
    yield Series("newapi_channel_balance_usd", channel, start=float(channel["channel_id"]) ** 2)
    if channel["channel_id"] != RENAMED_CHANNEL:
        yield Series("newapi_channel_info", {**channel, "name": name, **rest}, start=1)
        return
    for instance, known in zip(INSTANCES, (name, f"{name} (new)"), strict=True):
        labels = {**channel, "name": known, **rest}
        yield Series("newapi_channel_info", labels, start=1, instances=(instance,))


def _alerting() -> Iterator[Series]:
    for alertname, more in (
        ("NewAPITokenUsage", {"rule": "daily", "target": "1", "severity": "critical"}),
        ("NewAPIMonitorStale", {"severity": "warning"}),
        ("NewAPITokenUsageTrip", {"rule": "daily", "target": "1", "purpose": "trip"}),
        ("NewAPIMonitorWatchdog", {"severity": "info"}),
        ("SomebodyElses", {"severity": "critical"}),
    ):
        labels = {"alertname": alertname, **more}
        yield Series("ALERTS", {**labels, "alertstate": "firing"}, start=1)
        yield Series("ALERTS_FOR_STATE", labels, start=TRIPPED_AT)
    for mode in ("enforce", "dry-run", "off"):
        yield Series("newapi_breaker_mode", {"mode": mode}, start=float(mode == "enforce"))
    yield Series("newapi_breaker_held", {"kind": "channel", "id": "1"}, start=1)
    yield Series("newapi_breaker_held", {"kind": "api_key", "id": "99"}, start=1)
    # The two breakers number what arrives each by itself.
    for instance, result, when in (
        (INSTANCES[0], "tripped", TRIPPED_AT),
        (INSTANCES[1], "repeated", TRIPPED_AT + 5),
        (INSTANCES[1], "refused", START),
    ):
        number = {"id": "1" if when != START else "2"}
        about = {"rule": "daily", "target": "1", "name": "channel 1", "result": result}
        info = {**number, **about, "alertname": "NewAPITokenUsageTrip", "scope": "channel"}
        yield Series("newapi_notification_info", info, start=1, instances=(instance,))
        yield Series(
            "newapi_notification_timestamp_seconds", number, start=when, instances=(instance,)
        )
