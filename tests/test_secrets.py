"""Secrets never show: in no line of a log, page, command line, or file of another server."""

import gc
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from breaker.cli import main as breaker
from breaker.store import Store
from demo.cli import main as demo
from deploy.cli import main as monitor
from deploy.render import render
from deploy.settings import RenderSettings
from exporter.cli import main as exporter
from newapi.database import Database
from newapi.dsn import parse_dsn
from service.binaries import find
from service.settings import load
from tests.gateway import gateway_at, put
from tests.gateway_channels import add_channel
from tests.programs import Breaker, Exporter, Program
from tests.servers import MariaDB, Postgres
from tests.servers.process import free_port, wait_until
from tests.webhooks import raw_alert, webhook

PASSWORD = "geheim-of-the-database"
LOG_PASSWORD = "geheim-of-the-logs"
TOKEN = "geheim-of-the-breaker"
GATEWAY_TOKEN = "geheim-of-the-gateway"
BOT = "1000001:geheim-of-the-bot"
MARK = "geheim"
"""What all of them hold."""

PATHS = ("/", "/metrics", "/metrics/alerts", "/-/ready", "/-/healthy", "/alerts", "/no/such/page")


@pytest.fixture(params=["mariadb", "postgres"])
def server(request: pytest.FixtureRequest) -> MariaDB | Postgres:
    found: MariaDB | Postgres = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def dsn(server: MariaDB | Postgres) -> Iterator[str]:
    """A gateway's database for an account of its own, whose password is one of the secrets."""
    root = server.create_database("secrets")
    mysql = isinstance(server, MariaDB)
    how = f"IDENTIFIED BY '{PASSWORD}'" if mysql else f"LOGIN SUPERUSER PASSWORD '{PASSWORD}'"
    kind = "USER" if mysql else "ROLE"
    server.execute(f"CREATE {kind} keeper {how}")
    if mysql:
        server.execute("GRANT ALL ON secrets.* TO keeper")
    with gateway_at(root) as database:
        add_channel(database, 7)
    yield root.replace("root@" if mysql else "postgres@", f"keeper:{PASSWORD}@")
    server.drop_database("secrets")
    server.execute(f"DROP {kind} keeper")


def broken(dsn: str) -> list[str]:
    """DSNs that fail in another way each, all with a secret in them."""
    url = parse_dsn(dsn)
    scheme = "mysql" if url.get_backend_name() == "mysql" else "postgresql"
    place = f"127.0.0.1:{url.port}"
    return [
        f"{scheme}://keeper:{PASSWORD}@127.0.0.1:{free_port()}/secrets",
        f"{scheme}://keeper:{PASSWORD}@no-such-host.invalid:1/secrets",
        f"{scheme}://nobody:{PASSWORD}@{place}/secrets",
        f"{scheme}://keeper:{PASSWORD}@{place}/no_such_database",
    ]


def shown(program: Program) -> str:
    """Everything that a program tells anybody; it is stopped after that."""
    told = [requests.get(f"{program.url}{path}", timeout=15) for path in PATHS]
    token = {"Authorization": f"Bearer {TOKEN}"}
    for headers in ({}, {"Authorization": f"Bearer {TOKEN}x"}, token):
        for body in ({"alerts": 1}, webhook(raw_alert())):
            url = f"{program.url}/alerts"
            told.append(requests.post(url, json=body, headers=headers, timeout=15))
    # By whatever name the program runs: its command line, which every user of a machine may read.
    command = Path(f"/proc/{program.pid}/cmdline").read_text()
    program.stop()
    return "\n".join([*(answer.text + str(answer.headers) for answer in told), command,
                      program.output])  # fmt: skip


