"""What Prometheus holds of a large gateway after a month, at the intervals at which it is scraped.

Each pair of channel and model, and each API key, has all series of docs/metrics.md that a dashboard
reads, over all the time. Only the series of /metrics/alerts, which are scraped every two
seconds, go back no further than the few minutes that queries of the present look at.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from benchmarks.tsdb.blocks import HOUR, Labels, Month, Shape, spans
from exporter.totals import DURATION_BOUNDS, FIRST_TOKEN_BOUNDS
from grafana import style
from grafana.metrics import CHANNEL, COUNTED_CHANNELS
from tests.remote_write import RECEIVER, labels_of, one_series, samples, write
from tests.rule_history import FIRING, SCRAPE, TOTALS, alerts
from tests.servers import Prometheus

DAY = 86400
DAYS = 30
IN_MEMORY = HOUR
"""Seconds that Prometheus has not made a block of: in service one to three hours."""

_CATALOGUE = 7
"""So many times the models of a channel are there in all."""
_PACES = [0.02 * 1.35**step for step in range(36)]
"""By how much counters grow a second; many series have the same."""
_NOTIFICATIONS = 200
_CATEGORIES = tuple(style.CATEGORIES)
_STATUSES = ("enabled", "disabled", "expired", "exhausted")

Rows = Iterator[tuple[Labels, Shape]]


@dataclass(frozen=True)
class Size:
    """How large the gateway is."""

    channels: int = 200
    models: int = 10
    keys: int = 5000

    @property
    def users(self) -> int:
        """Who the API keys belong to."""
        return max(1, self.keys // 10)


@dataclass(frozen=True)
class History:
    """A month of a gateway, until `end` in unix seconds; the blocks end an hour before."""

    end: int
    series: list[tuple[Labels, Shape]]

    def write(self, server: Prometheus) -> None:
        """Write it into the folder of a server that is not running, and start that."""
        month = Month(self.series)
        last = self.end - IN_MEMORY
        for begin, end in spans(last - (DAYS + 1) * DAY, last):
            month.write(server.data, begin, end)
        server.options = (*server.options, RECEIVER)
        server.start()
        write(server, self._in_memory(last))

    def _in_memory(self, begin: int) -> Iterator[bytes]:
        made: dict[Shape, bytes] = {}
        for labels, shape in self.series:
            if shape not in made:
                moments = shape.moments(begin, self.end + 1)
                made[shape] = samples(moments, map(shape.value, moments))
            yield one_series(labels, made[shape])

    @property
    def samples(self) -> int:
        """How many samples the series have."""
        begin = self.end - IN_MEMORY - (DAYS + 1) * DAY
        return sum(len(shape.moments(begin, self.end)) for _, shape in self.series)


def history(size: Size) -> History:
    """Give what there is."""
    block = 2 * HOUR
    end = int(time.time()) // block * block - HOUR
    return History(end, list(_all(size, end)))


@dataclass(frozen=True)
class Grown:
    """A count that grows by day faster than by night, or what is left of something by it."""

    pace: float
    sign: int = 1
    start: float = 0

    def __call__(self, moment: int) -> float:
        """Give its value."""
        wave = 0.6 * DAY / math.tau * math.sin(math.tau * (moment % DAY) / DAY)
        return self.start + self.sign * int(self.pace * (moment - 1_700_000_000 + wave))


@dataclass(frozen=True)
class Same:
    """A value that stays."""

    value: float

    def __call__(self, _: int) -> float:
        """Give it."""
        return self.value


@dataclass(frozen=True)
class Behind:
    """A moment, always so many seconds ago."""

    seconds: int

    def __call__(self, moment: int) -> float:
        """Give its value."""
        return float(moment - self.seconds)


def _all(size: Size, end: int) -> Rows:
    for channel, model in product(range(size.channels), range(size.models)):
        yield from _pair(channel, f"m{channel % _CATALOGUE}-{model}", channel * size.models + model)
    for number in range(size.channels):
        yield from _channel(number)
    for name in _models(size):
        yield _row("newapi_model_enabled_channels", _constant(9), model=name, group="default")
        yield _row("newapi_failed_requests_total", _counter(2), model=name)
    for number in range(size.keys):
        yield from _key(number, number % size.users, end)
    for number in range(size.users):
        yield from _user(number)
    yield from _recorded(size)
    yield from _itself(end)
    yield from _alerting(end)


def _models(size: Size) -> list[str]:
    return [f"m{a}-{b}" for a in range(_CATALOGUE) for b in range(size.models)]


def _counter(pace: int, interval: int = SCRAPE) -> Shape:
    return Shape(Grown(_PACES[pace % len(_PACES)]), interval)


def _constant(value: float) -> Shape:
    return Shape(Same(value), SCRAPE)


def _row(metric: str, shape: Shape, /, **labels: str) -> tuple[Labels, Shape]:
    scraped = {"instance": "127.0.0.1:9847", "job": "newapi"} if ":" not in metric else {}
    there = {name: value for name, value in labels.items() if value}
    return tuple(sorted({"__name__": metric, **scraped, **there}.items())), shape


def _pair(channel: int, model: str, number: int) -> Rows:
    where = {"channel_id": str(channel), "model": model}
    busy = number % 12
    for source in ("user", "playground", "test")[: 3 if number % 10 == 0 else 1]:
        yield _row("newapi_requests_total", _counter(busy + 11), **where, source=source)
    for category in _CATEGORIES[: 1 + number % 3]:
        about = {**where, "source": "user", "category": category}
        yield _row("newapi_request_errors_total", _counter(busy), **about)
    for direction, pace in (("prompt", 24), ("completion", 20)):
        yield _row("newapi_tokens_total", _counter(busy + pace), **where, direction=direction)
    yield _row("newapi_cached_tokens_total", _counter(busy + 18), **where)
    yield _row("newapi_quota_total", _counter(busy + 23), **where)
    yield _row("newapi_quota_refunded_total", _counter(busy), **where)
    for name, bounds in _HISTOGRAMS:
        for index, bound in enumerate(bounds):
            yield _row(f"{name}_bucket", _counter(busy + index), **where, le=bound)
        yield _row(f"{name}_count", _counter(busy + len(bounds) - 1), **where)
        yield _row(f"{name}_sum", _counter(busy + len(bounds) + 4), **where)


_HISTOGRAMS = [
    (f"newapi_{name}_seconds", [*(str(bound / 1000) for bound in bounds), "+Inf"])
    for name, bounds in (
        ("request_duration", DURATION_BOUNDS),
        ("time_to_first_token", FIRST_TOKEN_BOUNDS),
    )
]


def _channel(number: int) -> Rows:
    channel = {"channel_id": str(number)}
    names = {"name": f"channel {number}", "provider": "openai", "group": "default", "tag": ""}
    yield _row("newapi_channel_info", _constant(1), **channel, **names)
    for status in ("enabled", "manually_disabled", "auto_disabled"):
        yield _row(
            "newapi_channel_status", _constant(float(status == "enabled")), **channel, status=status
        )
    yield _row("newapi_channel_balance_usd", _constant(number % 8), **channel)
    yield _row("newapi_channel_response_time_seconds", _constant(number % 8), **channel)
    yield _row("newapi_channel_used_quota", _counter(30), **channel)


def _key(number: int, user: int, end: int) -> Rows:
    key = {"api_key_id": str(number)}
    names = {"name": f"key {number}", "user_id": str(user), "username": f"user {user}"}
    yield _row("newapi_api_key_info", _constant(1), **key, **names, group="default")
    for status in _STATUSES:
        yield _row(
            "newapi_api_key_status", _constant(float(status == "enabled")), **key, status=status
        )
    pace = number % 12
    yield from _spent("api_key", key, pace)
    yield _row("newapi_api_key_used_quota", _counter(pace + 20), **key)
    yield _row("newapi_api_key_remaining_quota", _remaining(pace), **key)
    yield _row("newapi_api_key_unlimited", _constant(float(number % 5 == 0)), **key)
    yield _row("newapi_api_key_expiry_timestamp_seconds", _constant(-1), **key)
    used = Shape(Behind(60), SCRAPE) if number % 5 else _constant(end - 40 * DAY)
    yield _row("newapi_api_key_last_used_timestamp_seconds", used, **key)


def _user(number: int) -> Rows:
    user, pace = {"user_id": str(number)}, number % 12
    yield _row("newapi_user_info", _constant(1), **user, name=f"user {number}", group="default")
    yield from _spent("user", user, pace + 4)
    yield _row("newapi_user_used_quota", _counter(pace + 24), **user)
    yield _row("newapi_user_remaining_quota", _remaining(pace), **user)


def _spent(of: str, where: dict[str, str], pace: int) -> Rows:
    yield _row(f"newapi_{of}_requests_total", _counter(pace), **where)
    yield _row(f"newapi_{of}_errors_total", _counter(0), **where)
    yield _row(f"newapi_{of}_quota_total", _counter(pace + 18), **where)
    for direction, more in (("prompt", 18), ("completion", 14)):
        yield _row(f"newapi_{of}_tokens_total", _counter(pace + more), **where, direction=direction)


def _remaining(pace: int) -> Shape:
    return Shape(Grown(_PACES[pace + 18], -1, 1e12), SCRAPE)


def _recorded(size: Size) -> Rows:
    """Give the totals of prometheus/rules/recorded_totals.yml."""
    levels = [("gateway", "", [""]), ("model", "model", _models(size))]
    levels.append(("channel", "channel_id", [str(number) for number in range(size.channels)]))
    for level, label, values in levels:
        for number, value in enumerate(values):
            yield from _totals(level, {label: value} if label else {}, number % 6)
    for level, channel in product(("gateway", "model"), range(size.channels)):
        name = COUNTED_CHANNELS.format(level)
        yield _row(name, Shape(Same(1.0), TOTALS), channel_id=str(channel))
    for channel, model in product(range(size.channels), range(size.models)):
        where = {"channel_id": str(channel), "model": f"m{channel % _CATALOGUE}-{model}"}
        for category in _CATEGORIES[: 1 + (channel * size.models + model) % 3]:
            name = "channel_model:newapi_request_errors:total"
            yield _row(name, _counter(model, TOTALS), **where, category=category)


def _totals(level: str, where: dict[str, str], busy: int) -> Rows:
    def total(name: str, pace: int, **more: str) -> tuple[Labels, Shape]:
        return _row(f"{level}:newapi_{name}:total", _counter(busy + pace, TOTALS), **where, **more)

    yield total("requests", 18)
    for category in _CATEGORIES:
        yield total("request_errors", 8, category=category)
    yield total("errors", 14)
    yield total("tokens", 29, direction="prompt")
    yield total("tokens", 25, direction="completion")
    yield total("cached_tokens", 24)
    yield total("quota", 29)
    yield total("quota_refunded", 12)
    for name, bounds in _HISTOGRAMS:
        yield total(f"{name.removeprefix('newapi_')}_sum", 11 + len(bounds))
        for index, bound in enumerate(bounds):
            yield total(f"{name.removeprefix('newapi_')}_bucket", 7 + index, le=bound)


def _itself(end: int) -> Rows:
    """Give what the exporter and the breaker tell of themselves."""
    began = end - 40 * DAY
    yield _row("newapi_counting_since_timestamp_seconds", _constant(began))
    fresh = Shape(Behind(2), SCRAPE)
    yield _row("newapi_counted_until_timestamp_seconds", fresh)
    yield _row("newapi_quota_per_usd", _constant(500_000))
    yield _row("newapi_display_currency_per_usd", _constant(7.3), currency="CNY")
    yield _row("newapi_error_log_seen", _constant(1))
    yield _row("newapi_option_enabled", _constant(1), option="LogConsumeEnabled")
    yield _row("newapi_exporter_build_info", _constant(1), version="1", timezone="UTC")
    for name, value in (
        ("exporter_lag_rows", 0), ("today_complete", 1), ("alert_rules", 100),
        ("alert_rules_last_reload_successful", 1), ("exporter_lag_seconds", 2),
        ("exporter_poll_duration_seconds", 0.05), ("breaker_notices_waiting", 0),
    ):  # fmt: skip
        yield _row(f"newapi_{name}", _constant(value))
    yield _row("newapi_exporter_rows_read_total", _counter(25))
    yield _row("newapi_exporter_errors_total", _counter(0), kind="unreachable")
    for number in range(30):
        yield _row("newapi_exporter_series", _constant(number), metric=f"metric {number}")
    yield _row("up", _constant(1))
    yield _row("scrape_duration_seconds", _constant(0.1))
    for mode in ("enforce", "dry-run", "off"):
        yield _row("newapi_breaker_mode", _constant(float(mode == "enforce")), mode=mode)
    for result, reason in product(("tripped", "refused", "repeated"), ("", "protected")):
        name = "newapi_breaker_decisions_total"
        yield _row(name, _counter(1), result=result, reason=reason)
    for bound in ("0.1", "1.0", "8.0", "+Inf"):
        yield _row("newapi_breaker_decision_duration_seconds_bucket", _counter(3), le=bound)


def _alerting(end: int) -> Rows:
    """Give the rules' series, the alerts that fired, and what the breaker noted of them."""
    for series, made, moments in alerts():
        # Else it is there by the month.
        if moments.step != TOTALS and not series.startswith(CHANNEL.info):
            value = {"one": 1.0, "far": 1e12, "never": -1.0, "time": float(end)}[made]
            since = end + max(moments.start, -330)
            shape = Shape(Same(value), moments.step, since)
            yield tuple(labels_of(series)), shape
    for number in range(FIRING):
        about = {"rule": f"r{number % 30}", "target": str(number), "severity": "warning"}
        about |= {"alertname": "NewAPITokenUsage", "type": "token_usage"}
        # One in ten fires all the time, the others for six hours, at any time.
        since = 0 if number % 10 == 0 else end - 6 * HOUR - (number * 7919) % (29 * DAY)
        until = 1 << 40 if number % 10 == 0 else since + 6 * HOUR
        for name, more in (("ALERTS", {"alertstate": "firing"}), ("ALERTS_FOR_STATE", {})):
            shape = Shape(Same(1.0), SCRAPE, since, until)
            yield tuple(sorted({"__name__": name, **about, **more}.items())), shape
    for number in range(_NOTIFICATIONS):
        note = {"id": str(number)}
        told = {"rule": f"r{number % 30}", "target": str(number % 50), "name": "channel"}
        told |= {"alertname": "NewAPITokenUsageTrip", "scope": "channel", "type": "token_usage"}
        told |= {"result": ("tripped", "recorded")[number % 2], "action": "disable_channel"}
        yield _row("newapi_notification_info", _constant(1), **note, **told)
        yield _row("newapi_notification_value", _constant(2), **note)
        yield _row("newapi_notification_threshold", _constant(1), **note)
        when = _constant(end - DAY * (number % 16))
        yield _row("newapi_notification_timestamp_seconds", when, **note)
    for number in range(5):
        yield _row("newapi_breaker_held", _constant(1), kind="channel", id=str(number))
