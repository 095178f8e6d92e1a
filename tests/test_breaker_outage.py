"""A gateway's database that hangs, is down, comes back: answers in time, and then the trip."""

import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
import requests

from breaker.store import FILE
from deploy.render import render
from deploy.settings import RenderSettings
from newapi.database import Database
from newapi.dsn import parse_dsn
from service.settings import load
from tests.breaker import BEARER, OFF, TOKEN
from tests.gateway_channels import add_channel, make_gateway, tables
from tests.programs import Breaker, parse
from tests.servers import Alertmanager, MariaDB, Postgres, wait_until
from tests.stack import BOT_TOKEN, CHAT_ID, Telegram
from tests.webhooks import TRIP_LABELS, raw_alert, webhook

IN_TIME = 8
"""Seconds; Alertmanager waits for 10, and DESIGN allows 8."""


OUTAGES = [
    ("sqlite", "down"), ("mariadb", "down"), ("mariadb", "hangs"), ("postgres", "down"),
    ("postgres", "hangs"),
]  # fmt: skip
EACH = pytest.mark.parametrize(("gateway_url", "how"), OUTAGES, indirect=["gateway_url"])


class Outages:
    """What a gateway's database can suffer."""

    def __init__(self, dsn: str, server: MariaDB | Postgres | None) -> None:
        self.dsn = dsn
        self._server = server

    @contextmanager
    def outage(self, how: str) -> Iterator[None]:
        """Have it hang, or be down, until the block ends."""
        if self._server is None:
            file = Path(str(parse_dsn(self.dsn).database))
            file.rename(file.with_suffix(".away"))
            yield
            file.with_suffix(".away").rename(file)
        elif how == "hangs":
            with self._server.frozen():
                yield
        else:
            self._server.stop()
            try:
                yield
            finally:
                self._server.start()


@pytest.fixture
def database(gateway_url: str, request: pytest.FixtureRequest) -> Outages:
    """A gateway's database with the channels 1 to 9."""
    kind = request.node.callspec.params["gateway_url"]
    gateway = make_gateway(gateway_url)
    for number in range(1, 10):
        add_channel(gateway, number)
    gateway.close()
    server = request.getfixturevalue(kind) if kind != "sqlite" else None
    return Outages(gateway_url, server)


def deliver(breaker: Breaker, channel: int = 7) -> tuple[int, float]:
    """Deliver a trip of a channel; gives the status and the seconds that the answer took."""
    labels = TRIP_LABELS | {"channel_id": str(channel), "target": str(channel)}
    body, began = webhook(raw_alert(labels)), time.monotonic()
    answer = requests.post(f"{breaker.url}/alerts", headers=BEARER, json=body, timeout=60)
    return answer.status_code, time.monotonic() - began


def burst(breaker: Breaker, count: int) -> list[tuple[int, float]]:
    """Deliver a trip so often at once; while they wait, the health is asked for too."""
    answers: list[tuple[int, float]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(deliver(breaker))) for _ in range(count)
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


@EACH
def test_an_outage_is_answered_in_time_and_then_there_is_one_trip(
    database: Outages, how: str
) -> None:
    settings = {"BREAKER_TOKEN": TOKEN, "BREAKER_SQL_DSN": database.dsn}
    with Breaker(settings) as breaker:
        with database.outage(how):
            answers = burst(breaker, 10)
            assert [status for status, _ in answers].count(503) == 10
            assert {status for status, _ in answers} == {503, 200}
            assert max(took for _, took in answers) < IN_TIME
            assert "newapi_breaker_mode" in breaker.metrics()
            wait_until(lambda: breaker.get("/-/ready").status_code == 503, 20)
        wait_until(lambda: deliver(breaker)[0] == 200, 15, "a delivery that is done")
        wait_until(lambda: breaker.get("/-/ready").ok, 20)
        assert made(breaker, "tripped") == 1
    assert is_off(database.dsn)


def made(breaker: Breaker, result: str) -> float:
    """How many decisions came to this."""
    decisions = breaker.metrics()["newapi_breaker_decisions_total"]
    return sum(v for k, v in decisions.items() if dict(k)["result"] == result)


def is_off(dsn: str) -> bool:
    """Whether channel 7 is off in both tables."""
    with closing(Database(parse_dsn(dsn))) as gateway:
        return tables(gateway, 7)[::2] == (2, OFF)


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


def chain(
    database: Outages, how: str, config: tuple[Breaker, Path, Telegram], seconds: float
) -> float:
    """Let the breaker answer 503 for a while; gives the seconds from its end to the trip."""
    breaker, file, telegram = config
    with ExitStack() as stack:
        alertmanager = stack.enter_context(Alertmanager(file, "--data.maintenance-interval=1m"))
        breaker.settings |= {
            "BREAKER_SQL_DSN": database.dsn, "ALERTMANAGER_URL": alertmanager.url,
        }  # fmt: skip
        stack.enter_context(breaker)
        with database.outage(how):
            alert = {name: raw_alert()[name] for name in ("labels", "annotations")}
            began = time.monotonic()
            alertmanager.send([alert])
            wait_until(lambda: refused(alertmanager) > 0, 20, "a delivery that failed")
            while time.monotonic() - began < seconds:  # as Prometheus does
                alertmanager.send([alert])
                time.sleep(min(30.0, max(0.0, seconds - (time.monotonic() - began))))
        again = time.monotonic()
        wait_until(lambda: is_off(database.dsn), 60, "the trip")
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
        wait_until(lambda: "after it" in telegram.messages()[-1]["text"], 10, "the next message")
        assert made(breaker, "tripped") == 1
    assert len(tripped(telegram)) == 1
    assert telegram.refused() == []
    return took


def refused(alertmanager: Alertmanager) -> float:
    """How many deliveries to the breaker failed."""
    page = requests.get(f"{alertmanager.url}/metrics", timeout=5).text
    failed = parse(page)["alertmanager_notification_requests_failed_total"]
    return sum(v for k, v in failed.items() if dict(k)["integration"] == "webhook")


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


@pytest.mark.parametrize(("gateway_url", "how"), OUTAGES[:1], indirect=["gateway_url"])
def test_what_could_not_be_done_is_done_soon_after_it_can(
    database: Outages, how: str, config: tuple[Breaker, Path, Telegram]
) -> None:
    assert chain(database, how, config, 12) < 15


@EACH
@pytest.mark.torture
def test_what_could_not_be_done_for_long_is_done_soon_after_it_can(
    database: Outages, how: str, config: tuple[Breaker, Path, Telegram]
) -> None:
    assert chain(database, how, config, 100) < 15
