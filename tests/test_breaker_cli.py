"""The command newapi-breaker: its settings, the running service, the history."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner, Result

import breaker.cli
from breaker.cli import main
from breaker.record import Record
from breaker.store import Store
from deploy.render import render
from deploy.settings import RenderSettings
from newapi.schema import Flavour
from service.settings import load
from tests.breaker import BEARER, NOW, OFF, TOKEN
from tests.gateway_channels import add_channel, make_gateway, tables
from tests.programs import Breaker
from tests.servers import Alertmanager, MariaDB, wait_until
from tests.stack import BOT_TOKEN, CHAT_ID, Telegram
from tests.test_breaker_notice import CONFIG, TRIPPED
from tests.test_breaker_record import RECORDED
from tests.webhooks import TELL_LABELS, TRIP_LABELS, make_alert, raw_alert, webhook

DELIVERING = """
route:
  receiver: nobody
  routes: [{{matchers: ['purpose="trip"'], receiver: breaker, group_by: ['...'], group_wait: 0s}}]
receivers:
  - name: nobody
  - name: breaker
    webhook_configs:
      - url: {url}/alerts
        http_config: {{authorization: {{credentials: {token}}}}}
"""


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("BREAKER_TOKEN", "BREAKER_MODE", "BREAKER_STATE", "SQL_DSN", "DATABASE_URL")
    for name in (*names, "ALERTMANAGER_URL"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str | Path, **environment: str) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments], env=environment)


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("BREAKER_TOKEN", "", "BREAKER_TOKEN is not set: expected at least 16 printable"),
        ("BREAKER_TOKEN", "secret", "BREAKER_TOKEN has a wrong value (not shown): expected at "),
        ("BREAKER_TOKEN", "secret with blanks in", "BREAKER_TOKEN has a wrong value (not shown)"),
        ("BREAKER_MODE", "on", "BREAKER_MODE=on: expected enforce, dry-run, off"),
        ("BREAKER_LISTEN", "9848", "BREAKER_LISTEN=9848: expected host:port, as 127.0.0.1:9848"),
        ("BREAKER_HISTORY_DAYS", "0", "BREAKER_HISTORY_DAYS=0: expected days, 1 to 3650"),
        ("SQL_DSN", "u:secret@nowhere", "SQL_DSN has a wrong value (not shown): expected user:"),
        ("BREAKER_SQL_DSN", "redis://u:secret@x/y", "BREAKER_SQL_DSN has a wrong value (not shown"),
        ("ALERTMANAGER_URL", "alertmanager", "ALERTMANAGER_URL=alertmanager: expected a URL, as"),
        ("BREAKER_MAX_TRIPS_PER_HOUR", "0", "BREAKER_MAX_TRIPS_PER_HOUR=0: expected a whole num"),
        ("BREAKER_MAX_ALERT_AGE", "soon", "BREAKER_MAX_ALERT_AGE=soon: expected a duration from"),
        ("BREAKER_MAX_ALERT_AGE", "2d", "BREAKER_MAX_ALERT_AGE=2d: expected a duration from 10s"),
        ("GATEWAY_URL", "http://x", "GATEWAY_TOKEN is not set: expected the access token of an"),
        (
            "GATEWAY_TOKEN",
            "\u201csecret\u201d",
            "GATEWAY_TOKEN has a wrong value (not shown): expec",
        ),
        ("GATEWAY_TOKEN", "secret\nline", "GATEWAY_TOKEN has a wrong value (not shown): expected"),
        ("LOG_SQL_DSN", "clickhouse://u:secret@x/y", "LOG_SQL_DSN has a wrong value (not shown): "),
        ("MONITOR_LANG", "fr", "MONITOR_LANG=fr: expected en or zh"),
        ("BREAKER_STATE", "/proc/nowhere", "BREAKER_STATE: /proc/nowhere/record.sqlite: "),
    ],
)
@pytest.mark.parametrize("command", [[], ["serve"]])
def test_a_wrong_setting_ends_it_with_one_line(
    command: list[str], variable: str, value: str, line: str, tmp_path: Path
) -> None:
    given = {"BREAKER_TOKEN": TOKEN, "BREAKER_STATE": str(tmp_path)} | {variable: value}
    result = run(*command, **given)
    assert result.exit_code == 2
    assert result.stderr.startswith(line)
    assert len(result.stderr.splitlines()) == 1
    assert "secret" not in result.output


def test_an_address_that_cannot_be_listened_on_ends_it_with_one_line(tmp_path: Path) -> None:
    settings = {
        "BREAKER_TOKEN": TOKEN,
        "BREAKER_STATE": str(tmp_path),
        "BREAKER_LISTEN": "192.0.2.1:1",
    }
    done = subprocess.run(
        [Path(sys.executable).parent / "newapi-breaker"],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "cannot listen on 192.0.2.1:1: Cannot assign requested address\n"


def test_the_service_trips_over_http_and_tells_alertmanager(
    gateway_url: str, request: pytest.FixtureRequest
) -> None:
    flavour = Flavour.ONE_API if request.node.callspec.id == "postgres" else Flavour.NEW_API
    database = make_gateway(gateway_url, flavour)
    add_channel(database, 7)
    with Alertmanager(CONFIG) as alertmanager:
        settings = {
            "BREAKER_TOKEN": TOKEN,
            "BREAKER_SQL_DSN": gateway_url,
            "ALERTMANAGER_URL": alertmanager.url,
        }
        with Breaker(settings) as breaker:
            statuses: list[int] = []

            def deliver() -> None:
                body = webhook(raw_alert(TRIP_LABELS))
                answer = requests.post(
                    f"{breaker.url}/alerts", headers=BEARER, json=body, timeout=9
                )
                statuses.append(answer.status_code)

            threads = [threading.Thread(target=deliver) for _ in range(20)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert statuses == [200] * 20
            assert tables(database, 7)[::2] == (2, OFF)
            big = requests.post(
                f"{breaker.url}/alerts", headers=BEARER, data=b" " * 2_000_000, timeout=9
            )
            assert (big.status_code, big.text) == (413, "the body is larger than 1048576 bytes\n")
            (alert,) = wait_until(alertmanager.alerts)
            assert alert["labels"]["alertname"] == "NewAPIBreakerTripped"
            assert breaker.metrics()["newapi_breaker_held"]
            assert "_created" not in breaker.get("/metrics").text
            breaker.stop()
            output = breaker.output
            start = next(line for line in output.splitlines() if "serving" in line)
            assert f"serving {breaker.url}, mode enforce, guarding {database.name}" in start
            assert "Traceback" not in output
            assert TOKEN not in output
            shown = run("history", "--json", "--state", breaker.settings["BREAKER_STATE"])
    (row,) = json.loads(shown.stdout)
    assert (row["result"], row["deliveries"]) == ("tripped", 20)
    database.close()


@pytest.mark.parametrize("gateway_url", ["sqlite"], indirect=True)
def test_the_real_alertmanager_delivers_and_is_told(gateway_url: str) -> None:
    database = make_gateway(gateway_url)
    add_channel(database, 7)
    breaker = Breaker({"BREAKER_TOKEN": TOKEN, "BREAKER_SQL_DSN": gateway_url})
    with Alertmanager(DELIVERING.format(url=breaker.url, token=TOKEN)) as alertmanager:
        breaker.settings["ALERTMANAGER_URL"] = alertmanager.url
        with breaker:
            raw = raw_alert()
            alertmanager.send([{name: raw[name] for name in ("labels", "annotations")}])
            told = wait_until(
                lambda: [a for a in alertmanager.alerts() if "trip_id" in a["labels"]], 20
            )
            assert told[0]["labels"]["alertname"] == "NewAPIBreakerTripped"
            assert tables(database, 7)[::2] == (2, OFF)
    database.close()


@pytest.mark.parametrize(
    ("dsn", "reason"),
    [
        ("sqlite:////nowhere/one-api.db", "SQLite /nowhere/one-api.db: there is no such file"),
        ("root:secret@tcp(127.0.0.1:1)/gateway", "MySQL 127.0.0.1:1/gateway: Can't connect"),
        ("postgres://root:secret@127.0.0.1:1/gateway", "PostgreSQL 127.0.0.1:1/gateway: conn"),
        ("root:secret@tcp(127.0.0.1:{port})/gateway", "MySQL 127.0.0.1:{port}/gateway: Access de"),
        ("root@tcp(127.0.0.1:{port})/nowhere", "MySQL 127.0.0.1:{port}/nowhere: Unknown database"),
    ],
)
def test_a_database_that_does_not_answer_is_waited_for(
    dsn: str, reason: str, request: pytest.FixtureRequest
) -> None:
    if "{port}" in dsn:
        server: MariaDB = request.getfixturevalue("mariadb")
        dsn, reason = dsn.format(port=server.port), reason.format(port=server.port)
    settings = {"BREAKER_TOKEN": TOKEN, "SQL_DSN": dsn}
    with Breaker(settings, until="/-/healthy") as breaker:
        wait_until(lambda: breaker.get("/-/ready").text.startswith(reason))
        answer = requests.post(
            f"{breaker.url}/alerts", headers=BEARER, json=webhook(raw_alert()), timeout=9
        )
        assert answer.status_code == 503
        breaker.stop()
        lines = breaker.output.splitlines()
        assert len(lines) == 3, lines  # the start, the database, the trip that failed
        assert sum(f"breaker.health: {reason}" in line for line in lines) == 1
        assert "secret" not in breaker.output


@pytest.mark.parametrize("gateway_url", ["sqlite"], indirect=True)
def test_a_database_that_lacks_tables_is_waited_for(gateway_url: str) -> None:
    settings = {"BREAKER_TOKEN": TOKEN, "SQL_DSN": gateway_url}
    with Breaker(settings, until="/-/healthy") as breaker:
        wait_until(lambda: "is missing" in breaker.get("/-/ready").text)
        answer = breaker.get("/-/ready")
        assert answer.status_code == 503
        assert answer.text.endswith(": table channels is missing or not granted\n")
        database = make_gateway(gateway_url)
        add_channel(database, 7)
        answer = requests.post(
            f"{breaker.url}/alerts", headers=BEARER, json=webhook(raw_alert()), timeout=9
        )
        assert answer.status_code == 200
        wait_until(lambda: breaker.get("/-/ready").ok, 15)
        assert "Traceback" not in breaker.output
        database.close()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A record of two notifications."""
    store = Store(tmp_path, writable=True)
    record = Record(store)
    record.add(make_alert(TELL_LABELS), RECORDED, NOW)
    record.add(make_alert(), TRIPPED, NOW + 1)
    record.end(make_alert(status="resolved"), NOW + 60)
    yield tmp_path
    store.close()


