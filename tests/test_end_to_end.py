"""From a runaway key's log rows to a channel that is off, and a message about it."""

import json
import time

import pytest
from sqlalchemy import Connection, text

from demo import incidents
from demo.incidents import Incident, Kind
from demo.load import prepare
from demo.schema import create
from newapi.database import Database
from newapi.dsn import parse_dsn
from tests.servers import MariaDB
from tests.servers.process import wait_until
from tests.stack import CHAT_ID, Gateway, Stack

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
    with (
        Stack(dsn, RULES) as stack,
        Gateway(dsn, "--mode", mode, "--sync-frequency", "1", "--rate", "20") as gateway,
    ):
        incidents.start(gateway.control, found)
        wait_until(lambda: _state(database, channel) == (2, 0), 90, "the channel is off")

        last = wait_until(lambda: _quiet_since(database, channel), 30, "no more requests")
        reason = _reason(database, channel)
        assert "newapi-breaker" in reason
        assert "Runaway <channel>" in reason

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

        others = [c.id for c in world.channels if c.id != channel and c.status == 1]
        assert all(_state(database, other)[0] == 1 for other in others)
        wait_until(lambda: _newest(database) > last, 30, "the others serve on")
    database.close()
    mariadb.drop_database("end_to_end")


def _state(database: Database, channel: int) -> tuple[int, int]:
    """Give the status of a channel, and how many of its abilities are enabled."""
    with database.connect() as connection:
        return (
            _number(connection, "SELECT status FROM channels WHERE id = :id", channel),
            _number(
                connection, "SELECT SUM(enabled) FROM abilities WHERE channel_id = :id", channel
            ),
        )


def _quiet_since(database: Database, channel: int) -> int:
    """Give the time of a channel's last request, once others came 3 seconds after it."""
    with database.connect() as connection:
        last = _number(
            connection, "SELECT MAX(created_at) FROM logs WHERE channel_id = :id", channel
        )
    return last if _newest(database) - last >= 3 else 0


def _newest(database: Database) -> int:
    with database.connect() as connection:
        return _number(connection, "SELECT MAX(created_at) FROM logs", 0)


def _number(connection: Connection, sql: str, channel: int) -> int:
    return int(connection.execute(text(sql), {"id": channel} if ":id" in sql else {}).scalar() or 0)


def _reason(database: Database, channel: int) -> str:
    with database.connect() as connection:
        info = connection.execute(
            text("SELECT other_info FROM channels WHERE id = :id"), {"id": channel}
        ).scalar()
    return str(json.loads(info or "{}")["status_reason"])
