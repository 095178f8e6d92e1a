"""The command newapi-monitor."""

import sys
from importlib.resources import files
from pathlib import Path

import click

from deploy.render import render as render_files
from deploy.settings import RenderSettings
from service.settings import EXIT_SETTING, exits_on_setting_error, load


@click.group()
@click.version_option(package_name="newapi-monitor")
def main() -> None:
    """Put New API Monitor into service."""


@main.command()
@click.argument("database", type=click.Choice(["mysql", "postgresql"]))
@click.option("--remove", is_flag=True, help="What takes it back instead.")
def grants(database: str, *, remove: bool) -> None:
    """Print the SQL that gives the three accounts their rights; mysql is MariaDB too."""
    name = f"{database}-remove.sql" if remove else f"{database}.sql"
    click.echo(files("deploy").joinpath("grants", name).read_text(encoding="utf-8"), nl=False)


@main.command()
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder."
)
@click.option("--prune", is_flag=True, help="Remove other files in the servers' folders there.")
@exits_on_setting_error
def render(out: Path, *, prune: bool) -> None:
    """Write the configuration of Prometheus, Alertmanager and Grafana from the environment."""
    settings = load(RenderSettings)
    try:
        written = render_files(settings, out, prune=prune)
    except OSError as error:
        click.echo(f"--out {out}: {error.strerror or error}", err=True)
        sys.exit(EXIT_SETTING)
    for path in written:
        click.echo(str(path))
    if settings.telegram_bot_token is None:
        click.echo("no TELEGRAM_BOT_TOKEN: alerts are recorded, but no message is sent", err=True)
