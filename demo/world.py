"""The inventory of the simulated gateway: channels, API keys, users; the same for the same seed."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from demo import catalog
from demo.catalog import QUOTA_PER_USD, Provider
from newapi.schema import Flavour

ENABLED, MANUALLY_DISABLED = 1, 2
"""channels.status and tokens.status alike."""

EXPIRED, EXHAUSTED = 3, 4
"""tokens.status."""

ROOT_ROLE, ADMIN_ROLE, COMMON_ROLE = 100, 10, 1
"""users.role; only an admin's key may be pinned to a channel (New API middleware/auth.go)."""

DAY = 86400


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much there is of what.

    Args:
        channels: upstream accounts.
        keys: API keys.
        users: people, root and one admin among them; at least 2.
        every_model: every channel serves every chat model, as big resellers' do.
    """

    channels: int = 12
    keys: int = 40
    users: int = 12
    every_model: bool = False

    def __post_init__(self) -> None:
        if self.channels < 1 or self.keys < 1 or self.users < 2:
            raise ValueError("a gateway has at least 1 channel, 1 key and 2 users")


@dataclass(frozen=True, slots=True)
class Channel:
    """An upstream account; balance in USD, 0 where the provider tells none."""

    id: int
    type: int
    name: str
    models: tuple[str, ...]
    groups: tuple[str, ...]
    priority: int = 0
    weight: int = 0
    tag: str = ""
    status: int = ENABLED
    base_url: str = ""
    balance: float = 0.0
    multi_key: bool = False


@dataclass(frozen=True, slots=True)
class User:
    """A person; quota is what is left, in quota units."""

    id: int
    username: str
    role: int = COMMON_ROLE
    group: str = "default"
    quota: int = 0


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key (table tokens). expires: unix seconds, -1 = never. group "" = its user's."""

    id: int
    user_id: int
    name: str
    group: str = ""
    status: int = ENABLED
    expires: int = -1
    remaining: int = 0
    unlimited: bool = False


@dataclass(frozen=True)
class World:
    """All of it. Channels, users and keys are in the order of their ids."""

    flavour: Flavour
    channels: tuple[Channel, ...]
    users: tuple[User, ...]
    keys: tuple[ApiKey, ...]

    @cached_property
    def channel(self) -> Mapping[int, Channel]:
        """Channels by id."""
        return {channel.id: channel for channel in self.channels}

    @cached_property
    def user(self) -> Mapping[int, User]:
        """Users by id."""
        return {user.id: user for user in self.users}

    @cached_property
    def key(self) -> Mapping[int, ApiKey]:
        """API keys by id."""
        return {key.id: key for key in self.keys}

    def group_of(self, key: ApiKey) -> str:
        """Give the group that a key's requests are routed and billed in."""
        owner = self.user.get(key.user_id)
        return key.group or (owner.group if owner else "default")


@dataclass(frozen=True, slots=True)
class _Account:
    """What one of the channels is like before ids are given."""

    name: str
    provider: Provider
    groups: tuple[str, ...] = ("default", "vip")
    priority: int = 0
    weight: int = 0
    tag: str = ""
    status: int = ENABLED
    balance: float = 0.0
    multi_key: bool = False


_ACCOUNTS = (
    _Account("OpenAI 官方 主账号", catalog.OPENAI, priority=10, weight=20, tag="official"),
    _Account("OpenAI 备用", catalog.OPENAI, priority=5, tag="official"),
    _Account("Azure 东美2", catalog.AZURE, priority=10, weight=30, tag="cloud"),
    _Account("Anthropic 直连", catalog.ANTHROPIC, priority=10, tag="official", multi_key=True),
    _Account("AWS Bedrock us-west-2", catalog.AWS, priority=10, weight=5, tag="cloud"),
    _Account("Gemini AI Studio", catalog.GEMINI, priority=10, tag="official"),
    _Account("Vertex AI", catalog.VERTEX, ("vip",), priority=20, tag="cloud"),
    _Account("DeepSeek 官方", catalog.DEEPSEEK, priority=10, tag="official", balance=412.37),
    _Account("火山方舟 DeepSeek", catalog.VOLCENGINE, priority=5, tag="cloud"),
    _Account("阿里百炼 Qwen", catalog.ALI, priority=10, tag="cloud"),
    _Account("OpenRouter 聚合", catalog.OPENROUTER, weight=10, tag="备用", balance=96.5),
    _Account(
        "旧中转站(停用)", catalog.GATEWAY, ("default",), status=MANUALLY_DISABLED, balance=3.2
    ),
)