def test_a_database_that_fails_is_told_without_its_password(
    dsn: str, server: MariaDB | Postgres
) -> None:
    for number, wrong in enumerate(broken(dsn)):
        with Exporter({"SQL_DSN": wrong}, "/-/healthy") as exporter:
            wait_until(lambda: "secrets" in (text := exporter.get("/-/ready").text)
                       or "no_such_database" in text)  # fmt: skip
            assert MARK not in shown(exporter), number
        settings = {"SQL_DSN": dsn, "BREAKER_SQL_DSN": wrong, "BREAKER_TOKEN": TOKEN}
        with Breaker({**settings, "LOG_SQL_DSN": wrong}, "/-/healthy") as breaker:
            assert MARK not in shown(breaker), number
    with Exporter({"SQL_DSN": dsn}) as exporter:
        server.execute("ALTER " + ("TABLE secrets.logs RENAME TO secrets.gone"
                       if isinstance(server, MariaDB) else "TABLE logs RENAME TO gone"),
                       database="secrets")  # fmt: skip
        wait_until(lambda: not exporter.get("/-/ready").ok)
        assert MARK not in shown(exporter)


def test_what_works_and_what_is_traced_shows_none(dsn: str) -> None:
    exporter = Exporter({"SQL_DSN": dsn, "LOG_SQL_DSN": dsn, "LOG_LEVEL": "DEBUG"})
    with exporter:
        text = shown(exporter)
        assert "newapi_channel_info" in text
        assert MARK not in text
        assert MARK not in read_all(exporter.folder)


def test_a_trip_whose_gateway_does_not_answer_shows_no_token(dsn: str) -> None:
    breaker = Breaker(
        {
            "SQL_DSN": dsn, "BREAKER_TOKEN": TOKEN, "LOG_LEVEL": "DEBUG",
            "GATEWAY_URL": f"http://127.0.0.1:{free_port()}",
            "GATEWAY_TOKEN": GATEWAY_TOKEN, "GATEWAY_USER_ID": "1",
            "ALERTMANAGER_URL": f"http://127.0.0.1:{free_port()}",
        }
    )  # fmt: skip
    with breaker:
        text = shown(breaker)
        assert "GATEWAY_URL: channel 7: " in text
        assert MARK not in text
        assert MARK not in read_all(breaker.folder)
    with_it = Database(parse_dsn(dsn))
    with with_it.connect() as connection:
        info = connection.exec_driver_sql("SELECT other_info FROM channels").scalar_one()
    with_it.close()
    assert MARK not in str(info)


def read_all(folder: Path) -> str:
    """The contents of all files below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return "\n".join(path.read_bytes().decode(errors="replace") for path in files)


def test_each_server_gets_its_own_secrets_alone(tmp_path: Path) -> None:
    proxy = "http://proxy:geheim-of-the-proxy@127.0.0.1:3128"
    settings = load(
        RenderSettings,
        breaker_token=TOKEN,
        telegram_bot_token=BOT,
        telegram_chat_id="-1",
        telegram_proxy_url=proxy,
        grafana_sql_dsn=f"mysql://grafana:{LOG_PASSWORD}@127.0.0.1:3306/newapi",
    )
    render(settings, tmp_path)
    found = {name: read_all(tmp_path / name) for name in ("prometheus", "alertmanager", "grafana")}
    assert MARK not in found["prometheus"]
    assert LOG_PASSWORD in found["grafana"]
    assert found["grafana"].count(MARK) == found["grafana"].count(LOG_PASSWORD)
    for secret in (TOKEN, BOT, "geheim-of-the-proxy"):
        assert secret in found["alertmanager"]
    assert LOG_PASSWORD not in found["alertmanager"]
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or path.stat().st_mode & 0o077 == 0, path


def everything(dsn: str) -> dict[str, str]:
    """Every variable that is a secret, or may hold one."""
    return {
        "SQL_DSN": dsn, "LOG_SQL_DSN": dsn, "BREAKER_SQL_DSN": dsn, "GRAFANA_SQL_DSN": dsn,
        "BREAKER_TOKEN": TOKEN, "TELEGRAM_BOT_TOKEN": BOT, "TELEGRAM_CHAT_ID": "-1",
        "TELEGRAM_PROXY_URL": "http://proxy:geheim-of-the-proxy@127.0.0.1:1",
        "GATEWAY_URL": f"http://127.0.0.1:{free_port()}", "GATEWAY_TOKEN": GATEWAY_TOKEN,
        "GATEWAY_USER_ID": "1", "ALERTMANAGER_URL": f"http://127.0.0.1:{free_port()}",
        "LOG_LEVEL": "DEBUG",
    }  # fmt: skip


def ran(folder: Path, line: str, environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a command in a folder; gives its exit code, and all that it said."""
    name, *words = line.format(folder=folder).split()
    # A command leaves its connections to the end of its process, which does not come here.
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        done = CliRunner().invoke(COMMANDS[name], words, env=dict(environment))
        assert done.exception is None or isinstance(done.exception, SystemExit)
        said = done.exit_code, done.output
        del done
        gc.collect()
    return said


