"""Channels, API keys and users that were deleted: they are remembered so that tables add up."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from newapi.inventory import Inventory

Subject = tuple[str, int]
"""A kind (channel, api_key, user) and an id."""

REMEMBERED = 35 * 86400
"""Seconds after the last change for which the name and counters of what was deleted are kept."""

GRAIN = 3600
"""Seconds by which the noted time of the last change may be late, to spare writes."""

PREFIXES = {
    "channel": (
        "newapi_requests_total",
        "newapi_request_errors_total",
        "newapi_tokens_total",
        "newapi_cached_tokens_total",
        "newapi_quota_total",
        "newapi_quota_refunded_total",
        "newapi_broken_streams_total",
        "newapi_request_duration_seconds",
        "newapi_time_to_first_token_seconds",
    ),
    "api_key": ("newapi_api_key_",),
    "user": ("newapi_user_",),
}
"""The metrics whose first label is the id of such a thing, by the beginning of their names."""


@dataclass(frozen=True)
class Entity:
    """What is known of a channel, an API key or a user."""

    info: Mapping[str, str] | None
    """The labels of its _info metric; None where it was never seen but in the log table."""
    changed_at: float
    """Unix seconds of its last use, up to GRAIN late."""
    gone_at: float | None = None
    """Unix seconds at which it was found deleted; None while it exists."""


def present(inventory: Inventory) -> dict[Subject, dict[str, str]]:
    """Give the labels of the _info metric of everything that exists."""
    found: dict[Subject, dict[str, str]] = {}
    for channel in inventory.channels:
        found["channel", channel.id] = {
            "name": channel.name,
            "provider": channel.provider,
            "group": channel.group,
            "tag": channel.tag,
        }
    for key in inventory.api_keys:
        found["api_key", key.id] = {
            "name": key.name,
            "user_id": str(key.user_id),
            "username": key.username,
            "group": key.group,
        }
    for user in inventory.users:
        found["user", user.id] = {"name": user.name, "group": user.group}
    return found


def used(
    known: Mapping[Subject, Entity], subjects: Iterable[Subject], now: float
) -> dict[Subject, Entity]:
    """Note that these were used; gives what changes."""
    changed: dict[Subject, Entity] = {}
    for subject in subjects:
        entity = known.get(subject, Entity(None, 0.0))
        if now - entity.changed_at >= GRAIN:
            changed[subject] = replace(entity, changed_at=now)
    return changed


def compare(
    known: Mapping[Subject, Entity], existing: Mapping[Subject, Mapping[str, str]], now: float
) -> dict[Subject, Entity | None]:
    """Hold what is known to what exists now; gives what changes, None for what is forgotten."""
    changed: dict[Subject, Entity | None] = {}
    for subject, info in existing.items():
        entity = known.get(subject)
        if entity is None or entity.info != info or entity.gone_at is not None:
            changed[subject] = Entity(info, entity.changed_at if entity is not None else now)
    for subject, entity in known.items():
        if subject in existing:
            continue
        if entity.gone_at is None:
            changed[subject] = replace(entity, gone_at=now)
        elif now - max(entity.gone_at, entity.changed_at) > REMEMBERED:
            changed[subject] = None
    return changed


def concerns(metric: str, labels: tuple[int | str, ...], gone: Collection[Subject]) -> bool:
    """Tell whether a series belongs to one of these, of which there may be thousands: a set."""
    return bool(labels) and any(
        metric.startswith(prefixes) and (kind, labels[0]) in gone
        for kind, prefixes in PREFIXES.items()
    )
