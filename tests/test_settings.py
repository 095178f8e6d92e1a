"""Settings from the environment, background jobs, log lines."""

import logging
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import pytest
from pydantic import AliasChoices, Field, SecretStr

from service import log
from service.jobs import Jobs
from service.settings import (
    EXIT_SETTING,
    Address,
    Listen,
    SettingError,
    Settings,
    Zone,
    exits_on_setting_error,
    load,
    parse_address,
    variables,
)
from tests.servers.process import wait_until


class Sample(Settings):
    sql_dsn: SecretStr = Field(
        SecretStr(""), validation_alias=AliasChoices("SQL_DSN", "DATABASE_URL"), description="a DSN"
    )
    token: Annotated[SecretStr, Field(min_length=8)] = Field(description="eight characters or more")
    listen: Listen = Field(Address("127.0.0.1", 9847), description="host:port")
    folder: Path = Field(Path("state"), description="a folder")
    interval: Annotated[int, Field(ge=1, le=300)] = Field(2, description="whole seconds, 1 to 300")
    tz: Zone = Field(ZoneInfo("UTC"), description="a time zone")
    level: Literal["INFO", "WARNING"] = Field("INFO", description="INFO or WARNING")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in variables(Sample) | {"DATABASE_URL": None}:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TOKEN", "long-enough")


def test_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN", "[::1]:80")
    monkeypatch.setenv("INTERVAL", "5")
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    monkeypatch.setenv("FOLDER", "/srv/state")
    settings = load(Sample)
    assert settings.listen == Address("::1", 80)
    assert (settings.interval, settings.tz.key) == (5, "Asia/Shanghai")
    assert settings.folder == Path("/srv/state")
    assert settings.token.get_secret_value() == "long-enough"


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LISTEN", "INTERVAL", "TZ", "FOLDER", "LEVEL", "SQL_DSN"):
        monkeypatch.setenv(name, "")
    settings = load(Sample)
    assert (settings.interval, settings.tz.key, settings.level) == (2, "UTC", "INFO")
    assert settings.sql_dsn.get_secret_value() == ""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"SQL_DSN": "first"}, "first"),
        ({"DATABASE_URL": "alias"}, "alias"),
        ({"SQL_DSN": "first", "DATABASE_URL": "alias"}, "first"),
        ({"SQL_DSN": "", "DATABASE_URL": "alias"}, "alias"),
    ],
)
def test_the_first_name_of_a_variable_wins_over_its_alias(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], expected: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert load(Sample).sql_dsn.get_secret_value() == expected


def test_a_flag_wins_over_the_environment_and_none_is_no_flag(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("INTERVAL", "5")
    monkeypatch.setenv("LISTEN", "127.0.0.1:1")
    monkeypatch.setenv("SQL_DSN", "environment")
    settings = load(Sample, interval="7", listen=None, sql_dsn="flag")
    assert (settings.interval, settings.listen.port) == (7, 1)
    assert settings.sql_dsn.get_secret_value() == "flag"


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("INTERVAL", "0", "INTERVAL=0: expected whole seconds, 1 to 300"),
        ("INTERVAL", "2.5", "INTERVAL=2.5: expected whole seconds, 1 to 300"),
        ("LISTEN", "9847", "LISTEN=9847: expected host:port"),
        ("LISTEN", "localhost:99999", "LISTEN=localhost:99999: expected host:port"),
        ("TZ", "Mars/Olympus", "TZ=Mars/Olympus: expected a time zone"),
        ("TZ", "/etc/localtime", "TZ=/etc/localtime: expected a time zone"),
        ("TZ", "Asia", "TZ=Asia: expected a time zone"),
        ("LEVEL", "loud", "LEVEL=loud: expected INFO or WARNING"),
        ("TOKEN", "short", "TOKEN has a wrong value (not shown): expected eight characters"),
    ],
)
def test_a_wrong_value_is_one_line_with_variable_value_and_what_is_expected(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, line: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingError) as caught:
        load(Sample)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


def test_a_wrong_flag_is_named_by_its_variable() -> None:
    with pytest.raises(SettingError, match=r"^INTERVAL=many: expected whole seconds"):
        load(Sample, interval="many")


def test_a_required_variable_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOKEN")
    with pytest.raises(SettingError, match=r"^TOKEN is not set: expected eight characters"):
        load(Sample)


def test_a_setting_error_ends_a_command_with_its_line_and_code_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    @exits_on_setting_error
    def command() -> None:
        raise SettingError("TOKEN is not set")

    with pytest.raises(SystemExit) as ended:
        command()
    assert ended.value.code == EXIT_SETTING == 2
    assert capsys.readouterr().err == "TOKEN is not set\n"


