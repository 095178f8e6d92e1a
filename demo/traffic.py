"""What comes in and what becomes of it: callers, requests, retries, usage. Pure, seeded."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate

from demo import catalog, failures
from demo.catalog import Kind, Model
from demo.chance import around, pick
from demo.exchange import Attempt, Caller, Ending, Exchange, Usage
from demo.failures import Failure
from demo.world import COMMON_ROLE, Channel, World

Choose = Callable[[random.Random, str, str, int], int | None]
"""Routing: from a source of randomness, group, model and number of the retry to a channel's id."""

RETRY_TIMES = 3
"""The option RetryTimes of the simulated gateway."""

LONGEST = 600.0
"""Seconds after which a request ends, whatever it does."""

_PLAYGROUND_SHARE = 0.02
_PLAIN_SHARE = 0.9
_PLAIN = Ending("done")
_OTHER_ENDINGS = {
    Ending("eof"): 60,
    Ending("handler_stop"): 22,
    Ending("client_gone", "context canceled"): 7,
    Ending("timeout", "no data for 120s"): 5,
    Ending("scanner_error", "bufio.Scanner: token too long", 1): 2,
    Ending("ping_fail", "write: broken pipe"): 1.5,
    Ending("panic", "runtime error: index out of range [0] with length 0"): 1,
    Ending("done", errors=2): 1.5,
}
_ENDINGS, _ENDING_CUMULATIVE = tuple(_OTHER_ENDINGS), tuple(accumulate(_OTHER_ENDINGS.values()))


@dataclass(frozen=True, slots=True)
class Condition:
    """What is the matter with a channel.

    Args:
        failure_rate: part of attempts that fail; None = as usual for this channel.
        pool: what they fail with.
        slowness: what durations are multiplied by.
    """

    failure_rate: float | None = None
    pool: tuple[Failure, ...] = failures.FAILURES
    slowness: float = 1.0


NORMAL = Condition()
Conditions = Mapping[int, Condition]
"""By channel id; a channel that is not in it is in normal condition."""


class Traffic:
    """The habits of a world's callers and channels, prepared for drawing from.

    The same world and the same state of the source of randomness give the same requests.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._callers = [
            Caller(world.user[key.user_id], key.id, key.name, world.group_of(key))
            for key in world.keys
            if key.user_id in world.user
        ]
        # A few keys make most of the traffic.
        self._caller_cumulative = list(
            accumulate(1 / (rank + 1) ** 0.7 for rank in range(len(self._callers)))
        )
        self._players = [
            Caller(user, 0, f"playground-{user.group}", user.group)
            for user in world.users
            if user.role == COMMON_ROLE
        ] or self._callers
        self._models = _models_by_group(world)
        self._traits = {channel.id: _traits(channel) for channel in world.channels}

    def caller(self, rng: random.Random) -> Caller:
        """Draw who asks next."""
        if rng.random() < _PLAYGROUND_SHARE:
            return rng.choice(self._players)
        return pick(rng, self._callers, self._caller_cumulative)

    def model(self, rng: random.Random, group: str) -> Model | None:
        """Draw what is asked for; None where the group has no models."""
        models, cumulative = self._models.get(group, ((), ()))
        return pick(rng, models, cumulative) if models else None

    def exchange(
        self,
        rng: random.Random,
        caller: Caller,
        model: Model,
        choose: Choose,
        conditions: Conditions,
        *,
        retries: int = RETRY_TIMES,
        prompt: int | None = None,
    ) -> Exchange | None:
        """Draw what becomes of a request.

        Args:
            rng: source of randomness.
            caller: who asks.
            model: for what.
            choose: routing; None from it ends the request.
            conditions: what is the matter with channels.
            retries: how often another channel may be tried.
            prompt: median of prompt tokens, where it is not the model's own; such requests are
                sent whole, uncached and without a stream.

        Returns:
            The request, or None where no channel was available: then nothing is written.
        """
        attempts: list[Attempt] = []
        stream = prompt is None and model.kind is Kind.CHAT and rng.random() < 0.7
        for retry in range(retries + 1):
            channel = self._channel(choose(rng, caller.group, model.name, retry))
            if channel is None:
                break
            condition = conditions.get(channel.id, NORMAL)
            rate, slowness = self._traits[channel.id]
            if condition.failure_rate is not None:
                rate = condition.failure_rate
            elif retry:  # what failed once is likely to fail again
                rate = max(rate, 0.12)
            if rng.random() < rate:
                failure = failures.draw(rng, condition.pool)
                seconds = failure.seconds * rng.uniform(0.6, 1.2) * condition.slowness
                attempts.append(Attempt(channel, min(seconds, LONGEST), failure))
                if not failure.retried:
                    break
                continue
            usage, seconds = _usage(rng, model, stream, prompt, slowness * condition.slowness)
            attempts.append(Attempt(channel, seconds))
            failed_later = model.kind is Kind.TASK and rng.random() < 0.25
            return Exchange(
                caller, model, stream, tuple(attempts), usage, rng.getrandbits(160),
                rng.uniform(20, 300) if failed_later else None,
            )  # fmt: skip
        if not attempts:
            return None
        return Exchange(caller, model, stream, tuple(attempts), None, rng.getrandbits(160))

    def test(self, rng: random.Random, channel: Channel, conditions: Conditions) -> Attempt:
        """Draw how a channel's test goes: one small request without a stream."""
        condition = conditions.get(channel.id, NORMAL)
        rate, slowness = self._traits[channel.id]
        if rng.random() < (rate if condition.failure_rate is None else condition.failure_rate):
            failure = failures.draw(rng, condition.pool)
            return Attempt(channel, failure.seconds * condition.slowness, failure)
        first = catalog.model(channel.models[0]).first_token if channel.models else 1.0
        return Attempt(channel, first * slowness * condition.slowness * rng.uniform(0.7, 1.5))

    def _channel(self, channel_id: int | None) -> Channel | None:
        return None if channel_id is None else self._world.channel.get(channel_id)


