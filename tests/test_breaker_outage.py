"""A gateway's database that hangs, is down, comes back: answers in time, and then the trip."""

import socket
import threading
import time

import requests

from tests.breaker import BEARER, TOKEN
from tests.programs import Breaker
from tests.servers import wait_until
from tests.test_breaker_webhook import TRIP_LABELS, raw_alert, webhook

IN_TIME = 8
"""Seconds; Alertmanager waits for 10, and DESIGN allows 8."""


def deliver(breaker: Breaker, channel: int = 7) -> tuple[int, float]:
    """Deliver a trip of a channel; gives the status and the seconds that the answer took."""
    labels = TRIP_LABELS | {"channel_id": str(channel), "target": str(channel)}
    body, began = webhook(raw_alert(labels)), time.monotonic()
    answer = requests.post(f"{breaker.url}/alerts", headers=BEARER, json=body, timeout=60)
    return answer.status_code, time.monotonic() - began


def burst(breaker: Breaker, count: int) -> list[tuple[int, float]]:
    """Deliver trips of so many channels at once; while they wait, the health is asked for too."""
    answers: list[tuple[int, float]] = []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(deliver(breaker, n)))
        for n in range(1, count + 1)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        began = time.monotonic()
        answers.append((breaker.get("/-/healthy").status_code, time.monotonic() - began))
        time.sleep(0.2)
    return answers


def test_many_deliveries_are_answered_in_time_while_the_database_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        dsn = f"mysql://user:secret@127.0.0.1:{silent.getsockname()[1]}/gateway"
        settings = {"BREAKER_TOKEN": TOKEN, "BREAKER_SQL_DSN": dsn}
        with Breaker(settings, until="/-/healthy") as breaker:
            wait_until(lambda: deliver(breaker)[0] == 503)
            answers = burst(breaker, 100)
    assert {status for status, _ in answers} == {503, 200}
    assert [status for status, _ in answers].count(503) == 100
    assert max(took for _, took in answers) < IN_TIME