@pytest.mark.parametrize(
    ("text", "address", "shown"),
    [
        ("127.0.0.1:9847", Address("127.0.0.1", 9847), "127.0.0.1:9847"),
        (":9847", Address("0.0.0.0", 9847), "0.0.0.0:9847"),  # noqa: S104
        ("[::1]:0", Address("::1", 0), "[::1]:0"),
        ("exporter:80", Address("exporter", 80), "exporter:80"),
    ],
)  # fmt: skip
def test_an_address_is_read_and_shown(text: str, address: Address, shown: str) -> None:
    assert parse_address(text) == address
    assert str(address) == shown


@pytest.mark.parametrize(
    "text", ["", "9847", "host", "host:", "host:http", "host:-1", "h:٣", "h:65536"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an address"):
        parse_address(text)


def test_every_setting_is_known_by_its_variable() -> None:
    assert list(variables(Sample)) == [
        "SQL_DSN", "TOKEN", "LISTEN", "FOLDER", "INTERVAL", "TZ", "LEVEL",
    ]  # fmt: skip


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    monkeypatch.setenv("TZ", "UTC")  # it sets this for the whole process
    jobs = Jobs()
    yield jobs
    jobs.stop()


def test_jobs_run_at_once_in_their_order_and_again(jobs: Jobs) -> None:
    ran: list[str] = []
    jobs.every(1, lambda: ran.append("first"))
    jobs.every(1, lambda: ran.append("second"))
    began = time.monotonic()
    jobs.start()
    wait_until(lambda: len(ran) >= 2, 0.8)
    assert ran == ["first", "second"]
    wait_until(lambda: len(ran) >= 4, 5)
    assert ran[:4] == ["first", "second"] * 2
    assert time.monotonic() - began >= 1


def test_a_job_that_does_not_end_is_told(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.jobs.SLOW", 0.1)
    ended = threading.Event()

    def hang() -> None:
        ended.wait(10)

    jobs.every(1, hang)
    jobs.start()
    wait_until(jobs.reasons, 5)
    assert jobs.reasons()[0].startswith("hang: has been running for ")
    ended.set()
    wait_until(lambda: not jobs.reasons(), 5)


def test_a_job_that_fails_is_told_and_tried_again(
    jobs: Jobs, caplog: pytest.LogCaptureFixture
) -> None:
    broken = threading.Event()
    broken.set()

    def divide() -> None:
        if broken.is_set():
            raise ZeroDivisionError

    jobs.every(1, divide)
    jobs.start()
    wait_until(jobs.reasons, 1)
    assert jobs.reasons() == ["divide: failed unexpectedly, ZeroDivisionError: see log"]
    assert "a background job failed" in caplog.text
    broken.clear()
    wait_until(lambda: not jobs.reasons(), 5)


def test_stopping_waits_for_the_job_that_runs(jobs: Jobs) -> None:
    entered, leave = threading.Event(), threading.Event()
    ended: list[str] = []

    def job() -> None:
        entered.set()
        leave.wait(5)
        ended.append("job")

    jobs.every(1, job)
    jobs.start()
    entered.wait(5)
    threading.Timer(0.2, leave.set).start()
    jobs.stop()
    assert ended == ["job"]


def test_jobs_go_on_when_the_clock_was_set_back(jobs: Jobs) -> None:
    """A machine whose clock is set at the start, after the programs: hours back, often."""
    ran: list[float] = []
    jobs.every(1, lambda: ran.append(time.monotonic()))
    for job in jobs._scheduler.jobs:
        assert job.next_run is not None
        job.next_run += timedelta(hours=8)
    jobs.start()
    wait_until(lambda: ran, 5)


def test_log_lines_are_one_line_each_with_utc_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", list(root.handlers))
    monkeypatch.setattr(root, "level", root.level)
    log.configure("INFO")
    logging.getLogger("exporter.poll").info("counting begins")
    logging.getLogger("exporter.poll").debug("not said")
    line = capsys.readouterr().err
    assert line.endswith("Z INFO exporter.poll: counting begins\n")
    assert line[:16] == time.strftime("%Y-%m-%dT%H:%M", time.gmtime())


def test_a_fault_that_lasts_is_said_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    said = log.OncePerMinute(logging.getLogger("exporter.poll"))
    for now in range(0, 121, 2):
        said.warning("down", now)
        said.warning("also down", now + 1)
    assert caplog.messages == ["down", "also down"] * 3


def test_a_fault_is_said_again_when_the_clock_was_set_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    said = log.OncePerMinute(logging.getLogger("exporter.poll"))
    said.warning("down", 10_000)
    said.warning("down", 5_000)
    said.warning("down", 5_002)
    assert caplog.messages == ["down", "down"]
