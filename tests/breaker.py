"""A breaker in the process of the test, asked without a network, and what it did."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from breaker.serve import Breaker
from breaker.settings import BreakerSettings
from newapi.switch import Kind
from newapi.switch_key import ApiKeySwitch
from tests.programs import Samples, parse
from tests.webhooks import webhook

TOKEN = "only-for-tests-0123456789"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
NOW = 1_800_000_000
OFF = [False] * 4
ON = [True] * 4

Make = Callable[..., "Bench"]

SQLITE = pytest.mark.parametrize("gateway_url", ["sqlite"], indirect=True)


class Clock:
    """A clock that stands until it is set."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Bench:
    """A breaker, asked without a network."""

    def __init__(self, breaker: Breaker, clock: Clock) -> None:
        self.breaker = breaker
        self.clock = clock
        self.client = breaker.app().test_client()

    def post(self, *alerts: dict[str, Any]) -> TestResponse:
        return self.client.post("/alerts", headers=BEARER, json=webhook(*alerts))

    def results(self) -> list[tuple[str, str, int]]:
        """(result, reason, deliveries) of what is recorded, the newest first."""
        rows = self.breaker.record.notifications(100)
        return [(row.result, row.reason, row.deliveries) for row in rows]

    def trips(self) -> list[str]:
        rows = self.breaker.store.read("SELECT state FROM trips ORDER BY number")
        return [row["state"] for row in rows]

    def notices(self) -> list[str]:
        rows = self.breaker.store.read("SELECT labels FROM notices ORDER BY id")
        return [
            json.loads(row["labels"])["alertname"].removeprefix("NewAPIBreaker") for row in rows
        ]

    def annotations(self) -> list[dict[str, str]]:
        """The annotations of the notices, the oldest first."""
        rows = self.breaker.store.read("SELECT annotations FROM notices ORDER BY id")
        return [json.loads(row["annotations"]) for row in rows]

    def summaries(self) -> list[str]:
        """The texts of the notices, the oldest first."""
        return [annotations["summary"] for annotations in self.annotations()]

    def held(self) -> list[str]:
        return [f"{kind} {number}" for kind, number in self.breaker.record.held()]

    def events(self) -> list[str]:
        """What became of all trips, the oldest first."""
        rows = self.breaker.store.read("SELECT event, detail FROM events ORDER BY id")
        return [f"{row['event']} {row['detail'].partition(':')[0]}".strip() for row in rows]

    def decisions(self) -> dict[tuple[str, str], int]:
        """The decisions made, by (result, reason)."""
        return self.breaker.record.totals()

    def metrics(self) -> Samples:
        return parse(self.client.get("/metrics").text)


def benches(tmp_path: Path) -> Iterator[Make]:
    """Make breakers that are closed at the end; of one name they have one record."""
    made: list[Breaker] = []
    ids = (f"{number:08x}" for number in range(1, 1000))

    def make(dsn: str, name: str = "breaker", **more: Any) -> Bench:
        clock = Clock(NOW)
        given = {}
        if "channels" in more:
            given["switches"] = {Kind.CHANNEL: more.pop("channels"), Kind.API_KEY: ApiKeySwitch()}
        settings = BreakerSettings(
            breaker_token=TOKEN, breaker_state=tmp_path / name, breaker_sql_dsn=dsn, **more
        )
        made.append(Breaker(settings, clock=clock, new_id=lambda: next(ids), **given))
        return Bench(made[-1], clock)

    yield make
    for one in made:
        one.close()
