"""The command newapi-breaker."""

import sys
import time
from collections.abc import Sequence

import click
from prometheus_client import disable_created_metrics

from breaker.decision import ACTIONS, Release, Result, Trip
from breaker.history import as_json, as_text, read_since
from breaker.notice import read_cause, trial
from breaker.parts import Parts
from breaker.record import Record
from breaker.serve import Breaker
from breaker.settings import (
    AlertmanagerSettings,
    BreakerSettings,
    GatewaySettings,
    RecordSettings,
)
from breaker.store import RecordError, Store, require
from breaker.switchboard import default_switches
from breaker.trial import TrialError, send
from newapi.database import DatabaseError
from newapi.switch import Kind, NotVerifiedError
from service import log
from service.settings import SettingError, exits_on_setting_error, load

WAIT = 20.0
"""Seconds that test-notification waits for a message to leave Alertmanager."""


@click.group(invoke_without_command=True)
@click.version_option(package_name="newapi-monitor")
@click.pass_context
def main(context: click.Context) -> None:
    """Disable channels and API keys of New API or One API when alert rules ask for it."""
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
@click.option("--action", type=click.Choice(["notify", *ACTIONS]), help="Only with this action.")
@click.option("--trip", "trip_id", help="Only of this trip.")
@click.option("--since", help="Only what was heard of since, as 24h, 7d or 2027-01-15.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="How many.")
@click.option("--json", "json_wanted", is_flag=True, help="As JSON.")
@exits_on_setting_error
def history(
    breaker_state: str | None,
    limit: int,
    since: str | None,
    *,
    json_wanted: bool,
    **filters: str | None,
) -> None:
    """Show what arrived, what it came to, and each step of its trip, the newest first."""
    settings = load(RecordSettings, breaker_state=breaker_state)
    try:
        moment = read_since(since, time.time()) if since else None
    except ValueError:
        raise SettingError(f"--since={since}: expected a time as 24h, 7d or 2027-01-15") from None
    try:
        store = Store(settings.breaker_state, writable=False)
        try:
            record = Record(store)
            found = record.notifications(limit, since=moment, **filters)
            trips = sorted({n.trip_id for n in found if n.trip_id is not None})
            events = record.incidents.events(trips)
        finally:
            store.close()
    except RecordError as error:
        raise SettingError(f"BREAKER_STATE: {error}") from None
    click.echo(as_json(found, events) if json_wanted else as_text(found, events))


@main.command()
@click.option("--state", "breaker_state", help="Folder of the record (BREAKER_STATE).")
@click.option("--channel", type=click.IntRange(1), help="The id of a channel.")
@click.option("--api-key", type=click.IntRange(1), help="The id of an API key.")
@click.option("--trip", "trip_id", help="The id of a trip, as messages and history show it.")
@click.option("--all", "everything", is_flag=True, help="Everything that is held.")
@exits_on_setting_error
def release(
    breaker_state: str | None,
    channel: int | None,
    api_key: int | None,
    trip_id: str | None,
    *,
    everything: bool,
) -> None:
    """Enable again what the breaker disabled; its rule leaves it alone until the alert has ended.

    It works in every mode, also while the service is stopped.
    """
    wanted = {(Kind.CHANNEL, channel), (Kind.API_KEY, api_key)}
    if not everything and (channel, api_key, trip_id) == (None, None, None):
        raise SettingError("expected --channel, --api-key, --trip or --all")
    settings = load(GatewaySettings, breaker_state=breaker_state)
    try:
        require(settings.breaker_state)
        with Parts(settings, default_switches(), time.time) as parts:
            held = parts.record.incidents.holding()
            chosen = [t for t in held if everything or t.target in wanted or t.id == trip_id]
            if not chosen:
                raise SettingError(_nothing(held))
            results = [_release(parts, trip) for trip in chosen]
    except RecordError as error:
        raise SettingError(f"BREAKER_STATE: {error}") from None
    if not all(results):
        sys.exit(1)


@main.command("test-notification")
@exits_on_setting_error
def test_notification() -> None:
    """Send a message through Alertmanager, and see whether it leaves it."""
    settings = load(AlertmanagerSettings)
    if settings.alertmanager_url is None:
        expected = AlertmanagerSettings.model_fields["alertmanager_url"].description
        raise SettingError(f"ALERTMANAGER_URL is not set: expected {expected}")
    try:
        way = send(str(settings.alertmanager_url), trial(settings.monitor_lang), WAIT)
    except TrialError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    click.echo(f"delivered by {way}")


def _release(parts: Parts, trip: Trip) -> bool:
    kind, number = trip.target
    what = f"{kind.replace('_', ' ')} {number}" + (f" ({trip.name})" if trip.name else "")
    try:
        how = parts.releases.release(trip, Release.COMMAND)
    except (DatabaseError, NotVerifiedError) as error:
        click.echo(f"{what}: not enabled yet, the service will go on with it: {error}", err=True)
        return False
    texts = {
        Release.GONE: "it was deleted in the gateway",
        Release.TAKEN_OVER: "somebody else disabled it meanwhile: it stays off",
    }
    seconds = read_cause(trip).override_for
    until = f"for {seconds} s" if seconds is not None else "until its alert has ended"
    default = f"enabled; rule {trip.rule!r} leaves it alone {until}"
    click.echo(f"{what}: {texts.get(how, default)}")
    return True


def _nothing(held: Sequence[Trip]) -> str:
    names = [f"{t.target.kind} {t.target.number} (trip {t.id})" for t in held]
    return f"that is not held; held: {', '.join(names) or 'nothing'}"
