"""What a rule may say, and which of its keys go with which type."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from exporter.rules.hours import ALWAYS, Active
from exporter.rules.period import TODAY, Name, Range, kind

SCOPES = ("channel", "model", "api_key", "user")

GATEWAY = "gateway"
"""The scope, and the one target, of a rule that names none of the others."""

EVERY = "*"

_ID = re.compile(r"0|[1-9][0-9]*")
_DURATION = re.compile(r"(?=.)(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_SECONDS = (86400, 3600, 60, 1)


@dataclass(frozen=True)
class Kind:
    """What a type of rule looks at and takes."""

    scopes: tuple[str, ...]
    keys: tuple[str, ...]
    """Keys that not every type has."""
    threshold: str
    """The unit of its threshold, as messages say it."""

    @property
    def expected(self) -> str:
        """What its threshold should be."""
        return f"a number above 0: {self.threshold}"


_ALL = (*SCOPES, GATEWAY)
_HEALTH = ("channel", "model", GATEWAY)
_MONEY = "US dollars, or yuan with `currency: CNY`"

KINDS = {
    "token_usage": Kind(_ALL, ("period", "threshold", "projected"), "tokens"),
    "cost": Kind(_ALL, ("period", "threshold", "currency", "projected"), _MONEY),
    "error_rate": Kind(_HEALTH, ("period", "threshold", "count", "min_requests"), "percent"),
    "latency": Kind(_HEALTH, ("period", "threshold", "statistic", "min_requests"), "seconds"),
    "channel_down": Kind(("channel",), ("include_manual",), ""),
    "quota_low": Kind(("api_key", "user", "channel"), ("threshold", "currency"), _MONEY),
    "request_spike": Kind(_ALL, ("period", "threshold", "min_requests"), "percent of growth"),
}

SPECIAL = tuple(dict.fromkeys(key for kind_ in KINDS.values() for key in kind_.keys))
"""Keys that go with some types only."""

ACTS_ON = {"disable_channel": "channel", "disable_api_key": "api_key"}
"""The scope that each action needs."""


def _targets(value: object) -> object:
    """Read an id or name, a list of them, or "*" as a tuple of texts."""
    values = value if isinstance(value, list) else [value]
    if not values or any(isinstance(v, bool) or not isinstance(v, int | str) for v in values):
        raise ValueError("neither an id or name nor a list of them")
    return tuple(sorted({str(v) for v in values}))


def _no_switch(value: object) -> object:
    """Refuse `yes`, which would count as 1."""
    if isinstance(value, bool):
        raise ValueError("not a number")  # noqa: TRY004  (pydantic reports ValueError alone)
    return value


def _duration(value: object) -> int:
    """Read 90s, 30m, 1h30m or 2d as seconds."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    seconds = (
        sum(int(n or 0) * s for n, s in zip(match.groups(), _SECONDS, strict=True)) if match else 0
    )
    if not 0 < seconds <= 366 * 86400:
        raise ValueError("not a duration")
    return seconds


Targets = Annotated[tuple[str, ...] | None, BeforeValidator(_targets)]
Number = Annotated[float, BeforeValidator(_no_switch)]
Duration = Annotated[int | None, BeforeValidator(_duration)]
Period = Annotated[
    Annotated[Name, Tag("<name>")] | Annotated[Range, Tag("<range>")], Discriminator(kind)
]


