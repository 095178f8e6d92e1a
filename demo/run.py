"""The command newapi-demo run: everything at once on this machine, until Ctrl-C."""

import contextlib
import importlib
import os
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

import click

from demo import past
from demo.narrator import Story
from demo.telling import Language
from deploy.render import render
from deploy.settings import RenderSettings
from service.binaries import MissingBinaryError, find
from service.settings import SettingError, exits_on_setting_error
from service.settings import load as load_settings

PORTS = {
    "exporter": 9847,
    "breaker": 9848,
    "prometheus": 9090,
    "alertmanager": 9093,
    "telegram": 9849,
    "grafana": 3001,
}
"""Where each part listens, if nobody else does."""

CHAT_ID = -1001234567890
SYNC_FREQUENCY = 5
"""Seconds after which the gateway's memory cache follows; a real one's default is 60."""

NARRATOR = "narrator"


class _Line(Protocol):
    """A line of output as the supervisor hands it on."""

    name: str
    data: bytes | str


class _Logs:
    """Writes what each part says to a file of its own; what the narrator says is for people."""

    width = 0

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, line: _Line) -> None:
        """Take a line."""
        text = line.data if isinstance(line.data, str) else line.data.decode(errors="replace")
        if line.name == NARRATOR:
            sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
            sys.stdout.flush()
            return
        with (self._folder / f"{line.name}.log").open("a", encoding="utf-8") as file:
            file.write(text if text.endswith("\n") else f"{text}\n")


@click.command("run")
@click.option("--lang", type=click.Choice(["en", "zh"]), default="en", envvar="MONITOR_LANG",
              show_default=True, help="Language of messages (MONITOR_LANG).")  # fmt: skip
@click.option("--incident-after", type=click.FloatRange(0), default=20.0, show_default=True,
              help="Seconds until an API key runs away.")  # fmt: skip
@click.option("--history", type=click.IntRange(1, 30), default=30, show_default=True,
              help="Days that lie behind the gateway.")  # fmt: skip
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path),
              help="Where to keep everything; default: a temporary folder.")  # fmt: skip
@exits_on_setting_error
def command(lang: Language, incident_after: float, history: int, folder: Path | None) -> None:
    """Run a simulated gateway with everything that watches it, until Ctrl-C."""
    _supervisor()  # before anything is made
    try:
        binaries = {name: find(name) for name in ("prometheus", "alertmanager")}
        find("promtool")
        with contextlib.suppress(MissingBinaryError):
            binaries["grafana"] = find("grafana")
    except MissingBinaryError as error:
        raise SettingError(str(error)) from None
    place = (folder or Path(tempfile.mkdtemp(prefix="newapi-demo-"))).absolute()
    place.mkdir(parents=True, exist_ok=True)
    try:
        sys.exit(_run(place, binaries, lang, incident_after, history))
    finally:
        if folder is None:
            shutil.rmtree(place, ignore_errors=True)
        click.echo("demo: everything has ended" + (f"; kept in {place}" if folder else ""))


def _supervisor() -> Any:
    """Give honcho's manager of processes, which only this command needs.

    Raises:
        SettingError: it is not installed.
    """
    try:
        return importlib.import_module("honcho.manager").Manager
    except ImportError:
        raise SettingError(
            "newapi-demo run needs the Python package honcho: pip install 'newapi-monitor[demo]'"
        ) from None


def _run(
    place: Path, binaries: Mapping[str, Path], lang: Language, incident_after: float, history: int
) -> int:
    logs = place / "logs"
    logs.mkdir(exist_ok=True)
    with contextlib.ExitStack() as ports:
        urls = {name: f"http://127.0.0.1:{_reserve(ports, port)}" for name, port in PORTS.items()}
        environment = _environment(place, urls, lang) | {"BACKFILL_DAYS": str(history)}
        os.environ.update(environment)
        _prepare(place, history)
        if not _backfill(place, history, logs / "backfill.log"):
            click.echo(f"demo: there is no history; see {_last_words(logs)}", err=True)
            return 1
    render(load_settings(RenderSettings), place / "config")
    story = Story(
        urls={name: url for name, url in urls.items() if name != "grafana" or name in binaries},
        folder=place,
        incident_after=incident_after,
        lang=lang,
    )
    (place / "story.json").write_text(story.model_dump_json(), encoding="utf-8")
    manager = _supervisor()(_Logs(logs))
    for name, arguments in _commands(place, binaries, urls).items():
        manager.add_process(name, f"exec {shlex.join(arguments)}", cwd=str(place))
    manager.loop()
    if manager.returncode not in {130, 143}:  # SIGINT, SIGTERM
        click.echo(f"demo: a part ended by itself; see {_last_words(logs)}", err=True)
        return 1
    return 0


def _prepare(place: Path, days: int) -> None:
    """Make a gateway with so many days of traffic behind it, unless the folder has one."""
    database = place / "one-api.db"
    (place / "alerts.yml").write_bytes(files("demo").joinpath("alerts.yml").read_bytes())
    if not database.exists():
        click.echo(f"demo: making a gateway with {days} days of history ...")
        past.make(database, days, time.time())