def test_history_for_people(state: Path) -> None:
    result = run("history", "--state", state)
    assert result.exit_code == 0
    first, second, third, fourth = result.stdout.splitlines()
    assert first.endswith(
        "NewAPITokenUsageTrip, rule budget: channel 7 (OpenAI main),"
        " 120,000 of 100,000 in 1h, disable_channel"
    )
    assert second.startswith("    tripped, trip 0a1b2c3d; ended 2027-01-15 ")
    assert ", delivered 2 times, last 2027-01-15 " in second
    assert "rule watch: user 3 (OpenAI main)" in third
    assert fourth.startswith("    recorded; firing, delivered once, last ")


def test_history_for_programs(state: Path) -> None:
    def shown(*arguments: str) -> list[dict[str, Any]]:
        result = run("history", "--json", *arguments, BREAKER_STATE=str(state))
        assert result.exit_code == 0
        rows: list[dict[str, Any]] = json.loads(result.stdout)
        return rows

    assert [row["rule"] for row in shown()] == ["budget", "watch"]
    assert [row["rule"] for row in shown("--rule", "watch")] == ["watch"]
    assert [row["rule"] for row in shown("--target", "7")] == ["budget"]
    assert [row["rule"] for row in shown("--result", "tripped")] == ["budget"]
    assert [row["rule"] for row in shown("--limit", "1")] == ["budget"]
    assert [row["rule"] for row in shown("--action", "notify")] == ["watch"]
    assert [row["rule"] for row in shown("--trip", "0a1b2c3d")] == ["budget"]
    assert [row["rule"] for row in shown("--since", "2027-01-15T08:00:01+00:00")] == ["budget"]
    assert shown("--since", "2027-01-16") == []
    assert shown("--rule", "none") == []
    (row,) = shown("--rule", "budget")
    assert (row["value"], row["threshold"], row["trip_id"]) == (120_000, 100_000, "0a1b2c3d")
    assert row["ended_at"].startswith("2027-01-15T")


