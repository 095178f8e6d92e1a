"""Which channel gets a request: by group and model, by priority, then by weight."""

import random
from collections.abc import Iterable
from enum import StrEnum
from itertools import accumulate
from typing import NamedTuple

from sqlalchemy import Connection, text

from demo.chance import pick
from demo.world import ENABLED, World


class Mode(StrEnum):
    """What the gateway routes by.

    Without its memory cache, abilities.enabled at each request (model/ability.go GetChannel);
    with it, a map that is rebuilt every SYNC_FREQUENCY seconds from the channels whose status
    is 1, their groups and models (model/channel_cache.go). Each ignores what the other reads.
    """

    DATABASE = "database"
    CACHE = "cache"


class Candidate(NamedTuple):
    """A channel that may serve a model to a group."""

    group: str
    model: str
    channel_id: int
    priority: int
    weight: int


_Tier = tuple[tuple[int, ...], tuple[int, ...]]


class Routes:
    """The candidates of every group and model, prepared for picking."""

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        sorted_: dict[tuple[str, str], dict[int, list[Candidate]]] = {}
        for candidate in candidates:
            tiers = sorted_.setdefault((candidate.group, candidate.model), {})
            tiers.setdefault(candidate.priority, []).append(candidate)
        self._tiers: dict[tuple[str, str], list[_Tier]] = {
            place: [_tier(tiers[priority]) for priority in sorted(tiers, reverse=True)]
            for place, tiers in sorted_.items()
        }

    def pick(self, rng: random.Random, group: str, model: str, retry: int) -> int | None:
        """Choose a channel as the gateway does, or none.

        The first try goes to the highest priority, each retry to the next lower one, the last
        one again where there is none; within it each channel counts by its weight + 10.
        """
        tiers = self._tiers.get((group, model))
        if not tiers:
            return None
        channels, cumulative = tiers[min(retry, len(tiers) - 1)]
        if len(channels) == 1:
            return channels[0]
        return pick(rng, channels, cumulative)

    def serves(self, group: str, model: str) -> tuple[int, ...]:
        """Give the channels that a model is served to a group by, best first."""
        return tuple(c for channels, _ in self._tiers.get((group, model), []) for c in channels)


def _tier(candidates: list[Candidate]) -> _Tier:
    weights = accumulate(candidate.weight + 10 for candidate in candidates)
    return tuple(candidate.channel_id for candidate in candidates), tuple(weights)


def of_world(world: World, *, everything: bool = False) -> Routes:
    """Route by an inventory, without looking at a database.

    Args:
        world: the inventory.
        everything: as if no channel were disabled.
    """
    return Routes(
        Candidate(group, model, channel.id, channel.priority, channel.weight)
        for channel in world.channels
        if everything or channel.status == ENABLED
        for group in channel.groups
        for model in channel.models
    )


def read(connection: Connection, mode: Mode) -> list[Candidate]:
    """Read what the gateway reads in a mode, in an order that does not change.

    One API has no weights in abilities: there every channel of a priority counts alike.
    """
    quote = connection.dialect.identifier_preparer.quote
    group = quote("group")
    if mode is Mode.DATABASE:
        # SELECT * is all right here: the tables are the gateway's own.
        rows = connection.execute(text("SELECT * FROM abilities")).mappings()
        found = [
            Candidate(
                row["group"], row["model"], row["channel_id"], row["priority"] or 0,
                row.get("weight") or 0,
            )
            for row in rows
            if row["enabled"]
        ]  # fmt: skip
        return sorted(found)
    statement = text(
        f"SELECT id, {group}, models, priority, weight FROM channels WHERE status = :status"  # noqa: S608
    )
    return sorted(
        Candidate(one, model, row[0], row[3] or 0, row[4] or 0)
        for row in connection.execute(statement, {"status": ENABLED})
        for one in (row[1] or "").split(",")
        for model in (row[2] or "").split(",")
        if one and model
    )
