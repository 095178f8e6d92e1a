"""A stretch of the log table: rows of everything that goes on, in the order of time. Pure."""

import heapq
import random
from collections.abc import Callable, Iterator
from itertools import islice

from demo import routing
from demo.log import Entry
from demo.traffic import Traffic
from demo.unasked import ASIDE_SHARE, TOPUP_SHARE, Unasked, format_of
from demo.world import ENABLED, World

TEST_SHARE = 0.005
"""Part of all rows that are channel tests."""

_IDLE = 1000
"""Moments in a row at which nothing can happen, after which nothing ever will."""


def stretch(
    world: World, rng: random.Random, rows: int, moment: Callable[[float], float]
) -> Iterator[Entry]:
    """Make exactly so many rows.

    Args:
        world: whose; only channels and keys that are enabled in it take part.
        rng: source of randomness.
        rows: how many.
        moment: gives the unix seconds by which so many rows (0 to rows) are written; it never
            goes down. What a request writes after its first row falls where its duration puts
            it, or at the end of the stretch.

    Raises:
        ValueError: nothing can come of this world: no enabled channel, or no key.
    """
    return islice(_happenings(world, rng, rows, moment), rows)


def _happenings(
    world: World, rng: random.Random, rows: int, moment: Callable[[float], float]
) -> Iterator[Entry]:
    make = _maker(world, rng)
    later: list[tuple[float, int, Entry]] = []
    planned = idle = 0
    while planned < rows:
        at = moment(min(rows, planned + rng.random()))
        while later and later[0][0] <= at:
            yield heapq.heappop(later)[2]
        entries = make(at)
        if not entries:
            idle += 1
            if idle == _IDLE:
                raise ValueError("no channel is enabled for what the keys ask for")
            continue
        idle = 0
        yield entries[0]
        for number, entry in enumerate(entries[1:]):
            heapq.heappush(later, (entry.at, planned + number, entry))
        planned += len(entries)
    end = moment(rows)
    while later:
        yield _until(heapq.heappop(later)[2], end)


def _until(entry: Entry, end: float) -> Entry:
    """Move a row that would be written after the end to the end."""
    if entry.at <= end:
        return entry
    charge = entry.charge._replace(at=int(end)) if entry.charge is not None else None
    return Entry(end, entry.type, entry.row._replace(created_at=int(end)), charge)


def _maker(world: World, rng: random.Random) -> Callable[[float], list[Entry]]:
    """Give what makes something happen, so that its first row is written at a moment."""
    traffic = Traffic(world)
    unasked = Unasked(world, traffic)
    routes = routing.of_world(world)
    log_format = format_of(world.flavour)
    channels = [channel for channel in world.channels if channel.status == ENABLED]
    refused = {key.id for key in world.keys if key.status != ENABLED}
    if not channels or len(refused) == len(world.keys):
        raise ValueError("no channel is enabled, or no key")

    def make(at: float) -> list[Entry]:
        lot = rng.random()
        if lot < TEST_SHARE:
            return unasked.test(rng, rng.choice(channels), at, {})[1]
        if lot < TEST_SHARE + TOPUP_SHARE + ASIDE_SHARE:
            return [unasked.aside(rng, rng.choice(channels), at)]
        caller = traffic.caller(rng)
        model = traffic.model(rng, caller.group)
        if model is None or caller.key_id in refused:
            return []
        exchange = traffic.exchange(rng, caller, model, routes.pick, {})
        if exchange is None:
            return []
        return log_format.exchange(exchange, at - exchange.attempts[0].seconds)

    return make
