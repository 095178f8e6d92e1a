"""The command newapi-demo."""

import importlib
import importlib.util
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from threading import Event, Timer
from types import FrameType
from typing import TypeVar

import click
from sqlalchemy.engine import URL

from demo import incidents, past, schema
from demo.gateway import Gateway, Habits
from demo.gateway import run as run_gateway
from demo.incidents import Incident, Kind
from demo.load import load as load_rows
from demo.load import prepare
from demo.routing import Mode
from demo.world import DAY, Sizes
from newapi.database import Database, DatabaseError
from newapi.dsn import EXPECTED, DsnError, parse_dsn
from newapi.schema import Flavour
from service import log
from service.settings import SettingError, exits_on_setting_error

EXIT_DATABASE = 3

RUN_MODULE = "demo.run"
"""Where the command `run`, the whole supervised demo, is: loaded only when it is asked for."""

R = TypeVar("R")

_FLAVOURS = {"new-api": Flavour.NEW_API, "one-api": Flavour.ONE_API}


class _Commands(click.Group):
    """The commands below, and `run` from its own module."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        found = importlib.util.find_spec(RUN_MODULE)
        return [*super().list_commands(ctx), *(["run"] if found else [])]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "run" and importlib.util.find_spec(RUN_MODULE):
            command = importlib.import_module(RUN_MODULE).command
            return command if isinstance(command, click.Command) else None
        return super().get_command(ctx, cmd_name)


@click.group(cls=_Commands)
@click.version_option(package_name="newapi-monitor")
def main() -> None:
    """Simulate a New API or One API gateway: tables, history, traffic, incidents."""


def _on_database(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command the database as `url`, and exit code 3 where that does not answer."""

    @click.option("--dsn", envvar="SQL_DSN", default="", help="The database (SQL_DSN).")
    @click.option("--sqlite-path", envvar="SQLITE_PATH", default="one-api.db",
                  help="The file, where the DSN is empty or `local` (SQLITE_PATH).")  # fmt: skip
    @exits_on_setting_error
    @wraps(command)
    def run(*, dsn: str, sqlite_path: str, **options: object) -> R:
        log.configure("INFO")
        try:
            return command(url=_url(dsn, sqlite_path), **options)
        except DatabaseError as error:
            click.echo(str(error), err=True)
            sys.exit(EXIT_DATABASE)

    return run


