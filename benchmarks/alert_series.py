"""Processor time of /metrics/alerts at the largest size, every channel in use."""

import random
import statistics
import tempfile
import time
from pathlib import Path

from exporter.rules.rule import KINDS
from tests.follower import LOGS, NOON, REQUEST
from tests.gateway import put
from tests.rule_history import ALERT_RULES, API_KEYS, CHANNELS, MODELS
from tests.test_alert_series import Alerts, channel, key

ROUNDS = 20
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
FAR = {"token_usage": 1e12, "cost": 1e9, "error_rate": 90, "latency": 900, "quota_low": 1e-9}
PERIODS = ("5m", "15m", "30m", "1h", "6h", "24h", "7d")
SEVERITIES = ("info", "warning", "critical")


def main() -> None:
    """Print the number of samples, and the milliseconds for two mixes of rules."""
    print("\nProcessor time of /metrics/alerts, milliseconds, 100 rules:")
    print(f"    {'mix':<56}{'samples':>9}{'median':>8}{'worst':>8}")
    for wide, name in (
        (False, "five of each type on every channel, four on API keys"),
        (True, "all but four on every channel"),
    ):
        with tempfile.TemporaryDirectory() as folder:
            samples, times = _measure(Path(folder), wide=wide)
        middle, worst = 1000 * statistics.median(times), 1000 * max(times)
        print(f"    {name:<56}{samples:>9,}{middle:>8.1f}{worst:>8.1f}")


def _measure(folder: Path, *, wide: bool) -> tuple[int, list[float]]:
    alerts = Alerts(folder, *(_rule(number, wide=wide) for number in range(ALERT_RULES)))
    put(
        alerts.database,
        "channels",
        *(channel(n + 1, balance=5, balance_updated_time=1) for n in range(CHANNELS)),
    )
    put(alerts.database, "tokens", *(key(n + 1, remain_quota=10**7) for n in range(API_KEYS)))
    chance = random.Random("alerts")
    rows = [
        {
            **REQUEST,
            "channel_id": 1 + number % CHANNELS,
            "token_id": chance.randrange(1, API_KEYS),
            "created_at": NOON - chance.randrange(590),
            "type": 2 if number % 7 else 5,
            "use_time": chance.randrange(1, 200),
            "model_name": f"m{number % MODELS}",
        }
        for number in range(30 * CHANNELS)
    ]
    with alerts.database.begin() as connection:
        connection.execute(LOGS.insert(), rows)
    alerts.settle()
    body, times = b"", []
    for _ in range(ROUNDS):
        begin = time.process_time()
        body, _ = alerts.render(OPENMETRICS)
        times.append(time.process_time() - begin)
    alerts.close()
    return body.count(b"\nnewapi_rule_"), times


def _rule(number: int, *, wide: bool) -> str:
    kind, turn = list(KINDS)[number % len(KINDS)], number // len(KINDS)
    keys = turn == 5 and "api_key" in KINDS[kind].scopes
    body = [f"type: {kind}", f"severity: {SEVERITIES[turn % len(SEVERITIES)]}"]
    if keys:
        body.append("api_key: '*'")
    else:
        body.append("channel: '*'" if wide or turn < 5 else f"channel: {1 + turn}")
    if "threshold" in KINDS[kind].keys:
        near = {"token_usage": 60, "cost": 0.00002} if keys else {}
        body.append(f"threshold: {near.get(kind, FAR.get(kind, 90_000))}")
    if "period" in KINDS[kind].keys:
        body.append(f"period: {PERIODS[turn % len(PERIODS)]}")
    else:  # two that say the same must not count at the same hours
        body.append(f"active: {{hours: '{turn:02}:00-{turn:02}:59'}}")
    if kind == "latency":
        body.append(f"statistic: {('mean', 'p95')[turn % 2]}")
    return "; ".join(body)


if __name__ == "__main__":
    main()
