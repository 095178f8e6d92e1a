"""What Prometheus holds of a large gateway after a month, at the intervals at which it is scraped.

Each pair of channel and model, and each API key, has all series of docs/metrics.md that a dashboard
reads, over all the time. Only the series of /metrics/alerts, which are scraped every two
seconds, go back no further than the few minutes that queries of the present look at.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from benchmarks.panels_monitor import alerting, itself
from benchmarks.panels_series import DAY, Rows, Same, behind, constant, counter, remaining, row
from benchmarks.tsdb.blocks import HOUR, Labels, Month, Shape, spans
from exporter.totals import DURATION_BOUNDS, FIRST_TOKEN_BOUNDS
from grafana import style
from grafana.metrics import COUNTED_CHANNELS
from tests.remote_write import RECEIVER, one_series, samples, write
from tests.rule_history import TOTALS
from tests.servers import Prometheus

DAYS = 30
IN_MEMORY = HOUR
"""Seconds that Prometheus has not made a block of: in service one to three hours."""

_CATALOGUE = 7
"""So many times the models of a channel are there in all."""
_CATEGORIES = tuple(style.CATEGORIES)
_STATUSES = ("enabled", "disabled", "expired", "exhausted")


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


def _all(size: Size, end: int) -> Rows:
    for channel, model in product(range(size.channels), range(size.models)):
        yield from _pair(channel, f"m{channel % _CATALOGUE}-{model}", channel * size.models + model)
    for number in range(size.channels):
        yield from _channel(number)
    for name in _models(size):
        yield row("newapi_model_enabled_channels", constant(9), model=name, group="default")
        yield row("newapi_failed_requests_total", counter(2), model=name)
    for number in range(size.keys):
        yield from _key(number, number % size.users, end)
    for number in range(size.users):
        yield from _user(number)
    yield from _recorded(size)
    yield from itself(end)
    yield from alerting(end)


def _models(size: Size) -> list[str]:
    return [f"m{a}-{b}" for a in range(_CATALOGUE) for b in range(size.models)]


def _pair(channel: int, model: str, number: int) -> Rows:
    where = {"channel_id": str(channel), "model": model}
    busy = number % 12
    for source in ("user", "playground", "test")[: 3 if number % 10 == 0 else 1]:
        yield row("newapi_requests_total", counter(busy + 11), **where, source=source)
    for category in _CATEGORIES[: 1 + number % 3]:
        about = {**where, "source": "user", "category": category}
        yield row("newapi_request_errors_total", counter(busy), **about)
    for direction, pace in (("prompt", 24), ("completion", 20)):
        yield row("newapi_tokens_total", counter(busy + pace), **where, direction=direction)
    yield row("newapi_cached_tokens_total", counter(busy + 18), **where)
    yield row("newapi_quota_total", counter(busy + 23), **where)
    yield row("newapi_quota_refunded_total", counter(busy), **where)
    for name, bounds in _HISTOGRAMS:
        for index, bound in enumerate(bounds):
            yield row(f"{name}_bucket", counter(busy + index), **where, le=bound)
        yield row(f"{name}_count", counter(busy + len(bounds) - 1), **where)
        yield row(f"{name}_sum", counter(busy + len(bounds) + 4), **where)


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
    yield row("newapi_channel_info", constant(1), **channel, **names)
    for status in ("enabled", "manually_disabled", "auto_disabled"):
        yield row(
            "newapi_channel_status", constant(float(status == "enabled")), **channel, status=status
        )
    yield row("newapi_channel_balance_usd", constant(number % 8), **channel)
    yield row("newapi_channel_response_time_seconds", constant(number % 8), **channel)
    yield row("newapi_channel_used_quota", counter(30), **channel)


def _key(number: int, user: int, end: int) -> Rows:
    key = {"api_key_id": str(number)}
    names = {"name": f"key {number}", "user_id": str(user), "username": f"user {user}"}
    yield row("newapi_api_key_info", constant(1), **key, **names, group="default")
    for status in _STATUSES:
        yield row(
            "newapi_api_key_status", constant(float(status == "enabled")), **key, status=status
        )
    pace = number % 12
    yield from _spent("api_key", key, pace)
    yield row("newapi_api_key_used_quota", counter(pace + 20), **key)
    yield row("newapi_api_key_remaining_quota", remaining(pace), **key)
    yield row("newapi_api_key_unlimited", constant(float(number % 5 == 0)), **key)
    yield row("newapi_api_key_expiry_timestamp_seconds", constant(-1), **key)
    used = behind(60) if number % 5 else constant(end - 40 * DAY)
    yield row("newapi_api_key_last_used_timestamp_seconds", used, **key)


def _user(number: int) -> Rows:
    user, pace = {"user_id": str(number)}, number % 12
    yield row("newapi_user_info", constant(1), **user, name=f"user {number}", group="default")
    yield from _spent("user", user, pace + 4)
    yield row("newapi_user_used_quota", counter(pace + 24), **user)
    yield row("newapi_user_remaining_quota", remaining(pace), **user)


def _spent(of: str, where: dict[str, str], pace: int) -> Rows:
    yield row(f"newapi_{of}_requests_total", counter(pace), **where)
    yield row(f"newapi_{of}_errors_total", counter(0), **where)
    yield row(f"newapi_{of}_quota_total", counter(pace + 18), **where)
    for direction, more in (("prompt", 18), ("completion", 14)):
        yield row(f"newapi_{of}_tokens_total", counter(pace + more), **where, direction=direction)


def _recorded(size: Size) -> Rows:
    """Give the totals of prometheus/rules/recorded_totals.yml."""
    levels = [("gateway", "", [""]), ("model", "model", _models(size))]
    levels.append(("channel", "channel_id", [str(number) for number in range(size.channels)]))
    for level, label, values in levels:
        for number, value in enumerate(values):
            yield from _totals(level, {label: value} if label else {}, number % 6)
    for level, channel in product(("gateway", "model"), range(size.channels)):
        name = COUNTED_CHANNELS.format(level)
        yield row(name, Shape(Same(1.0), TOTALS), channel_id=str(channel))
    for channel, model in product(range(size.channels), range(size.models)):
        where = {"channel_id": str(channel), "model": f"m{channel % _CATALOGUE}-{model}"}
        for category in _CATEGORIES[: 1 + (channel * size.models + model) % 3]:
            name = "channel_model:newapi_request_errors:total"
            yield row(name, counter(model, TOTALS), **where, category=category)


def _totals(level: str, where: dict[str, str], busy: int) -> Rows:
    def total(name: str, pace: int, **more: str) -> tuple[Labels, Shape]:
        return row(f"{level}:newapi_{name}:total", counter(busy + pace, TOTALS), **where, **more)

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
