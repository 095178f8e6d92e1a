"""From the commit of the row that passes a threshold to the channel that is off, by stage."""

import json
import random
import statistics
import time
from collections.abc import Callable

import requests
from sqlalchemy import text

from demo.load import prepare
from demo.schema import create
from newapi.database import Database
from newapi.dsn import parse_dsn
from tests.servers import MariaDB
from tests.servers.process import wait_until
from tests.stack import Stack

RUNS = 9
"""Each on a channel of its own, so that every run is a first trip."""

RULES = """
rules:
  - {name: Bench, type: token_usage, channel: "*", period: 5m, threshold: 1000000,
     action: disable_channel}
"""

STAGES = ("exporter shows it", "Prometheus fires", "channel is off")


def main() -> None:
    """Print the median, best and worst seconds until each stage."""
    rng = random.Random("trip")
    with MariaDB() as server:
        dsn = server.create_database("bench")
        create(parse_dsn(dsn))
        database = Database(parse_dsn(dsn), writable=True)
        world = prepare(database, seed=1, now=time.time())
        with Stack(dsn, RULES) as stack:
            wait_until(lambda: stack.prometheus.query("newapi_alert_rule"), 30)
            wait_until(lambda: stack.prometheus.query("newapi_channel_info"), 30)
            runs = []
            for channel in world.channels[:RUNS]:
                time.sleep(rng.uniform(0, 4))  # runs begin anywhere between two polls and scrapes
                runs.append(_run(stack, database, channel.id))
        database.close()
    print(f"\nFrom the commit of the overspending row, seconds, MariaDB, {len(runs)} runs:")
    print(f"  {'stage':<20}{'median':>8}{'best':>8}{'worst':>8}")
    for stage, times in zip(STAGES, zip(*runs, strict=True), strict=True):
        row = (statistics.median(times), min(times), max(times))
        print(f"  {stage:<20}" + "".join(f"{seconds:>8.2f}" for seconds in row))


def _run(stack: Stack, database: Database, channel: int) -> tuple[float, ...]:
    with database.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO logs (user_id, created_at, type, model_name, quota, prompt_tokens,"
                " completion_tokens, use_time, is_stream, channel_id, token_id, token_name, other)"
                " VALUES (1, :now, 2, 'gpt-4o', 1, 1000000, 1, 1, 0, :channel, 1, 'bench', :other)"
            ),
            {"now": int(time.time()), "channel": channel, "other": json.dumps({"frt": -1000})},
        )
    began = time.monotonic()

    def shown() -> bool:
        page = requests.get(f"{stack.exporter.url}/metrics/alerts", timeout=5).text
        return f'newapi_rule_tokens{{channel_id="{channel}"' in page

    def fires() -> bool:
        labels = f'alertname="NewAPITokenUsageTrip",channel_id="{channel}"'
        return bool(stack.prometheus.query(f"ALERTS{{{labels}}}"))

    def off() -> bool:
        with database.connect() as connection:
            status = text("SELECT status FROM channels WHERE id = :id")
            return bool(connection.execute(status, {"id": channel}).scalar() == 2)

    return tuple(_after(began, stage) for stage in (shown, fires, off))


def _after(began: float, stage: Callable[[], bool]) -> float:
    wait_until(stage, 60, stage.__name__)
    return time.monotonic() - began
