"""Models and providers of the simulated gateway: prices, pace, channel types."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

QUOTA_PER_USD = 500_000
"""Quota units to the US dollar, the default of the option QuotaPerUnit (both gateways)."""

CNY_PER_USD = 7.3
"""The default of the option USDExchangeRate (New API)."""

GROUP_RATIOS: Mapping[str, float] = MappingProxyType({"default": 1.0, "vip": 0.8})
"""What a group pays of the list price; a group that is not named pays all of it."""


class Kind(StrEnum):
    """How a model is used and billed."""

    CHAT = "chat"
    IMAGE = "image"
    TASK = "task"


@dataclass(frozen=True, slots=True)
class Model:
    """A model, its list price and its pace.

    Args:
        name: as requests ask for it.
        input_usd: price of a million prompt tokens.
        output_usd: price of a million completion tokens.
        cache_ratio: price of a cached prompt token, as a part of input_usd.
        prompt: median of prompt tokens.
        completion: median of completion tokens.
        first_token: median seconds until a stream's first token.
        speed: completion tokens a second.
        share: how often it is asked for, relative to the others.
        kind: chat is billed by token; image and task by call, at call_usd.
        call_usd: price of one call.
    """

    name: str
    input_usd: float
    output_usd: float
    cache_ratio: float
    prompt: int
    completion: int
    first_token: float
    speed: float
    share: float
    kind: Kind = Kind.CHAT
    call_usd: float = 0.0

    model_ratio: float = field(init=False)
    """The gateway's price of a prompt token: 1 is 2 USD a million tokens."""
    completion_ratio: float = field(init=False)
    """The price of a completion token as a multiple of a prompt token's."""
    anthropic: bool = field(init=False)
    """Whether usage is counted Anthropic's way: cached tokens stand beside the prompt's."""

    def __post_init__(self) -> None:
        computed = {
            "model_ratio": self.input_usd * QUOTA_PER_USD / 1_000_000,
            "completion_ratio": round(self.output_usd / self.input_usd, 6),
            "anthropic": self.name.startswith("claude-"),
        }
        for name, value in computed.items():
            object.__setattr__(self, name, value)


MODELS = (
    Model("gpt-4o", 2.5, 10, 0.5, 1800, 320, 0.7, 85, 16),
    Model("gpt-4o-mini", 0.15, 0.6, 0.5, 1200, 260, 0.5, 110, 24),
    Model("gpt-5", 1.25, 10, 0.1, 3200, 900, 5.5, 90, 9),
    Model("claude-sonnet-4-5-20250929", 3, 15, 0.1, 6500, 520, 1.4, 65, 14),
    Model("claude-haiku-4-5-20251001", 1, 5, 0.1, 2600, 330, 0.8, 130, 7),
    Model("gemini-2.5-pro", 1.25, 10, 0.25, 4200, 780, 6.5, 100, 6),
    Model("gemini-2.5-flash", 0.3, 2.5, 0.25, 2100, 380, 0.9, 190, 9),
    Model("deepseek-chat", 0.28, 0.42, 0.1, 1900, 420, 1.1, 42, 9),
    Model("deepseek-reasoner", 0.28, 0.42, 0.1, 1500, 1500, 1.6, 40, 4),
    Model("qwen-max", 1.6, 6.4, 0.4, 1400, 350, 1.0, 50, 2.5),
    Model("dall-e-3", 2, 2, 1, 60, 0, 14, 1, 0.4, Kind.IMAGE, 0.04),
    Model("sora-2", 2, 2, 1, 0, 0, 1, 1, 0.4, Kind.TASK, 0.8),
)
"""List prices of late 2025, rounded; what matters is that they differ."""

_BY_NAME = MappingProxyType({model.name: model for model in MODELS})


def model(name: str) -> Model:
    """Give a model by name; one that is not in MODELS has ordinary prices and pace."""
    return _BY_NAME.get(name) or Model(name, 1, 4, 0.5, 1500, 300, 1.0, 60, 2)


CHAT_MODELS = tuple(m.name for m in MODELS if m.kind is Kind.CHAT)


@dataclass(frozen=True, slots=True)
class Provider:
    """A kind of upstream account.

    The numbers are channels.type of New API (constant/channel.go) and of One API
    (relay/channeltype/define.go), which differ.
    """

    new_api: int
    one_api: int
    base_url: str
    models: tuple[str, ...]
    mapped: bool = False
    """Whether requests go upstream under another model name (a deployment)."""


_GPT = ("gpt-4o", "gpt-4o-mini", "gpt-5")
_CLAUDE = ("claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001")
_GEMINI = ("gemini-2.5-pro", "gemini-2.5-flash")
_DEEPSEEK = ("deepseek-chat", "deepseek-reasoner")

OPENAI = Provider(1, 1, "", (*_GPT, "dall-e-3", "sora-2"))
AZURE = Provider(3, 3, "https://demo-eastus2.openai.azure.example", _GPT, mapped=True)
ANTHROPIC = Provider(14, 14, "", _CLAUDE)
AWS = Provider(33, 33, "", _CLAUDE, mapped=True)
GEMINI = Provider(24, 24, "", _GEMINI)
VERTEX = Provider(41, 42, "", _GEMINI)
DEEPSEEK = Provider(43, 36, "", _DEEPSEEK)
VOLCENGINE = Provider(45, 40, "https://ark.cn-beijing.volces.example", _DEEPSEEK, mapped=True)
ALI = Provider(17, 17, "", ("qwen-max",))
OPENROUTER = Provider(20, 20, "", CHAT_MODELS, mapped=True)
GATEWAY = Provider(60, 50, "https://relay.example", CHAT_MODELS)
"""Another gateway of the same kind, as resellers use."""
