"""A request on its way through the gateway: who asked for what, the attempts, what came back."""

from dataclasses import dataclass
from typing import NamedTuple

from demo import catalog
from demo.catalog import QUOTA_PER_USD, Kind, Model
from demo.failures import Failure
from demo.world import Channel, User

CACHE_CREATION_RATIO = 1.25
"""Price of writing a prompt token into Anthropic's cache, as a part of a prompt token's."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: an API key of a user, or (key_id 0) that user in the playground."""

    user: User
    key_id: int
    key_name: str
    group: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a channel, and how many seconds it took; failure is None where it succeeded."""

    channel: Channel
    seconds: float
    failure: Failure | None = None


class Ending(NamedTuple):
    """How a stream ended (New API relay/common/stream_status.go, since v0.11.9).

    The gateway calls it an error where the reason is not a normal one, or errors were counted.
    """

    reason: str
    error: str = ""
    errors: int = 0

    @property
    def ok(self) -> bool:
        """Whether the gateway writes status "ok"."""
        return self.reason in {"done", "eof", "handler_stop"} and not self.errors


@dataclass(frozen=True, slots=True)
class Usage:
    """What a successful attempt used.

    Args:
        prompt: tokens; Anthropic's do not include those read from or written to the cache.
        completion: tokens.
        cached: prompt tokens served from cache.
        created: prompt tokens written to the cache (Anthropic).
        first_token: seconds until the first one, from the start of the attempt; None where the
            gateway does not tell.
        ending: of a stream.
    """

    prompt: int
    completion: int
    cached: int = 0
    created: int = 0
    first_token: float | None = None
    ending: Ending | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request with its attempts; usage is None where none of them succeeded.

    Args:
        caller: who asked.
        model: for what.
        stream: whether the answer was asked for as a stream.
        attempts: at least one, in their order.
        usage: of the last attempt.
        salt: 160 random bits, what ids of the request are made of.
        refunded_after: seconds until a task turned out to have failed; None where it did not.
    """

    caller: Caller
    model: Model
    stream: bool
    attempts: tuple[Attempt, ...]
    usage: Usage | None
    salt: int
    refunded_after: float | None = None


class Charge(NamedTuple):
    """What a log row means for the balances that the gateway keeps: quota units, unix seconds.

    A refund has negative quota; a top-up has neither key nor channel and is `credit` alone.
    """

    user_id: int
    key_id: int
    channel_id: int
    quota: int
    at: int
    requests: int = 1
    credit: int = 0


def group_ratio(group: str) -> float:
    """Give what a group pays of the list price."""
    return catalog.GROUP_RATIOS.get(group, 1.0)


def quota(model: Model, group: str, usage: Usage) -> int:
    """Compute the charge as New API does (service/text_quota.go), in quota units.

    Cached tokens are taken out of the prompt's and billed at their own ratio, except where usage
    comes Anthropic's way, which counts them apart. What is not free costs at least 1; a request
    without any tokens costs nothing.
    """
    ratio = group_ratio(group)
    if model.kind is not Kind.CHAT:
        return int(model.call_usd * QUOTA_PER_USD * ratio)
    if not (usage.prompt or usage.completion):
        return 0
    fresh = usage.prompt if model.anthropic else usage.prompt - usage.cached
    tokens = (
        fresh
        + usage.cached * model.cache_ratio
        + usage.created * CACHE_CREATION_RATIO
        + usage.completion * model.completion_ratio
    )
    return max(1, round(tokens * model.model_ratio * ratio))
