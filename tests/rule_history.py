"""What Prometheus holds at the largest size: 200 channels of 10 models, 5,000 API keys, 100 rules.

It is written into a real server by remote write, into its memory, where the last hours are in
service too.
"""

import itertools
import random
import time
from collections.abc import Iterator

from exporter.totals import DURATION_BOUNDS, FIRST_TOKEN_BOUNDS
from tests.remote_write import labels_of, one_series, samples, write
from tests.rule_cases import KINDS, LABELS
from tests.servers import Prometheus

CHANNELS, MODELS, API_KEYS, ALERT_RULES, FIRING = 200, 10, 5000, 100, 300
TRIPPING = 50
"""Channels of one rule about cost that go on tripping, as they do in dry-run."""
SCRAPE, ALERTS_SCRAPE, RECORDED, TOTALS = 15, 2, 15, 120
AHEAD = 60
"""Seconds that the history goes on after now: time to look at any moment."""

Samples = Iterator[tuple[str, str, range]]
"""Series, what its value is made from, and the seconds from now at which it has a sample."""


NOW, LONG = range(-30, AHEAD, SCRAPE), range(-3480, AHEAD, TOTALS)
DURATIONS = [*(str(bound / 1000) for bound in DURATION_BOUNDS), "+Inf"]
FIRST_TOKENS = [*(str(bound / 1000) for bound in FIRST_TOKEN_BOUNDS), "+Inf"]


def _recorded() -> Samples:
    """Give the totals that were recorded of channels and models."""
    for level, count in (("channel_id", CHANNELS), ("model", 7 * MODELS)):
        for number in range(count):
            name, label = f"{level.removesuffix('_id')}:newapi", f'{level}="{number}"'
            for bound in DURATIONS:
                bucket = f'{name}_request_duration_seconds_bucket:total{{{label},le="{bound}"}}'
                yield bucket, "count", LONG
            for total in ("requests", "errors", "tokens", "quota", "quota_refunded"):
                yield f"{name}_{total}:total{{{label}}}", "count", LONG
            for rate in ("requests:rpm", "errors:epm"):
                yield f"{name}_{rate}{{{label}}}", "count", LONG


def _counters(channel: int, model: int) -> Samples:
    """Give what /metrics shows of a model of a channel."""
    where = f'channel_id="{channel}",model="m{channel % 7}-{model}",instance="a",job="newapi"'
    for source in ("user", "playground", "test")[: 3 if model == 0 else 1]:
        yield f'newapi_requests_total{{{where},source="{source}"}}', "count", NOW
    for category in ("upstream", "client", "timeout")[: 3 if model < 3 else 1]:
        label = f'source="user",category="{category}"'
        yield f"newapi_request_errors_total{{{where},{label}}}", "count", NOW
    for direction in ("prompt", "completion"):
        yield f'newapi_tokens_total{{{where},direction="{direction}"}}', "count", NOW
    for name in (
        "newapi_quota_total", "newapi_quota_refunded_total", "newapi_cached_tokens_total",
        "newapi_request_duration_seconds_sum", "newapi_time_to_first_token_seconds_sum",
    ):  # fmt: skip
        yield f"{name}{{{where}}}", "count", NOW
    for name, bounds in (
        ("newapi_request_duration_seconds", DURATIONS),
        ("newapi_time_to_first_token_seconds", FIRST_TOKENS),
    ):
        for bound in bounds:
            yield f'{name}_bucket{{{where},le="{bound}"}}', "count", NOW


def alerts() -> Samples:
    """Give what /metrics/alerts shows: of each type, five rules for each channel by itself, one for
    each API key of which 100 are near the threshold, and the others for one channel.

    The first rules of each type remember FIRING targets that were at the threshold, and the first
    about cost has TRIPPING that are there now.
    """
    about = 'instance="a",job="newapi-alerts"'
    often = range(-330, AHEAD, ALERTS_SCRAPE)
    for number in range(7 * MODELS):
        where = f'model="m{number}",group="default",instance="a",job="newapi"'
        yield f"newapi_model_enabled_channels{{{where}}}", "one", LONG
    for number in range(CHANNELS):
        where = f'channel_id="{number}",name="c{number}",instance="a",job="newapi"'
        yield f"newapi_channel_info{{{where}}}", "one", NOW
    yield f"newapi_timezone_offset_seconds{{{about}}}", "one", often
    yield f'newapi_option_enabled{{option="LogConsumeEnabled",{about}}}', "one", often
    yield f"newapi_counted_until_timestamp_seconds{{{about}}}", "time", often
    yield f"newapi_inventory_read_timestamp_seconds{{{about}}}", "time", often
    for number in range(ALERT_RULES):
        kind, turn = KINDS[number % len(KINDS)], number // len(KINDS)
        keys = turn == 5 and kind.type in {"token_usage", "cost", "quota_low", "request_spike"}
        scope, label = ("api_key", "api_key_id") if keys else ("channel", "channel_id")
        targets = API_KEYS // 50 if keys else CHANNELS if turn < 5 else 1
        labels = {"rule": f"r{number}", "type": kind.type, **LABELS, "scope": scope}
        labels["action"] = "disable_channel" if number % 3 else "notify"
        text = ",".join(f'{name}="{value}"' for name, value in labels.items())
        far = "never" if kind.type == "quota_low" else "far"
        yield f"newapi_alert_rule{{{text},{about}}}", far, often
        yield f"newapi_alert_rule_active{{{text},{about}}}", "one", often
        yield f'newapi_alert_rule_window_filled_ratio{{rule="r{number}",{about}}}', "one", NOW
        if kind.few:
            yield f'newapi_alert_rule_min_requests{{rule="r{number}",{about}}}', "one", NOW
        if kind.unit != 1:
            yield f'newapi_alert_rule_quota_per_unit{{rule="r{number}",{about}}}', "one", often
        trips = TRIPPING if turn == 0 and kind.type == "cost" else 0
        for target in range(targets):
            where = f'rule="r{number}",target="{target}",{label}="{target}"'
            for name in kind.at:
                series = f"newapi_rule_{name}{{{where},{about}}}"
                made = far if target < trips else "one"
                yield series, made, often if name == "down" else NOW
        if turn == 0:
            for target in range(FIRING // len(KINDS)):
                where = f'target="{target}",{label}="{target}"'
                recorded = f"rule:newapi_{kind.type}:condition{{{text},{where}}}"
                yield recorded, far, range(-3480, AHEAD, RECORDED)


def _history(now: int) -> Iterator[bytes]:
    """Give each series with its samples."""
    chance = random.Random(1)
    counters = itertools.chain.from_iterable(
        _counters(channel, model) for channel in range(CHANNELS) for model in range(MODELS)
    )
    for series, made, moments in itertools.chain(_recorded(), counters, alerts()):
        start, slope = chance.randrange(10**6), chance.random()
        values = [
            {
                "count": start + slope * (offset + 90_000),
                "one": 1.0,
                "time": float(now + offset),
                "far": 1e12,
                "never": -1.0,
            }[made]
            for offset in moments
        ]
        times = [now + offset for offset in moments]
        yield one_series(labels_of(series), samples(times, values))


def write_history(server: Prometheus) -> None:
    """Write all of it into a server that was started with RECEIVER."""
    write(server, _history(int(time.time())))