def _with_inventory(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command `seed`, and `sizes` of the inventory that is written where there is none."""

    @click.option("--seed", default=1, show_default=True, help="Of everything made up.")
    @click.option("--channels", default=12, show_default=True, help="Of a new inventory.")
    @click.option("--keys", default=40, show_default=True, help="Of a new inventory.")
    @click.option("--users", default=12, show_default=True, help="Of a new inventory.")
    @click.option("--every-model", is_flag=True, help="Every new channel has all models.")
    @wraps(command)
    def run(*, channels: int, keys: int, users: int, every_model: bool, **options: object) -> R:
        try:
            sizes = Sizes(channels, keys, users, every_model)
        except ValueError as error:
            raise SettingError(f"--channels, --keys, --users: {error}") from None
        return command(sizes=sizes, **options)

    return run


@main.command("schema")
@_on_database
@click.option("--flavour", type=click.Choice(sorted(_FLAVOURS)), default="new-api",
              show_default=True, help="Whose tables.")  # fmt: skip
def create_schema(url: URL, flavour: str) -> None:
    """Create a gateway's tables in an empty database (or a new SQLite file)."""
    schema.create(url, _FLAVOURS[flavour])
    click.echo(f"{_FLAVOURS[flavour].value}: tables created")


@main.command()
@_on_database
@_with_inventory
@click.option("--rows", type=click.IntRange(1), default=100_000, show_default=True)
@click.option("--days", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True,
              help="Until now, over which rows are spread.")  # fmt: skip
@click.option("--rate", type=click.FloatRange(0, min_open=True),
              help="Rows a second, from now on, instead of a history.")  # fmt: skip
@click.option("--writers", type=click.IntRange(1), default=1, show_default=True,
              help="Connections that insert at the same time (SQLite: 1).")  # fmt: skip
@click.option("--batch", type=click.IntRange(1), default=5000, show_default=True,
              help="Rows of a transaction, at most.")  # fmt: skip
@click.option("--linger", type=click.FloatRange(0), default=0.0, show_default=True,
              help="Seconds, at most, that a transaction waits before its end.")  # fmt: skip
def load(  # noqa: PLR0913  (options)
    *,
    url: URL,
    seed: int,
    sizes: Sizes,
    rows: int,
    days: float,
    rate: float | None,
    writers: int,
    batch: int,
    linger: float,
) -> None:
    """Insert rows in bulk: a history, or a steady load."""
    now = time.time()
    try:
        counted = load_rows(
            url,
            rows=rows,
            rate=rate,
            writers=writers,
            seed=seed,
            start=now - days * DAY,
            end=now,
            batch=batch,
            linger=linger,
            sizes=sizes,
        )
    except ValueError as error:
        raise SettingError(f"{url.database}: {error}") from None
    took = time.time() - now
    types = ", ".join(f"type {kind}: {count}" for kind, count in sorted(counted.items()))
    click.echo(f"{rows} rows in {took:.1f} s, {rows / took:.0f} a second ({types})")


@main.command()
@_on_database
@_with_inventory
@click.option("--rate", type=click.FloatRange(0, min_open=True), default=20.0, show_default=True,
              help="Requests a second, on the average of a weekday.")  # fmt: skip
@click.option("--steady", is_flag=True, help="The same rate at every hour.")
@click.option("--mode", type=click.Choice([mode.value for mode in Mode]), default=Mode.CACHE.value,
              show_default=True, help="What it routes by: memory cache on, or off.")  # fmt: skip
@click.option("--sync-frequency", type=click.FloatRange(0, min_open=True), default=60.0,
              show_default=True, help="Seconds between reads with the cache on.")  # fmt: skip
@click.option("--test-interval", type=click.FloatRange(0), default=600.0, show_default=True,
              help="Seconds between tests of all channels; 0 = never.")  # fmt: skip
@click.option("--control", type=click.Path(file_okay=False, path_type=Path),
              help="Folder that incidents are read from.")  # fmt: skip
@click.option("--history", type=click.IntRange(0, 30), default=0, show_default=True,
              help="Days behind a new gateway, where the SQLite file is missing.")  # fmt: skip
@click.option("--incident-after", type=click.FloatRange(0, min_open=True),
              help="Seconds until an API key runs away; needs --control.")  # fmt: skip
def gateway(  # noqa: PLR0913  (options)
    *,
    url: URL,
    seed: int,
    sizes: Sizes,
    rate: float,
    steady: bool,
    mode: str,
    sync_frequency: float,
    test_interval: float,
    control: Path | None,
    history: int,
    incident_after: float | None,
) -> None:
    """Run a gateway with traffic, until SIGTERM or SIGINT."""
    stop = _stop_signal()
    if history:
        _make(url, history)
    now = time.time()
    database = Database(url, statement_timeout=10, writable=True)
    world = prepare(database, seed, now, sizes)
    habits = Habits(rate, Mode(mode), sync_frequency, steady, test_interval, control)
    rng = random.Random(f"gateway {seed} {int(now)}")
    with _incident_after(incident_after, control):
        run_gateway(Gateway(database, world, habits, rng, now), stop, time.time)
    database.close()


@main.command()
@click.argument("kind", type=click.Choice([kind.value for kind in Kind]))
@click.option("--channel", type=int, help="Id of the channel; default: one that has a stand-in.")
@click.option("--key", type=int, help="Id of the runaway API key; default: an admin's.")
@click.option("--for", "seconds", type=click.FloatRange(0, min_open=True),
              help="Seconds until it ends; default: until it is stopped.")  # fmt: skip
@click.option("--tokens-per-minute", type=click.IntRange(1), show_default=True,
              default=incidents.TOKENS_PER_MINUTE, help="Of a runaway key.")  # fmt: skip
@click.option("--control", required=True, type=click.Path(file_okay=False, path_type=Path),
              help="The folder that the gateway was given.")  # fmt: skip
@click.option("--stop", is_flag=True, help="End all incidents of this kind instead.")
@exits_on_setting_error
def incident(
    kind: str,
    channel: int | None,
    key: int | None,
    seconds: float | None,
    tokens_per_minute: int,
    control: Path,
    stop: bool,
) -> None:
    """Let something go wrong in a running gateway."""
    try:
        if stop:
            click.echo(f"{kind}: {incidents.stop(control, Kind(kind))} ended")
            return
        until = None if seconds is None else time.time() + seconds
        incidents.start(control, Incident(Kind(kind), channel, key, until, tokens_per_minute))
    except OSError as error:
        raise SettingError(f"--control={control}: {error.strerror or error}") from None
    click.echo(f"{kind}: begins within a second")


def _url(dsn: str, sqlite_path: str) -> URL:
    try:
        return parse_dsn(dsn, sqlite_path)
    except DsnError as error:
        raise SettingError(
            f"SQL_DSN has a wrong value (not shown; {error}): expected {EXPECTED}"
        ) from None


def _make(url: URL, days: int) -> None:
    """Make the file of a gateway with a past, unless there is one."""
    if url.get_backend_name() != "sqlite" or not url.database:
        raise SettingError("--history: expected a SQLite file, with --sqlite-path")
    file = Path(url.database)
    if not file.exists():
        click.echo(f"{file}: making a gateway with {days} days of history ...")
        past.make(file, days, time.time())


@contextmanager
def _incident_after(seconds: float | None, control: Path | None) -> Iterator[None]:
    """Let an API key run away after a while, unless the block has ended by then."""
    if seconds is None:
        yield
        return
    if control is None:
        raise SettingError("--incident-after: expected --control, a folder, beside it")
    timer = Timer(seconds, incidents.start, (control, Incident(Kind.RUNAWAY_KEY)))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _stop_signal() -> Event:
    """Give an event that SIGTERM and SIGINT set."""
    stop = Event()

    def handle(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    return stop
