"""Many webhooks at once, hostile ones among them; and a breaker that could not act for a while."""

import json
import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
import requests

from breaker.store import FILE
from deploy.render import render
from deploy.settings import RenderSettings
from newapi.database import Database
from service.settings import load
from tests.breaker import BEARER, OFF, ON, SQLITE, TOKEN
from tests.programs import Breaker
from tests.servers import Alertmanager, wait_until
from tests.stack import BOT_TOKEN, CHAT_ID, Telegram
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


@pytest.fixture
def config(tmp_path: Path) -> Iterator[tuple[Breaker, Path, Telegram]]:
    """A breaker that was not started, Alertmanager's configuration as shipped, and Telegram."""
    breaker = Breaker({"BREAKER_TOKEN": TOKEN})
    with Telegram() as telegram:
        render(
            load(
                RenderSettings,
                breaker_url=breaker.url,
                breaker_token=TOKEN,
                telegram_bot_token=BOT_TOKEN,
                telegram_chat_id=CHAT_ID,
                telegram_api_url=telegram.url,
            ),
            tmp_path / "config",
        )
        yield breaker, tmp_path / "config" / "alertmanager" / "alertmanager.yml", telegram


def outage(
    gateway: Database, dsn: str, config: tuple[Breaker, Path, Telegram], seconds: float
) -> float:
    """Let the breaker answer 503 for a while; gives the seconds from its end to the trip."""
    breaker, file, telegram = config
    database = Path(dsn.removeprefix("sqlite:///"))
    away = database.with_suffix(".away")
    with Alertmanager(file, "--data.maintenance-interval=1m") as alertmanager:
        breaker.settings |= {"BREAKER_SQL_DSN": dsn, "ALERTMANAGER_URL": alertmanager.url}
        with breaker:
            wait_until(lambda: breaker.get("/-/ready").ok)
            database.rename(away)
            alert = {name: raw_alert()[name] for name in ("labels", "annotations")}
            began = time.monotonic()
            alertmanager.send([alert])
            wait_until(lambda: failures(breaker) > 0, 20, "a delivery that failed")
            while time.monotonic() - began < seconds:  # as Prometheus does
                alertmanager.send([alert])
                time.sleep(min(30.0, max(0.0, seconds - (time.monotonic() - began))))
            away.rename(database)
            again = time.monotonic()
            wait_until(lambda: tables(gateway, 7)[0] == 2, 60, "the trip")
            took = time.monotonic() - again
            # Alertmanager is restarted before it has told anybody for sure.
            alertmanager.stop()
            alertmanager.start()
            wait_until(lambda: tripped(telegram), 90, "the message")
            # A minute later the notice is posted again, to an Alertmanager that forgot it.
            alertmanager.stop()
            alertmanager.start()
            a_minute_later(breaker)
            wait_until(lambda: "NewAPIBreakerTripped" in names(alertmanager), 10, "the notice")
            trial = {
                "labels": {"alertname": "NewAPIBreakerTest"},
                "annotations": {"summary": "after it"},
            }
            alertmanager.send([trial])
            wait_until(
                lambda: "after it" in telegram.messages()[-1]["text"], 10, "the next message"
            )
    assert len(tripped(telegram)) == 1
    assert telegram.refused() == []
    return took


def failures(breaker: Breaker) -> float:
    decisions = breaker.metrics()["newapi_breaker_decisions_total"]
    return sum(v for k, v in decisions.items() if dict(k)["result"] == "failed")


def tripped(telegram: Telegram) -> list[str]:
    texts = [message["text"] for message in telegram.messages()]
    return [text for text in texts if "was disabled by rule" in text]


def names(alertmanager: Alertmanager) -> list[str]:
    found = [alert["labels"]["alertname"] for alert in alertmanager.alerts()]
    return [name for name in found if name.startswith("NewAPIBreaker")]


def a_minute_later(breaker: Breaker) -> None:
    """Have the breaker believe that its last post is a minute ago."""
    with closing(sqlite3.connect(Path(breaker.settings["BREAKER_STATE"]) / FILE)) as record:
        record.execute("UPDATE notices SET posted_at = posted_at - 60")
        record.commit()


@SQLITE
def test_what_could_not_be_done_is_done_soon_after_it_can(
    gateway: Database, gateway_url: str, config: tuple[Breaker, Path, Telegram]
) -> None:
    assert outage(gateway, gateway_url, config, 12) < 15


@SQLITE
@pytest.mark.torture
def test_what_could_not_be_done_for_long_is_done_soon_after_it_can(
    gateway: Database, gateway_url: str, config: tuple[Breaker, Path, Telegram]
) -> None:
    assert outage(gateway, gateway_url, config, 100) < 15