_PEOPLE = ("alice", "李雷", "bob", "韩梅梅", "carol", "王芳", "dave", "zhang.wei", "erin", "刘洋")

_PURPOSES = (
    "prod-backend", "客服机器人", "数据分析", "staging", "知识库检索", "cursor", "翻译服务",
    "n8n-workflows", "test", "内部工具",
)  # fmt: skip

PINNED_KEY = 1
"""The admin's key: the one that may be pinned to a channel (sk-...-<channel id>)."""


def build(flavour: Flavour, seed: int, now: float, sizes: Sizes | None = None) -> World:
    """Make up an inventory.

    Of the keys, the admin's comes first; one is nearly empty, one disabled, one expired, one
    exhausted where there are enough of them.

    Args:
        flavour: decides on the numbers of channel types.
        seed: the same seed, `now` and sizes give the same inventory.
        now: unix seconds, what expiry times are counted from.
        sizes: how much of it.
    """
    sizes = sizes or Sizes()
    rng = random.Random(f"world {seed}")
    users = tuple(_user(number, rng) for number in range(1, sizes.users + 1))
    channels = tuple(_channel(n, flavour, sizes, rng) for n in range(1, sizes.channels + 1))
    keys = tuple(_key(number, users, int(now), rng) for number in range(1, sizes.keys + 1))
    return World(flavour, channels, users, keys)


def _channel(number: int, flavour: Flavour, sizes: Sizes, rng: random.Random) -> Channel:
    account = _ACCOUNTS[(number - 1) % len(_ACCOUNTS)]
    provider, first = account.provider, number <= len(_ACCOUNTS)
    models = provider.models
    if sizes.every_model:
        models = catalog.CHAT_MODELS
    if flavour is Flavour.ONE_API:  # it has no video tasks
        models = tuple(name for name in models if name != "sora-2")
    return Channel(
        id=number,
        type=provider.new_api if flavour is Flavour.NEW_API else provider.one_api,
        name=account.name if first else f"{account.name} {(number - 1) // len(_ACCOUNTS) + 1}",
        models=models,
        groups=account.groups,
        priority=account.priority if first or not sizes.every_model else rng.choice((0, 5, 10)),
        weight=account.weight,
        tag=account.tag,
        status=account.status if first and not sizes.every_model else ENABLED,
        base_url=provider.base_url,
        balance=account.balance,
        multi_key=account.multi_key and flavour is Flavour.NEW_API,
    )


def _user(number: int, rng: random.Random) -> User:
    quota = rng.randrange(200, 5000) * QUOTA_PER_USD
    if number == 1:
        return User(1, "root", ROOT_ROLE, quota=100_000 * QUOTA_PER_USD)
    if number == 2:
        return User(2, "ops", ADMIN_ROLE, "vip", 20_000 * QUOTA_PER_USD)
    round_, place = divmod(number - 3, len(_PEOPLE))
    name = _PEOPLE[place] + (f"{round_ + 1}" if round_ else "")
    return User(number, name, group="vip" if number % 4 == 0 else "default", quota=quota)


def _key(number: int, users: tuple[User, ...], now: int, rng: random.Random) -> ApiKey:
    remaining = rng.randrange(20, 2000) * QUOTA_PER_USD
    if number == PINNED_KEY:
        return ApiKey(number, users[1].id, "batch-runner", unlimited=True)
    name = _PURPOSES[number % len(_PURPOSES)]
    key = ApiKey(
        id=number,
        user_id=users[2 + number % (len(users) - 2)].id if len(users) > 2 else users[1].id,
        name=name if number <= len(_PURPOSES) else f"{name}-{number}",
        group="vip" if number % 9 == 0 else "",
        expires=now + rng.randrange(30, 365) * DAY if number % 7 == 0 else -1,
        remaining=remaining,
        unlimited=number % 5 != 0,
    )
    match number:
        case 5:
            return replace(key, remaining=3 * QUOTA_PER_USD, unlimited=False)
        case 11:
            return replace(key, status=MANUALLY_DISABLED)
        case 17:
            return replace(key, status=EXPIRED, expires=now - 3 * DAY)
        case 23:
            return replace(key, status=EXHAUSTED, remaining=0, unlimited=False)
    return key
