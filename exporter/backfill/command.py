"""The command newapi-exporter backfill, from its settings to its last line."""

import logging
import signal
import sys
import time
from contextlib import closing
from pathlib import Path
from types import FrameType

import click

from exporter.backfill import boundary, progress
from exporter.backfill.blocks import BlockError, Workshop
from exporter.backfill.display import Display, utc
from exporter.backfill.grid import Grid
from exporter.backfill.progress import Progress
from exporter.backfill.writer import Writer
from exporter.settings import ExporterSettings
from exporter.state import State, StateError, StateInUseError
from newapi.database import Database, DatabaseError
from newapi.logs import LogTable
from newapi.schema import inspect
from service.binaries import MissingBinaryError, find
from service.settings import SettingError

log = logging.getLogger(__name__)

EXIT_FAILED, EXIT_DATABASE = 1, 3


def run(settings: ExporterSettings, out: Path, *, unless_begun: bool = False) -> None:
    """Read the past into Prometheus's data folder; exits with another code than 0 if it fails.

    Args:
        settings: the exporter's.
        out: the folder.
        unless_begun: whether it is no mistake that counting has begun, or no days are wanted.

    Raises:
        SettingError: a setting is wrong, or the time for it is over.
    """
    try:
        promtool = find("promtool")
        state = State(settings.exporter_state)
    except MissingBinaryError as error:
        raise SettingError(str(error)) from None
    except StateInUseError as error:
        if unless_begun:
            log.info("nothing to do: %s", error)
            return
        raise SettingError(f"EXPORTER_STATE: {error}") from None
    except StateError as error:
        raise SettingError(f"EXPORTER_STATE: {error}") from None
    if unless_begun and (reason := _needless(settings, state)):
        state.close()
        log.info("nothing to do: %s", reason)
        return
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    timeout = settings.db_statement_timeout
    database = Database(settings.log_database(), statement_timeout=timeout)
    try:
        with closing(state), closing(database):
            begun = _begin(settings, state, database, out.resolve())
            _write(settings, state, database, begun, promtool)
    except DatabaseError as error:
        _fail(EXIT_DATABASE, f"log table: {error}")
    except (BlockError, StateError) as error:
        _fail(EXIT_FAILED, str(error))
    except OSError as error:
        _fail(EXIT_FAILED, f"{error.filename or out}: {error.strerror or error}")


def _needless(settings: ExporterSettings, state: State) -> str:
    """Say why there is no past to read, nothing where there is."""
    if state.noted("counting_since"):
        return f"EXPORTER_STATE={settings.exporter_state}: counting has begun"
    if not settings.backfill_days and progress.load(state) is None:
        return "BACKFILL_DAYS=0"
    return ""


def _begin(settings: ExporterSettings, state: State, database: Database, out: Path) -> Progress:
    """Give the backfill that was interrupted, or begin one."""
    if state.noted("counting_since"):
        raise SettingError(
            f"EXPORTER_STATE={settings.exporter_state}: counting has begun, and history must come"
            " before it. To begin again, stop exporter and Prometheus, remove this folder and"
            f" {out}, and run this command before the exporter"
        )
    if found := progress.load(state):
        if found.out != out:
            raise SettingError(
                f"--out={out}: a backfill into {found.out} was interrupted: expected the same"
                f" folder, or remove {settings.exporter_state} and the blocks there"
            )
        log.info("going on with the backfill of %s", utc(found.grid.moment))
        return found
    if not settings.backfill_days:
        raise SettingError("BACKFILL_DAYS=0: expected days of history, 1 or more (or --days)")
    with database.connect() as connection:
        table = LogTable(inspect(connection))
        end = boundary.find(connection, table, time.time)
    grid = Grid.over(settings.backfill_days, end.moment)
    begun = Progress(grid, out, settings.scraped_as())
    progress.begin(state, begun, end)
    log.info(
        "history from %s on into %s, as instance %s; live counting will begin after log row %d",
        utc(grid.start), out, begun.instance, end.position.last_id,
    )  # fmt: skip
    return begun


def _write(
    settings: ExporterSettings, state: State, database: Database, begun: Progress, promtool: Path
) -> None:
    started = time.monotonic()
    workshop = Workshop(begun.out, promtool)
    with Display(begun) as display:
        writer = Writer(
            database, state, begun, workshop, settings.max_series_per_metric, display.report
        )
        done = writer.run()
    log.info(
        "history is complete: %d rows, %d samples in %d blocks, in %.0f s; now start the exporter",
        done.rows, done.samples, done.blocks, time.monotonic() - started,
    )  # fmt: skip


def _stop(number: int, _frame: FrameType | None) -> None:
    click.echo("\ninterrupted: the same command goes on from here", err=True)
    sys.exit(128 + number)


def _fail(code: int, message: str) -> None:
    click.echo(f"{message}; the same command goes on from here", err=True)
    sys.exit(code)
