"""Prometheus, Alertmanager and the breaker each gone for a while, and a key running away meanwhile.

Nothing is disabled in their absence, people can see who is missing, and afterwards what was due is
done, told once, and every row is counted.
"""

import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text

from newapi.database import Database
from tests.gateway import gateway_at, put
from tests.gateway_channels import add_channel, tables
from tests.oracle import differences, newapi_sums
from tests.programs import Samples
from tests.servers.process import Server, wait_until
from tests.stack import Stack

RULES = """
rules:
  - {name: stop, type: token_usage, channel: "*", threshold: 1000, action: disable_channel}
"""
PARTS = {"prometheus": 1, "alertmanager": 2, "breaker": 3}
"""Each with the channel that runs away while it is gone."""


class Chain:
    """The chain, with the gateway's tables, whose rows a test writes."""

    def __init__(self, dsn: str, stack: Stack, database: Database) -> None:
        self.stack = stack
        self.database = database
        self._dsn = dsn

    def log(self, channel: int, tokens: int) -> None:
        row = {"type": 2, "created_at": int(time.time()), "user_id": 1, "token_id": 1}
        row |= {"channel_id": channel, "prompt_tokens": tokens, "completion_tokens": 0}
        put(self.database, "logs", {**row, "model_name": "m", "quota": 1, "use_time": 1})

    def counted(self) -> bool:
        """Whether the exporter shows what SQL says."""
        found: Samples = self.stack.exporter.metrics()
        return differences(found, newapi_sums(self._dsn)) == []

    def status(self, channel: int) -> int:
        with self.database.connect() as connection:
            asked = text("SELECT status FROM channels WHERE id = :id")
            return int(connection.execute(asked, {"id": channel}).scalar_one())

    def tokens(self, channel: int, at: float | None = None) -> float:
        """The counter of a channel in Prometheus."""
        query = f'sum(newapi_tokens_total{{channel_id="{channel}"}})'
        return sum(sample.value for sample in self.stack.prometheus.query(query, at))

    def fires(self, channel: int) -> bool:
        """Whether the trip alert of a channel fires in Prometheus."""
        return any(
            alert["labels"].get("channel_id") == str(channel)
            and alert["labels"].get("purpose") == "trip"
            and alert["state"] == "firing"
            for alert in self.stack.prometheus.alerts()
        )

    def waits(self, name: str) -> bool:
        """Whether an alert about the monitor itself has begun its time."""
        found = self.stack.prometheus.alerts()
        return name in {alert["labels"]["alertname"] for alert in found}


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    dsn = f"sqlite:///{tmp_path_factory.mktemp('absent')}/one-api.db"
    with gateway_at(dsn) as database:
        for channel in PARTS.values():
            add_channel(database, channel)
        stack = Stack(dsn, RULES, hurried=True)
        # What is firing is told again after a minute otherwise.
        stack.prometheus.options = ("--rules.alert.resend-delay=2s",)
        monitor = stack.prometheus.config.parent / "rules" / "monitor.yml"
        monitor.write_text(monitor.read_text().replace("interval: 1m", "interval: 1s"))
        with stack:
            found = Chain(dsn, stack, database)
            for channel in PARTS.values():
                found.log(channel, 1)
            seen = (lambda c=channel: found.tokens(c) == 1 for channel in PARTS.values())
            for one in seen:
                wait_until(one, 30, "a scrape")
            yield found


SEEN: dict[str, Callable[[Chain], bool]] = {
    "prometheus": lambda chain: chain.stack.alertmanager.alerts() is not None,
    "alertmanager": lambda chain: chain.fires(2) and chain.waits("NewAPIMonitorAlertmanagerDown"),
    "breaker": lambda chain: chain.fires(3) and chain.waits("NewAPIMonitorBreakerDown"),
}
"""What people see meanwhile, where there is a Prometheus to look at."""


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_gone_for_a_while_costs_nothing_but_time(chain: Chain, part: str) -> None:
    channel, server = PARTS[part], getattr(chain.stack, part)
    assert isinstance(server, Server)
    before = time.time()
    server.stop()
    chain.log(channel, 5000)
    wait_until(chain.counted, 20, "the row is counted")
    wait_until(lambda: SEEN[part](chain), 30, "it is seen that something is missing")
    assert chain.status(channel) == 1
    done = [c for c in PARTS.values() if c < channel]
    assert [chain.status(c) for c in done] == [2] * len(done)  # what is held stays disabled
    server.start()
    wait_until(lambda: tables(chain.database, channel)[0] == 2, 60, "the channel is off")
    wait_until(lambda: chain.tokens(channel) == 5001, 30, "Prometheus has the row")
    assert chain.tokens(channel, before) == 1  # so that the increase over the gap is right
    assert chain.counted()


def test_each_trip_was_told_once(chain: Chain) -> None:
    def told() -> list[str]:
        texts = [str(message["text"]) for message in chain.stack.telegram.messages()]
        return [one for one in texts if "was disabled by rule stop" in one]

    wait_until(lambda: len(told()) >= len(PARTS), 60, "a message for each")
    assert len(told()) == len(PARTS)
    trips = [entry["target"] for entry in chain.stack.history("--result", "tripped")]
    assert sorted(trips) == sorted(map(str, PARTS.values()))