def test_history_since_something_else(state: Path) -> None:
    result = run("history", "--state", state, "--since", "yesterday")
    assert result.exit_code == 2
    assert result.stderr == "--since=yesterday: expected a time as 24h, 7d or 2027-01-15\n"


@pytest.fixture(scope="module")
def told_by() -> Iterator[tuple[Telegram, str]]:
    """A Telegram that takes messages, and the configuration of Alertmanager as it is shipped."""
    with Telegram() as telegram, tempfile.TemporaryDirectory() as folder:
        settings = load(
            RenderSettings,
            breaker_token=TOKEN,
            telegram_bot_token=BOT_TOKEN,
            telegram_chat_id=CHAT_ID,
            telegram_api_url=telegram.url,
        )
        render(settings, Path(folder))
        yield telegram, str(Path(folder) / "alertmanager" / "alertmanager.yml")


def test_a_test_notification_arrives(told_by: tuple[Telegram, str]) -> None:
    telegram, config = told_by
    with Alertmanager(Path(config)) as alertmanager:
        result = run("test-notification", ALERTMANAGER_URL=alertmanager.url)
        assert (result.exit_code, result.stdout) == (0, "delivered by telegram\n")
        assert "This is a test of newapi-breaker" in telegram.messages()[-1]["text"]
        # Each one is a message of its own.
        assert run("test-notification", ALERTMANAGER_URL=alertmanager.url).exit_code == 0
        alertmanager.stop()
        result = run("test-notification", ALERTMANAGER_URL=alertmanager.url)
        assert (result.exit_code, result.stderr) == (1, "ALERTMANAGER_URL: ConnectionError\n")


def test_a_test_notification_that_reaches_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker.cli, "WAIT", 1.0)
    with Alertmanager(CONFIG) as alertmanager:
        result = run("test-notification", ALERTMANAGER_URL=alertmanager.url)
    assert result.exit_code == 1
    assert result.stderr.startswith("Alertmanager took it, and told nobody within 1 s: is a rec")
    result = run("test-notification")
    assert (result.exit_code, result.stderr) == (
        2, "ALERTMANAGER_URL is not set: expected a URL, as http://localhost:9093\n",
    )  # fmt: skip


def test_history_without_a_record(tmp_path: Path) -> None:
    result = run("history", "--state", tmp_path)
    assert result.exit_code == 2
    assert result.stderr == (
        f"BREAKER_STATE: {tmp_path}/record.sqlite: unable to open database file\n"
    )
    Store(tmp_path, writable=True).close()
    assert run("history", "--state", tmp_path).stdout == "nothing recorded\n"
