"""From a runaway key's log rows to a channel that is off, and a message about it."""

import time
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Row, text

from demo import incidents
from demo.incidents import Incident, Kind
from demo.load import prepare
from demo.schema import create
from newapi.database import Database
from newapi.dsn import parse_dsn
from tests.servers import MariaDB
from tests.servers.process import wait_until
from tests.stack import CHAT_ID, Gateway, Stack
from tests.stopped import stopped

RULES = """
rules:
  - name: Runaway <channel>
    type: token_usage
    channel: "*"
    period: 5m
    threshold: 8000000
    severity: critical
    action: disable_channel
  - name: Far away
    type: token_usage
    channel: "*"
    period: 1h
    threshold: 1000000000
    action: disable_channel
"""


@pytest.mark.parametrize("mode", ["cache", "database"])
def test_a_runaway_channel_is_stopped_recorded_and_told(mariadb: MariaDB, mode: str) -> None:
    dsn = mariadb.create_database("end_to_end")
    url = parse_dsn(dsn)
    create(url)
    database = Database(url, writable=True)
    world = prepare(database, seed=1, now=time.time())
    found = incidents.target(world, Incident(Kind.RUNAWAY_KEY, tokens_per_minute=60_000_000))
    channel = found.channel or 0

    def ask(sql: str) -> Sequence[Row[Any]]:
        with database.connect() as connection:
            return connection.execute(text(sql)).all()

    with (
        Stack(dsn, RULES) as stack,
        Gateway(dsn, "--mode", mode, "--sync-frequency", "1", "--rate", "20") as gateway,
    ):
        incidents.start(gateway.control, found)
        others = [c.id for c in world.channels if c.status == 1]
        stopped(ask, channel, "Runaway <channel>", others, 90)

        wait_until(stack.telegram.messages, 30, "a message")
        message = stack.telegram.messages()[0]
        assert message["chat_id"] == str(CHAT_ID)
        assert f"(#{channel}) was disabled by rule Runaway <channel>" in message["text"]
        assert "delete disabled channels" in message["text"]
        assert stack.telegram.refused() == []

        held = frozenset({("kind", "channel"), ("id", str(channel))})
        assert stack.breaker.metrics()["newapi_breaker_held"][held] == 1
        trips = [entry for entry in stack.history() if entry["result"] == "tripped"]
        assert [(t["rule"], t["target"]) for t in trips] == [("Runaway <channel>", str(channel))]
        assert trips[0]["value"] >= 8_000_000
        assert trips[0]["threshold"] == 8_000_000
    database.close()
    mariadb.drop_database("end_to_end")
