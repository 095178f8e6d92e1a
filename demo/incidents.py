"""Incidents of the running gateway: files in a control folder, which it looks at all the time."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path

from demo import catalog, failures, routing
from demo.catalog import Model
from demo.traffic import Condition
from demo.world import ADMIN_ROLE, Channel, World

TOKENS_PER_MINUTE = 20_000_000
"""What a runaway key uses: some hundred times what a busy key of the demo does."""

BIG_PROMPT = 120_000
"""Median of a runaway key's prompt tokens."""


class Kind(StrEnum):
    """What goes wrong."""

    RUNAWAY_KEY = "runaway-key"
    """An API key, pinned to a channel (sk-...-<channel id>), sends big requests without end."""
    ERROR_BURST = "error-burst"
    """A channel's upstream answers 429 and 5xx nine times out of ten."""
    SLOW = "slow"
    """A channel's upstream takes ten times as long."""
    DEAD = "dead"
    """A channel's upstream refuses connections."""


_CONDITIONS = {
    Kind.ERROR_BURST: Condition(0.9, failures.BURST),
    Kind.SLOW: Condition(slowness=10.0),
    Kind.DEAD: Condition(1.0, failures.DEAD),
}


@dataclass(frozen=True)
class Incident:
    """An incident.

    Args:
        kind: what goes wrong.
        channel: its id; None = target() chooses.
        key: id of the runaway key; None = target() chooses.
        until: unix seconds; None = until it is stopped.
        tokens_per_minute: of a runaway key.
    """

    kind: Kind
    channel: int | None = None
    key: int | None = None
    until: float | None = None
    tokens_per_minute: int = TOKENS_PER_MINUTE

    @property
    def file(self) -> str:
        """The name of its file; the same incident started again replaces it."""
        parts = [self.kind, *(f"{n}" for n in (self.channel, self.key) if n is not None)]
        return "-".join(parts) + ".json"


def start(folder: Path, incident: Incident) -> None:
    """Let an incident begin; the folder is made where it is missing.

    Raises:
        OSError: the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / incident.file
    written = path.with_suffix(".new")
    written.write_text(json.dumps(asdict(incident)), encoding="utf-8")
    os.replace(written, path)  # noqa: PTH105  (one step: the gateway never reads half a file)


def stop(folder: Path, kind: Kind) -> int:
    """End all incidents of a kind; gives how many there were."""
    found = list(folder.glob(f"{kind}*.json"))
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)


def read(folder: Path, now: float) -> list[Incident]:
    """Give the incidents that go on at a moment (unix seconds), in the order of their files.

    Raises:
        ValueError: a file cannot be read as an incident; its text names the file.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            incident = Incident(**fields | {"kind": Kind(fields["kind"])})
        except FileNotFoundError:  # stopped just now
            continue
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{path}: not an incident: {error}") from None
        if incident.until is None or now < incident.until:
            found.append(incident)
    return found


def target(world: World, incident: Incident) -> Incident:
    """Say which channel and key an incident concerns, where it does not say so itself.

    The channel is the first of which every chat model is served by another one as well, so that
    it may be disabled; the key is the first of an admin's, since others may not be pinned. Both
    rest on the inventory alone, so that an incident stays with what it disabled.

    Raises:
        ValueError: the inventory has no such channel, or no such key of an existing user.
    """
    channel = incident.channel if incident.channel is not None else _replaceable(world)
    if channel not in world.channel:
        raise ValueError(f"there is no channel {channel}")
    if incident.kind is not Kind.RUNAWAY_KEY:
        return replace(incident, channel=channel)
    key = incident.key if incident.key is not None else _admins_key(world)
    found = world.key.get(key or 0)
    if found is None or found.user_id not in world.user:
        raise ValueError(f"there is no API key {key}")
    return replace(incident, channel=channel, key=key)


def conditions(incidents: Iterable[Incident]) -> dict[int, Condition]:
    """Give what is the matter with channels; the last incident of a channel counts."""
    return {
        incident.channel: _CONDITIONS[incident.kind]
        for incident in incidents
        if incident.channel is not None and incident.kind in _CONDITIONS
    }


def costliest(channel: Channel) -> Model:
    """Give the chat model of a channel that a runaway key asks for."""
    models = [catalog.model(name) for name in channel.models]
    chat = [model for model in models if model.kind is catalog.Kind.CHAT]
    return max(chat or models, key=lambda model: model.input_usd)


def _replaceable(world: World) -> int | None:
    routes = routing.of_world(world, everything=True)
    for channel in world.channels:
        chat = [name for name in channel.models if catalog.model(name).kind is catalog.Kind.CHAT]
        if chat and all(
            len(routes.serves(group, model)) > 1 for group in channel.groups for model in chat
        ):
            return channel.id
    return world.channels[0].id if world.channels else None


def _admins_key(world: World) -> int | None:
    for key in world.keys:
        owner = world.user.get(key.user_id)
        if owner is not None and owner.role >= ADMIN_ROLE:
            return key.id
    return world.keys[0].id if world.keys else None