class Rule(BaseModel):
    """One alert rule."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=100, description="a text of 1 to 100 characters")
    type: Literal[
        "token_usage", "cost", "error_rate", "latency", "channel_down", "quota_low",
        "request_spike",
    ]  # fmt: skip
    channel: Targets = Field(None, description='a channel id, a list of ids, or "*"')
    model: Targets = Field(None, description='the name of a model, a list, or "*"')
    api_key: Targets = Field(None, description='the id of an API key, a list, or "*"')
    user: Targets = Field(None, description='a user id, a list, or "*"')
    period: Period = Field(
        "1h",
        description="5m, 15m, 30m, 1h, 6h, 12h, 24h, 48h, 72h, 7d, 30d, today,"
        " or {from: 2026-09-01, to: 2026-09-30}",
    )
    threshold: Number | None = Field(None, gt=0, allow_inf_nan=False, description="above 0")
    currency: Literal["USD", "CNY"] = Field("USD", description="USD or CNY")
    statistic: Literal["mean", "p50", "p90", "p95", "p99"] = Field(
        "mean", description="mean, p50, p90, p95 or p99"
    )
    count: Literal["upstream", "all"] = Field(
        "upstream", description="upstream (without the clients' own mistakes) or all"
    )
    projected: bool = Field(default=False, description="true or false")
    include_manual: bool = Field(default=False, description="true or false")
    min_requests: Annotated[int, BeforeValidator(_no_switch)] = Field(
        20, ge=1, description="a whole number, 1 or more"
    )
    active: Active | None = Field(
        None, description='{days: mon-fri, hours: "09:00-18:00"}, or one of the two'
    )
    severity: Literal["info", "warning", "critical"] = Field(
        "warning", description="info, warning or critical"
    )
    action: Literal["notify", "disable_channel", "disable_api_key"] = Field(
        "notify", description="notify, disable_channel or disable_api_key"
    )
    release_after: Duration = Field(None, description="a duration, as 30m, 2h or 1d")
    override_for: Duration = Field(None, description="a duration, as 30m, 2h or 1d")
    notify: Literal["telegram", "none"] = Field("telegram", description="telegram or none")
    repeat: Literal["1h", "6h", "24h"] = Field("1h", description="1h, 6h or 24h")
    enabled: bool = Field(default=True, description="true or false")

    @model_validator(mode="after")
    def _agrees(self) -> "Rule":
        for problem in (self._scope_problem(), self._key_problem(), self._action_problem()):
            if problem:
                raise ValueError(problem)
        return self

    @cached_property
    def scope(self) -> str:
        """What the rule looks at: channel, model, api_key, user or gateway."""
        return next((s for s in SCOPES if getattr(self, s) is not None), GATEWAY)

    @cached_property
    def targets(self) -> tuple[str, ...]:
        """The ids or names it looks at; ("*",) for each one by itself."""
        found: tuple[str, ...] | None = getattr(self, self.scope, None)
        return found or (GATEWAY,)

    @cached_property
    def each(self) -> bool:
        """Whether it looks at each one by itself."""
        return self.targets == (EVERY,)

    @property
    def has_window(self) -> bool:
        """Whether it looks at what was used in a period."""
        return "period" in KINDS[self.type].keys

    @property
    def minutes(self) -> int:
        """The minutes of a week in which it counts, as hours.py has them."""
        return ALWAYS if self.active is None else self.active.minutes()

    def _scope_problem(self) -> str:
        named = [scope for scope in SCOPES if getattr(self, scope) is not None]
        if len(named) > 1:
            return f"{named[-1]}: {' and '.join(named)}: at most one of them may be named"
        for scope in named:
            if problem := self._target_problem(scope):
                return problem
        scopes = KINDS[self.type].scopes
        if self.scope not in scopes:
            right = ", ".join(scope for scope in scopes if scope != GATEWAY)
            if self.scope == GATEWAY:
                return f"{scopes[0]}: the key is missing; {self.type} needs one of: {right}"
            or_none = " or, with none of them, the whole gateway" if GATEWAY in scopes else ""
            return f"{self.scope}: does not go with {self.type}, which looks at {right}{or_none}"
        return ""

    def _target_problem(self, scope: str) -> str:
        targets = getattr(self, scope)
        if scope != "model" and any(t != EVERY and not _ID.fullmatch(t) for t in targets):
            return f'{scope}: expected an id, a list of ids, or "*"'
        if EVERY in targets and len(targets) > 1:
            return f'{scope}: "*" stands alone'
        if "" in targets:
            return f"{scope}: expected {Rule.model_fields[scope].description}"
        return ""

    def _key_problem(self) -> str:
        keys = KINDS[self.type].keys
        for key in SPECIAL:
            if key in self.model_fields_set and key not in keys:
                right = ", ".join(name for name, other in KINDS.items() if key in other.keys)
                return f"{key}: does not go with {self.type}, but with {right}"
        if "threshold" in keys:
            if self.threshold is None:
                missing = "" if "threshold" in self.model_fields_set else "the key is missing; "
                return f"threshold: {missing}expected {KINDS[self.type].expected}"
            if self.type == "error_rate" and self.threshold > 100:
                return "threshold: expected a number above 0, at most 100: percent"
        open_end = isinstance(self.period, Range) and self.period.end is None
        if self.projected and (open_end or (self.period != TODAY and isinstance(self.period, str))):
            return "projected: needs a period that ends: today, or from and to"
        if self.type == "request_spike" and open_end:
            return "period: request_spike compares with the period before: `to` is missing"
        return ""

    def _action_problem(self) -> str:
        needed = ACTS_ON.get(self.action)
        if needed is not None and self.scope != needed:
            return f'action: {self.action} needs "{needed}"'
        for key in ("release_after", "override_for"):
            if needed is None and getattr(self, key) is not None:
                return f"{key}: goes with action {' or '.join(ACTS_ON)}"
        return ""
