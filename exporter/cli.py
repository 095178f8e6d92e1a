"""The command newapi-exporter."""

import json
import sys
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import click

from exporter.backfill import command
from exporter.check import Check
from exporter.rules.describe import described
from exporter.rules.edit import switch
from exporter.rules.file import RuleFile, RulesError, load_rules
from exporter.rules.schema import schema
from exporter.rules.token_monitor import ImportFailedError, import_rules
from exporter.serve import Exporter
from exporter.settings import ExporterSettings
from exporter.state import StateError
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
    """Check settings, rules and databases, and tell how near to firing each rule is.

    Exit code 0: all good, 1: bad rules, 2: bad setting, 3: no database.
    """
    settings = load(ExporterSettings, alerts_file=alerts_file)
    found = _rules(settings.alerts_file)
    timeout = settings.db_statement_timeout
    database = logs = Database(settings.gateway(), statement_timeout=timeout)
    if settings.log_database() != settings.gateway():
        logs = Database(settings.log_database(), statement_timeout=timeout)
    zone = found.zone(settings.tz)
    try:
        with logs.connect() as connection:
            flavour = inspect(connection).flavour
        click.echo(f"{logs.name}: {flavour.value}")
        if database is not logs:
            with database.connect() as connection:
                inspect(connection).require("channels", "id", "status")
            click.echo(f"{database.name}: channels, API keys, options")
        exists = settings.alerts_file.exists()
        count = f"{len(found.rules)} rules" if exists else "there is no such file, so no rules"
        click.echo(f"{settings.alerts_file}: {count}; days and hours in {zone.key}")
        for line in Check(database, logs, zone, time.time).report(found.rules, _progress()):
            click.echo(line)
    except DatabaseError as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_DATABASE)
    except StateError as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_RULES)


@main.group()
def rules() -> None:
    """Show the alert rules, and switch them on and off."""


_ALERTS_FILE = click.option("--alerts-file", help="File of alert rules (ALERTS_FILE).")


@rules.command("list")
@_ALERTS_FILE
@exits_on_setting_error
def list_rules(alerts_file: str | None) -> None:
    """List the rules of the file. Exit code 1: it has a mistake."""
    found = _rules(load(ExporterSettings, alerts_file=alerts_file).alerts_file).rules
    width = max((len(rule.name) for rule in found), default=0)
    for rule in found:
        state = "on " if rule.enabled else "off"
        click.echo(f"{state}  {rule.name:<{width}}  {described(rule)}")


@rules.command()
@click.argument("name")
@_ALERTS_FILE
@exits_on_setting_error
def enable(name: str, alerts_file: str | None) -> None:
    """Switch a rule on, by its name. Exit code 1: there is none such, or the file is wrong."""
    _switch(alerts_file, name, enabled=True)


@rules.command()
@click.argument("name")
@_ALERTS_FILE
@exits_on_setting_error
def disable(name: str, alerts_file: str | None) -> None:
    """Switch a rule off, by its name. Exit code 1: there is none such, or the file is wrong."""
    _switch(alerts_file, name, enabled=False)


@rules.command("schema")
def print_schema() -> None:
    """Print the JSON Schema of the file, for editors."""
    click.echo(json.dumps(schema(), indent=2, ensure_ascii=False))


@rules.command("example")
@click.option("--lang", type=click.Choice(["en", "zh"]), default="en", envvar="MONITOR_LANG",
              show_default=True, help="Language of names and comments (MONITOR_LANG).")  # fmt: skip
def print_example(lang: str) -> None:
    """Print an alerts.yml to begin with: one rule of each type."""
    example = files("exporter.rules").joinpath(f"example.{lang}.yml")
    click.echo(example.read_text(encoding="utf-8"), nl=False)


@main.command()
@click.argument("database", type=click.Path(dir_okay=False, path_type=Path))
@exits_on_setting_error
def import_token_monitor(database: Path) -> None:
    """Print the rules of a token-monitor database (monitor.db) as an alerts.yml.

    What has no counterpart is left in it as a comment. Exit code 1: it cannot be read.
    """
    settings = load(ExporterSettings)
    try:
        click.echo(import_rules(database, settings.tz), nl=False)
    except ImportFailedError as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_RULES)


@main.command()
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path),
              help="Prometheus's data folder.")  # fmt: skip
@click.option("--days", "backfill_days", help="Days of history (BACKFILL_DAYS).")
@click.option("--state", "exporter_state", help="Folder of the state (EXPORTER_STATE).")
@click.option("--log-level", help="DEBUG, INFO, WARNING or ERROR (LOG_LEVEL).")
@click.option("--unless-begun", is_flag=True,
              help="End well where counting has begun or no days are wanted.")  # fmt: skip
@exits_on_setting_error
def backfill(out: Path, *, unless_begun: bool, **flags: str | None) -> None:
    """Give Prometheus the past of the log table, before the exporter first runs.

    Can be interrupted and started again. Exit code 1: no block could be made, 2: bad setting, or
    counting has begun, 3: no database.
    """
    settings = load(ExporterSettings, **flags)
    log.configure(settings.log_level)
    command.run(settings, out, unless_begun=unless_begun)


def _rules(path: Path) -> RuleFile:
    try:
        return load_rules(path)
    except RulesError as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_RULES)


def _switch(alerts_file: str | None, name: str, *, enabled: bool) -> None:
    path = load(ExporterSettings, alerts_file=alerts_file).alerts_file
    try:
        changed = switch(path, name, enabled=enabled)
    except RulesError as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_RULES)
    state = "on" if enabled else "off"
    click.echo(f"{name}: {state}" if changed else f"{name}: it was {state} already")


def _progress() -> Callable[[float], None]:
    """Tell a person at a terminal how far the log table is read."""

    def tell(part: float) -> None:
        if sys.stderr.isatty():
            click.echo(f"\rreading the log table: {part:.0%} ", nl=part >= 1, err=True)

    return tell
