"""The command newapi-exporter."""

import sys
from pathlib import Path

import click

from exporter.backfill import command
from exporter.rules.file import RulesError, load_rules
from exporter.serve import Exporter
from exporter.settings import ExporterSettings
from newapi.database import Database, DatabaseError
from newapi.schema import inspect
from service import log
from service.settings import exits_on_setting_error, load

EXIT_RULES = 1
EXIT_DATABASE = 3


@click.group(invoke_without_command=True)
@click.version_option(package_name="newapi-monitor")
@click.pass_context
def main(context: click.Context) -> None:
    """Turn the database of New API or One API into Prometheus metrics."""
    if context.invoked_subcommand is None:
        context.invoke(serve)


@main.command()
@click.option("--listen", "exporter_listen", help="Address to listen on (EXPORTER_LISTEN).")
@click.option("--state", "exporter_state", help="Folder of the state (EXPORTER_STATE).")
@click.option("--alerts-file", help="File of alert rules (ALERTS_FILE).")
@click.option("--poll-interval", help="Seconds between reads (POLL_INTERVAL).")
@click.option("--log-level", help="DEBUG, INFO, WARNING or ERROR (LOG_LEVEL).")
@exits_on_setting_error
def serve(**flags: str | None) -> None:
    """Serve metrics until stopped (the default)."""
    settings = load(ExporterSettings, **flags)
    log.configure(settings.log_level)
    Exporter(settings).run()


@main.command()
@click.option("--alerts-file", help="File of alert rules (ALERTS_FILE).")
@exits_on_setting_error
def check(alerts_file: str | None) -> None:
    """Check settings, rules and database.

    Exit code 0: all good, 1: bad rules, 2: bad setting, 3: no database.
    """
    settings = load(ExporterSettings, alerts_file=alerts_file)
    rules = _rules(settings.alerts_file)
    database = Database(settings.log_database(), statement_timeout=settings.db_statement_timeout)
    try:
        with database.connect() as connection:
            flavour = inspect(connection).flavour
    except DatabaseError as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_DATABASE)
    click.echo(f"{database.name}: {flavour.value}")
    click.echo(f"{settings.alerts_file}: {rules} rules")


@main.command()
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path),
              help="Prometheus's data folder.")  # fmt: skip
@click.option("--days", "backfill_days", help="Days of history (BACKFILL_DAYS).")
@click.option("--state", "exporter_state", help="Folder of the state (EXPORTER_STATE).")
@click.option("--log-level", help="DEBUG, INFO, WARNING or ERROR (LOG_LEVEL).")
@exits_on_setting_error
def backfill(out: Path, **flags: str | None) -> None:
    """Give Prometheus the past of the log table, before the exporter first runs.

    Can be interrupted and started again. Exit code 1: no block could be made, 2: bad setting, or
    counting has begun, 3: no database.
    """
    settings = load(ExporterSettings, **flags)
    log.configure(settings.log_level)
    command.run(settings, out)


def _rules(path: Path) -> int:
    try:
        return len(load_rules(path).rules)
    except RulesError as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_RULES)
