"""From the commit of the row that passes a threshold to the channel that is off, by stage."""

import json
import random
import statistics
import sys
import time
from dataclasses import dataclass, field

import requests
from sqlalchemy import text

from demo.load import prepare
from demo.schema import create
from demo.world import Sizes
from newapi.database import Database
from newapi.dsn import parse_dsn
from tests.gateway import put
from tests.servers import MariaDB
from tests.servers.process import wait_until
from tests.stack import Stack

STARTS = 5
"""Starts of the whole chain: polls, scrapes and evaluations are as far apart as they were then."""
TRIPS = 20
"""In each start, of channels that were known and of as many that are new, each its first trip."""

APART = 1.5
"""Seconds between two trips on average, so that they begin anywhere between two polls."""

RULES = """
rules:
  - {name: Bench, type: token_usage, channel: "*", period: 5m, threshold: 1000000,
     action: disable_channel}
"""

STAGES = ("exporter shows it", "Prometheus fires", "channel is off")
FIRST_NEW = 1000


@dataclass
class Trip:
    """One channel that overspends."""

    channel: int
    new: bool
    due: float
    """When its row is written, by time.monotonic()."""
    began: float = 0.0
    took: list[float] = field(default_factory=list)
    """Seconds until each stage, as far as it has come."""


def main(starts: int = STARTS, trips: int = TRIPS) -> None:
    """Print the median, best and worst seconds until each stage."""
    rng = random.Random("trip")
    done: list[Trip] = []
    with MariaDB() as server:
        for number in range(starts):
            name = f"bench{number}"
            dsn = server.create_database(name)
            create(parse_dsn(dsn))
            database = Database(parse_dsn(dsn), writable=True)
            sizes = Sizes(channels=2 * trips)
            world = prepare(database, seed=number, now=time.time(), sizes=sizes)
            known = [channel.id for channel in world.channels if channel.status == 1][:trips]
            stack = Stack(dsn, RULES)
            stack.breaker.settings["BREAKER_MAX_TRIPS_PER_HOUR"] = "1000"
            with stack:
                wait_until(lambda s=stack: s.prometheus.query("newapi_alert_rule"), 60)  # type: ignore[misc]
                wait_until(lambda s=stack: s.prometheus.query("newapi_channel_info"), 60)  # type: ignore[misc]
                done += _run(stack, database, _plan(rng, known, trips))
            database.close()
            server.drop_database(name)
    print(f"\nFrom the commit of the overspending row, seconds, MariaDB, {starts} starts:")
    for new in (False, True):
        times = [trip.took for trip in done if trip.new is new]
        print(f"  {'a brand-new channel' if new else 'a known channel'}, {len(times)} trips")
        print(f"    {'stage':<20}{'median':>8}{'best':>8}{'worst':>8}")
        for stage, column in zip(STAGES, zip(*times, strict=True), strict=True):
            row = (statistics.median(column), min(column), max(column))
            print(f"    {stage:<20}" + "".join(f"{seconds:>8.2f}" for seconds in row))


def _plan(rng: random.Random, known: list[int], trips: int) -> list[Trip]:
    start = time.monotonic() + 1
    chosen = [(channel, False) for channel in known]
    chosen += [(FIRST_NEW + number, True) for number in range(trips)]
    rng.shuffle(chosen)
    return [
        Trip(channel, new, start + APART * (index + rng.random()))
        for index, (channel, new) in enumerate(chosen)
    ]


def _run(stack: Stack, database: Database, trips: list[Trip]) -> list[Trip]:
    """Begin each trip at its moment, and watch all that are under way."""
    last = max(trip.due for trip in trips)
    while any(len(trip.took) < len(STAGES) for trip in trips):
        if time.monotonic() > last + 60:
            raise TimeoutError("a trip took longer than 60 s")
        for trip in trips:
            if not trip.began and time.monotonic() >= trip.due:
                _overspend(database, trip)
                trip.began = time.monotonic()
        under_way = [trip for trip in trips if trip.began and len(trip.took) < len(STAGES)]
        if under_way:
            _watch(stack, database, under_way)
        else:
            time.sleep(0.01)
    return trips


def _overspend(database: Database, trip: Trip) -> None:
    if trip.new:  # it was added in the gateway a moment ago, and is in use at once
        row = {"id": trip.channel, "key": "k", "name": f"new {trip.channel}", "status": 1}
        put(database, "channels", row | {"group": "default", "models": "gpt-4o"})
        ability = {"group": "default", "model": "gpt-4o", "channel_id": trip.channel, "enabled": 1}
        put(database, "abilities", ability)
    with database.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO logs (user_id, created_at, type, model_name, quota, prompt_tokens,"
                " completion_tokens, use_time, is_stream, channel_id, token_id, token_name, other)"
                " VALUES (1, :now, 2, 'gpt-4o', 1, 1000000, 1, 1, 0, :channel, 1, 'bench', :other)"
            ),
            {
                "now": int(time.time()),
                "channel": trip.channel,
                "other": json.dumps({"frt": -1000}),
            },
        )


def _watch(stack: Stack, database: Database, under_way: list[Trip]) -> None:
    """Note which of the trips have come to their next stage."""
    page = requests.get(f"{stack.exporter.url}/metrics/alerts", timeout=5).text
    alerts = stack.prometheus.query('ALERTS{alertname="NewAPITokenUsageTrip"}')
    fires = {alert.labels["channel_id"] for alert in alerts}
    with database.connect() as connection:
        statement = text(
            "SELECT id FROM channels WHERE status = 2 AND NOT EXISTS"
            " (SELECT 1 FROM abilities WHERE channel_id = channels.id AND enabled)"
        )
        off = set(connection.execute(statement).scalars())
    for trip in under_way:
        shown = f'newapi_rule_tokens{{channel_id="{trip.channel}"' in page
        seconds = time.monotonic() - trip.began
        for stage, reached in enumerate((shown, str(trip.channel) in fires, trip.channel in off)):
            if reached or trip.channel in off:  # what is off has been through all stages
                trip.took += [seconds] * (stage + 1 - len(trip.took))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
