"""Many webhooks at once, hostile ones among them; and a breaker that could not act for a while."""

import json
import random
import threading
from collections import Counter
from collections.abc import Iterator

import psutil
import pytest
import requests

from newapi.database import Database
from tests.breaker import BEARER, OFF, ON, SQLITE, TOKEN
from tests.programs import Breaker
from tests.test_breaker_webhook import TELL_LABELS, TRIP_LABELS, raw_alert, webhook
from tests.test_switch import add_channel, make_gateway, tables

CHANNELS = range(1, 5)
GROWTH = 30e6
"""Bytes that 1,000 webhooks may leave behind, most of them what Python keeps for later."""


@pytest.fixture
def gateway(gateway_url: str) -> Iterator[Database]:
    database = make_gateway(gateway_url)
    for number in range(1, 10):
        add_channel(database, number)
    yield database
    database.close()


def body_for(channel: int, status: str = "firing") -> bytes:
    labels = TRIP_LABELS | {"channel_id": str(channel), "target": str(channel)}
    return json.dumps(webhook(raw_alert(labels, status=status))).encode()


def requests_of_all_kinds(rng: random.Random, count: int) -> list[tuple[bytes, str, set[int]]]:
    """Give (body, Authorization, statuses that would be right), in any order."""
    good = BEARER["Authorization"]
    whole = body_for(1)
    kinds: list[tuple[bytes, str, set[int]]] = [
        *((body_for(channel), good, {200}) for channel in CHANNELS),
        (json.dumps(webhook(raw_alert(TELL_LABELS))).encode(), good, {200}),
        (json.dumps(webhook(*[raw_alert()] * 20)).encode(), good, {200, 503}),
        (whole[: len(whole) // 2], good, {400}),
        (b"\x00" * 1000, good, {400}),
        (b"[" * 100_000, good, {400}),
        (json.dumps({"version": "4", "alerts": [{"labels": "x"}]}).encode(), good, {400}),
        (whole, "Bearer " + "x" * 5000, {401}),
        (whole, "", {401}),
        (b" " * 1_500_000, good, {413}),
        (body_for(7).replace(b'"7"', b'"7 OR 1=1"'), good, {200}),
        (body_for(8).replace(b'"8"', b'"-8"'), good, {200}),
    ]
    return rng.choices(kinds, k=count)


@SQLITE
def test_a_thousand_webhooks_at_once(gateway: Database, gateway_url: str) -> None:
    rng = random.Random("load")
    with Breaker({"BREAKER_TOKEN": TOKEN, "BREAKER_SQL_DSN": gateway_url}) as breaker:
        wrong: list[str] = []
        statuses: Counter[int] = Counter()

        def deliver(share: list[tuple[bytes, str, set[int]]]) -> None:
            with requests.Session() as session:
                for body, bearer, right in share:
                    answer = session.post(
                        f"{breaker.url}/alerts",
                        data=body,
                        headers={"Authorization": bearer},
                        timeout=30,
                    )
                    statuses[answer.status_code] += 1
                    # Whoever waits for its turn too long is told to come back.
                    if answer.status_code not in right | {503} or "Traceback" in answer.text:
                        wrong.append(f"{answer.status_code} {answer.text[:100]} for {body[:80]!r}")

        def storm(count: int) -> None:
            sent = requests_of_all_kinds(rng, count)
            threads = [threading.Thread(target=deliver, args=(sent[i::50],)) for i in range(50)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        storm(200)  # what Python needs once is there afterwards
        process = psutil.Process(breaker.pid)
        before = process.memory_info().rss
        storm(800)
        grown = process.memory_info().rss - before
        assert wrong == []
        assert sum(statuses.values()) == 1000
        assert statuses[200] > 200
        assert grown < GROWTH
        for channel in CHANNELS:
            answer = requests.post(
                f"{breaker.url}/alerts", data=body_for(channel), headers=BEARER, timeout=9
            )
            assert answer.status_code == 200
        held = [dict(labels)["id"] for labels in breaker.metrics()["newapi_breaker_held"]]
        assert held == ["1", "2", "3", "4", "7"]
        decisions = breaker.metrics()["newapi_breaker_decisions_total"]
        made = {dict(k)["result"]: v for k, v in decisions.items() if dict(k)["reason"] == ""}
        assert made["tripped"] == 5
        breaker.stop()
        assert "Traceback" not in breaker.output
        assert TOKEN not in breaker.output
    for number in range(1, 10):
        off = number in {*CHANNELS, 7}
        assert tables(gateway, number)[::2] == ((2, OFF) if off else (1, ON))