def _backfill(place: Path, days: int, log: Path) -> bool:
    """Give Prometheus the history, unless it had it before; tells whether it has it now."""
    program = Path(sys.executable).parent / "newapi-exporter"
    started = time.monotonic()
    with log.open("a", encoding="utf-8") as output:
        done = subprocess.run(
            [program, "backfill", "--unless-begun", "--out", place / "prometheus"],
            stderr=output,
            cwd=place,
            check=False,
        )
    if done.returncode == 0:
        took = time.monotonic() - started
        click.echo(f"demo: {days} days of history are in Prometheus, after {took:.0f} s")
    return done.returncode == 0


def _environment(place: Path, urls: Mapping[str, str], lang: str) -> dict[str, str]:
    """Give the settings of all parts: what a user's .env would say."""
    return {
        "SQL_DSN": f"sqlite:///{place}/one-api.db",
        "ALERTS_FILE": str(place / "alerts.yml"),
        "EXPORTER_LISTEN": urls["exporter"].removeprefix("http://"),
        "EXPORTER_STATE": str(place / "state" / "exporter"),
        "EXPORTER_URL": urls["exporter"],
        "BREAKER_LISTEN": urls["breaker"].removeprefix("http://"),
        "BREAKER_STATE": str(place / "state" / "breaker"),
        "BREAKER_URL": urls["breaker"],
        "BREAKER_TOKEN": secrets.token_urlsafe(24),
        "BREAKER_MODE": "enforce",
        "PROMETHEUS_URL": urls["prometheus"],
        "ALERTMANAGER_URL": urls["alertmanager"],
        "GRAFANA_URL": urls["grafana"],
        "TELEGRAM_BOT_TOKEN": f"1000001:{secrets.token_urlsafe(24)}",
        "TELEGRAM_CHAT_ID": str(CHAT_ID),
        "TELEGRAM_API_URL": urls["telegram"],
        "MONITOR_LANG": lang,
    }


def _commands(
    place: Path, binaries: Mapping[str, Path], urls: Mapping[str, str]
) -> dict[str, list[str]]:
    """Give the command of each part."""
    own = Path(sys.executable).parent
    config = place / "config"
    prometheus = [
        str(binaries["prometheus"]),
        f"--config.file={config}/prometheus/prometheus.yml",
        f"--storage.tsdb.path={place}/prometheus",
        "--storage.tsdb.retention.time=35d",
        f"--web.listen-address={urls['prometheus'].removeprefix('http://')}",
        "--log.level=warn",
    ]
    alertmanager = [
        str(binaries["alertmanager"]),
        f"--config.file={config}/alertmanager/alertmanager.yml",
        f"--storage.path={place}/alertmanager",
        f"--web.listen-address={urls['alertmanager'].removeprefix('http://')}",
        f"--web.external-url={urls['alertmanager']}",
        "--cluster.listen-address=",
        "--data.maintenance-interval=1m",
        "--log.level=warn",
    ]
    commands = {
        "gateway": [
            str(own / "newapi-demo"), "gateway", "--sync-frequency", str(SYNC_FREQUENCY),
            "--control", str(place / "control"),
        ],
        "exporter": [str(own / "newapi-exporter")],
        "breaker": [str(own / "newapi-breaker")],
        "prometheus": prometheus,
        "alertmanager": alertmanager,
        "telegram": [sys.executable, "-m", "demo.telegram", urls["telegram"]],
        NARRATOR: [sys.executable, "-m", "demo.narrator", str(place / "story.json")],
    }  # fmt: skip
    if "grafana" in binaries:
        commands["grafana"] = _grafana(place, binaries["grafana"], urls["grafana"])
    return commands


def _grafana(place: Path, binary: Path, url: str) -> list[str]:
    home = binary.resolve().parent.parent
    settings = {
        "GF_PATHS_DATA": f"{place}/grafana",
        "GF_PATHS_LOGS": f"{place}/grafana/logs",
        "GF_PATHS_PROVISIONING": f"{place}/config/grafana/provisioning",
        "GF_SERVER_HTTP_ADDR": "127.0.0.1",
        "GF_SERVER_HTTP_PORT": url.rpartition(":")[2],
        "GF_AUTH_ANONYMOUS_ENABLED": "true",
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
    }
    pairs = [f"{name}={value}" for name, value in settings.items()]
    return ["env", *pairs, str(binary), "server", "--homepath", str(home)]


def _reserve(ports: contextlib.ExitStack, preferred: int) -> int:
    """Give this port of 127.0.0.1 if it is free, else any that is, and keep it from others."""
    for port in (preferred, 0):
        probe = ports.enter_context(socket.socket())
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise SettingError("no port of 127.0.0.1 is free")


def _last_words(logs: Path) -> str:
    """Give the last line of each part's log, for the one that failed is among them."""
    lines = []
    for log in sorted(logs.glob("*.log")):
        text = log.read_text(encoding="utf-8", errors="replace").splitlines()
        lines.append(f"\n  {log.stem}: {text[-1] if text else ''}")
    return "".join(lines)