COMMANDS = {"exporter": exporter, "breaker": breaker, "monitor": monitor, "demo": demo}
ASKING = (
    "exporter check --alerts-file {folder}/none.yml",
    "exporter backfill --days 1 --out {folder}/prometheus --state {folder}/exporter",
    "breaker release --all --state {folder}/breaker",
    "demo load --rows 1",
)
"""Commands that ask the database, which does not answer."""
OTHERS = (
    ("exporter rules list --alerts-file {folder}/wrong.yml", 1),
    ("exporter import-token-monitor {folder}/wrong.yml", 1),
    ("breaker test-notification", 1),
    ("breaker history --state {folder}/none", 2),
    ("monitor render --out {folder}/wrong.yml", 2),
    ("monitor render --out {folder}/config", 0),
)
"""Commands that fail for other reasons, with their exit code; the last tells what it wrote."""


def test_no_command_tells_a_secret_when_its_database_fails(dsn: str, tmp_path: Path) -> None:
    held = Store(tmp_path / "breaker", writable=True)
    held.close()
    for wrong in broken(dsn):
        for line in ASKING:
            code, said = ran(tmp_path, line, everything(wrong))
            # Nothing is held, so that release needs no database.
            assert code == (2 if "release" in line else 3), said
            assert MARK not in said, line
    code, said = ran(tmp_path, ASKING[0], everything(dsn))
    assert code == 0
    assert MARK not in said


@pytest.mark.parametrize(("line", "code"), OTHERS)
def test_no_command_tells_a_secret_when_something_else_fails(
    tmp_path: Path, line: str, code: int
) -> None:
    (tmp_path / "wrong.yml").write_text("rules: 1")
    found, said = ran(tmp_path, line, everything(f"mysql://keeper:{PASSWORD}@127.0.0.1:1/x"))
    assert found == code, said
    assert MARK not in said


@pytest.mark.parametrize("name", [name for name in everything("") if "DSN" in name])
@pytest.mark.parametrize("line", [*ASKING, "monitor render --out {folder}/config"])
def test_a_dsn_that_cannot_be_read_is_not_shown(tmp_path: Path, line: str, name: str) -> None:
    settings = everything(f"sqlite:///{tmp_path}/none.db") | {name: f"u:{PASSWORD}@127.0.0.1"}
    _, said = ran(tmp_path, line, settings)
    assert MARK not in said


def test_the_programs_that_a_backfill_starts_are_given_no_secret(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = {"type": 2, "created_at": int(time.time()) - 7200, "channel_id": 7, "model_name": "m"}
    with closing(Database(parse_dsn(dsn), writable=True)) as database:
        put(database, "logs", *({**past, "quota": quota} for quota in range(9)))
    told, program = tmp_path / "told", tmp_path / "promtool"
    program.write_text(f'#!/bin/sh\necho "$0 $*" >>{told}\nexec {find("promtool")} "$@"\n')
    program.chmod(0o700)
    monkeypatch.setenv("PROMTOOL", str(program))
    code, said = ran(tmp_path, ASKING[1], everything(dsn))
    assert code == 0, said
    assert "create-blocks-from" in told.read_text()
    assert MARK not in said + told.read_text()
    assert MARK not in read_all(tmp_path)