def _models_by_group(world: World) -> dict[str, tuple[tuple[Model, ...], tuple[float, ...]]]:
    names: dict[str, dict[str, None]] = {}
    for channel in world.channels:
        for group in channel.groups:
            names.setdefault(group, {}).update(dict.fromkeys(channel.models))
    found = {}
    for group, served in names.items():
        models = tuple(catalog.model(name) for name in served)
        found[group] = models, tuple(accumulate(model.share for model in models))
    return found


def _traits(channel: Channel) -> tuple[float, float]:
    """Give a channel's own failure rate and slowness, which do not change."""
    rng = random.Random(f"channel {channel.id}")
    rate = 0.006 + 0.03 * rng.random() ** 2
    return (rate * 4 if channel.id % 9 == 0 else rate), around(rng, 1, 0.15)


def _usage(
    rng: random.Random, model: Model, stream: bool, prompt: int | None, slowness: float
) -> tuple[Usage, float]:
    """Draw what a successful attempt used, and the seconds that it took."""
    if model.kind is Kind.TASK:
        return Usage(0, 0), rng.uniform(0.3, 0.9)
    first = around(rng, model.first_token * slowness, 0.35)
    if prompt is not None:
        tokens, completion = int(prompt * rng.uniform(0.8, 1.2)), rng.randrange(20, 60)
        return Usage(tokens, completion), min(first + completion / model.speed, LONGEST)
    tokens = 8 + int(around(rng, model.prompt, 0.9))
    completion = int(around(rng, model.completion, 0.8))
    ending = None
    if stream:
        ending = _PLAIN
        if rng.random() > _PLAIN_SHARE:
            ending = pick(rng, _ENDINGS, _ENDING_CUMULATIVE)
        if not ending.ok and not ending.errors:
            completion = int(completion * rng.random())
    elif rng.random() < 0.002:  # the upstream told no usage
        return Usage(0, 0), min(first + 20 * slowness, LONGEST)
    seconds = min(first + completion / model.speed * slowness, LONGEST)
    cached, created = _cache(rng, model, tokens)
    told = stream and rng.random() > 0.01
    return Usage(tokens, completion, cached, created, first if told else None, ending), seconds


def _cache(rng: random.Random, model: Model, prompt: int) -> tuple[int, int]:
    """Draw the prompt tokens read from and written to the upstream's cache."""
    if model.kind is not Kind.CHAT:
        return 0, 0
    chance = rng.random()
    if model.anthropic:  # beside the prompt's own
        return int(prompt * 5 * chance) if chance > 0.5 else 0, prompt if chance > 0.85 else 0
    return int(prompt * chance) // 128 * 128 if chance > 0.6 else 0, 0
