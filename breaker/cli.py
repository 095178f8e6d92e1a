"""The command newapi-breaker."""

import click
from prometheus_client import disable_created_metrics

from breaker.decision import Result
from breaker.history import as_json, as_text
from breaker.record import Record
from breaker.serve import Breaker
from breaker.settings import BreakerSettings, RecordSettings
from breaker.store import RecordError, Store
from service import log
from service.settings import SettingError, exits_on_setting_error, load


@click.group(invoke_without_command=True)
@click.version_option(package_name="newapi-monitor")
@click.pass_context
def main(context: click.Context) -> None:
    """Disable channels of New API or One API when alert rules ask for it."""
    if context.invoked_subcommand is None:
        context.invoke(serve)


@main.command()
@click.option("--listen", "breaker_listen", help="Address to listen on (BREAKER_LISTEN).")
@click.option("--state", "breaker_state", help="Folder of the record (BREAKER_STATE).")
@click.option("--mode", "breaker_mode", help="enforce, dry-run or off (BREAKER_MODE).")
@click.option("--log-level", help="DEBUG, INFO, WARNING or ERROR (LOG_LEVEL).")
@exits_on_setting_error
def serve(**flags: str | None) -> None:
    """Wait for Alertmanager's webhooks until stopped (the default)."""
    settings = load(BreakerSettings, **flags)
    log.configure(settings.log_level)
    disable_created_metrics()  # type: ignore[no-untyped-call]  # series that nobody reads
    Breaker(settings).run()


@main.command()
@click.option("--state", "breaker_state", help="Folder of the record (BREAKER_STATE).")
@click.option("--rule", help="Only of this rule.")
@click.option("--target", help="Only of this target, as a channel's id.")
@click.option(
    "--result",
    type=click.Choice([result.value for result in Result]),
    help="Only what came to this.",
)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="How many.")
@click.option("--json", "json_wanted", is_flag=True, help="As JSON.")
@exits_on_setting_error
def history(
    breaker_state: str | None,
    rule: str | None,
    target: str | None,
    result: str | None,
    limit: int,
    json_wanted: bool,
) -> None:
    """Show what arrived and what it came to, the newest first."""
    settings = load(RecordSettings, breaker_state=breaker_state)
    try:
        store = Store(settings.breaker_state, writable=False)
        try:
            found = Record(store).notifications(limit, rule=rule, target=target, result=result)
        finally:
            store.close()
    except RecordError as error:
        raise SettingError(f"BREAKER_STATE: {error}") from None
    click.echo(as_json(found) if json_wanted else as_text(found))
