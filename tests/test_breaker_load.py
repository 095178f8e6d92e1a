"""A thousand webhooks at once: repeated, reordered with what ended, truncated, hostile."""

import asyncio
import json
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from breaker.store import FILE
from newapi.database import Database
from tests.breaker import BEARER, OFF, ON, TOKEN
from tests.gateway_channels import gateway_with, tables
from tests.programs import Breaker
from tests.webhooks import TELL_LABELS, TRIP_LABELS, raw_alert, webhook

CHANNELS = range(1, 5)
TRIPPED = {*CHANNELS, 7}
GROWTH = 30e6
"""Bytes that 1,000 webhooks may leave behind, most of them what Python keeps for later."""

PATIENCE = 150
"""Seconds until each is done on the busiest machine."""


@pytest.fixture
def gateway(gateway_url: str) -> Iterator[Database]:
    with gateway_with(gateway_url, channels=range(1, 10)) as database:
        yield database


@dataclass(frozen=True)
class Sent:
    """A webhook, and the status that is right for it."""

    body: bytes
    bearer: str
    right: int


def body_for(channel: int, status: str = "firing") -> bytes:
    labels = TRIP_LABELS | {"channel_id": str(channel), "target": str(channel)}
    return json.dumps(webhook(raw_alert(labels, status=status))).encode()


def webhooks(rng: random.Random, count: int) -> list[Sent]:
    """Give webhooks of all kinds in any order, half of them what Alertmanager would send."""
    good = BEARER["Authorization"]
    whole = body_for(1)
    meant = [
        *(
            Sent(body_for(n, status), good, 200)
            for n in CHANNELS
            for status in ("firing", "firing", "resolved")
        ),
        Sent(json.dumps(webhook(raw_alert(TELL_LABELS))).encode(), good, 200),
        Sent(json.dumps(webhook(*[raw_alert()] * 20)).encode(), good, 200),
    ]
    hostile = [
        Sent(whole[: len(whole) // 2], good, 400),
        Sent(b"\x00" * 1000, good, 400),
        Sent(b"[" * 100_000, good, 400),
        Sent(json.dumps({"version": "4", "alerts": [{"labels": "x"}]}).encode(), good, 400),
        Sent(whole, "Bearer " + "x" * 5000, 401),
        Sent(whole, "", 401),
        Sent(b" " * 1_500_000, good, 413),
        Sent(body_for(7).replace(b'"7"', b'"7 OR 1=1"'), good, 200),
        Sent(body_for(8).replace(b'"8"', b'"-8"'), good, 200),
    ]
    return rng.choices(meant, k=count // 2) + rng.choices(hostile, k=count - count // 2)


async def ask(port: int, sent: Sent) -> tuple[int, str]:
    """Post a webhook over a connection of its own; gives the answer's status and text."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(
            f"POST /alerts HTTP/1.1\r\nHost: breaker\r\nConnection: close\r\nAuthorization:"
            f" {sent.bearer}\r\nContent-Length: {len(sent.body)}\r\n\r\n".encode()
        )
        writer.write(sent.body)
        head, _, text = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    if not head:
        raise ConnectionResetError
    return int(head.split()[1]), text.decode()


async def storm(port: int, sent: list[Sent], answers: Counter[int]) -> list[str]:
    """Post all webhooks at once, each until it is done, as Alertmanager does.

    Returns:
        What was wrong with the answers.
    """
    wrong: list[str] = []

    async def deliver(one: Sent) -> None:
        pause = 0.5
        while True:
            try:
                status, text = await ask(port, one)
            except OSError:  # closed, or not accepted, in the crowd
                status, text = 0, ""
            answers[status] += 1
            if "Traceback" in text:
                wrong.append(text)
            if status == one.right:
                return
            if status not in {0, 503} or (status == 503 and one.right != 200):
                wrong.append(f"{status} {text[:100]} for {one.body[:80]!r}")
                return
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 5)

    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*map(deliver, sent))
    return wrong


def test_a_thousand_webhooks_at_once(gateway: Database, gateway_url: str) -> None:
    rng = random.Random("load")
    settings = {"BREAKER_TOKEN": TOKEN, "BREAKER_SQL_DSN": gateway_url}
    with Breaker(settings) as breaker:
        process = psutil.Process(breaker.pid)
        answers: Counter[int] = Counter()
        # What Python needs once is there after the first.
        assert asyncio.run(storm(breaker.port, webhooks(rng, 300), answers)) == []
        before = process.memory_info().rss
        answers.clear()
        assert asyncio.run(storm(breaker.port, webhooks(rng, 1000), answers)) == []
        grown = process.memory_info().rss - before
        assert sum(answers[status] for status in (200, 400, 401, 413)) == 1000
        assert grown < GROWTH
        held = [dict(labels)["id"] for labels in breaker.metrics()["newapi_breaker_held"]]
        assert held == [str(number) for number in sorted(TRIPPED)]
        decisions = breaker.metrics()["newapi_breaker_decisions_total"]
        made = {dict(k)["result"]: v for k, v in decisions.items() if dict(k)["reason"] == ""}
        assert made["tripped"] == len(TRIPPED)
        with closing(sqlite3.connect(Path(breaker.settings["BREAKER_STATE"]) / FILE)) as record:
            trips = record.execute("SELECT kind_id, state FROM trips ORDER BY kind_id").fetchall()
        assert trips == [(number, "held") for number in sorted(TRIPPED)]
        breaker.stop()
        assert "Traceback" not in breaker.output
        assert TOKEN not in breaker.output
    for number in range(1, 10):
        assert tables(gateway, number)[::2] == ((2, OFF) if number in TRIPPED else (1, ON))
