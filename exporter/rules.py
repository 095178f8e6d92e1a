"""alerts.yml: what a rule may say, and where the file is wrong."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

PERIODS = {
    "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "6h": 21600, "12h": 43200, "24h": 86400,
    "48h": 172800, "72h": 259200, "7d": 604800, "30d": 2592000,
}  # fmt: skip
"""Seconds of each period that a rule may name."""

SCOPES = ("channel", "model", "api_key", "user")

EVERY = "*"


class RulesError(ValueError):
    """The file cannot be used; the text is one line: file, line, key, what would be right."""


def _targets(value: object) -> object:
    """Read an id or name, a list of them, or "*" as a tuple of texts."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | str):
        return (str(value),)
    if isinstance(value, list) and value and all(isinstance(v, int | str) for v in value):
        return tuple(sorted({str(v) for v in value}))
    return value


Targets = Annotated[tuple[str, ...] | None, BeforeValidator(_targets)]


class Rule(BaseModel):
    """One alert rule."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=100, description="a text, unique")
    type: Literal["token_usage"]
    channel: Targets = Field(None, description='a channel id, a list of ids, or "*"')
    model: Targets = Field(None, description='the name of a model, a list, or "*"')
    api_key: Targets = Field(None, description='the id of an API key, a list, or "*"')
    user: Targets = Field(None, description='a user id, a list, or "*"')
    period: Literal["5m", "15m", "30m", "1h", "6h", "12h", "24h", "48h", "72h", "7d", "30d"] = "1h"
    threshold: float = Field(gt=0, allow_inf_nan=False, description="tokens, above 0")
    severity: Literal["info", "warning", "critical"] = "warning"
    action: Literal["notify", "disable_channel"] = "notify"
    notify: Literal["telegram", "none"] = "telegram"
    repeat: Literal["1h", "6h", "24h"] = "1h"
    enabled: bool = True

    @model_validator(mode="after")
    def _agrees(self) -> "Rule":
        named = [scope for scope in SCOPES if getattr(self, scope) is not None]
        if len(named) > 1:
            raise ValueError(f"{' and '.join(named)}: at most one of them may be named")
        if self.action == "disable_channel" and self.scope != "channel":
            raise ValueError('action: disable_channel needs "channel"')
        for scope in ("channel", "api_key", "user"):
            for target in getattr(self, scope) or ():
                if target != EVERY and not target.isdecimal():
                    raise ValueError(f'{scope}: expected an id, a list of ids, or "*"')
        if EVERY in self.targets and len(self.targets) > 1:
            raise ValueError('"*" stands alone')
        return self

    @property
    def scope(self) -> str:
        """What the rule looks at: channel, model, api_key, user or gateway."""
        return next((s for s in SCOPES if getattr(self, s) is not None), "gateway")

    @property
    def targets(self) -> tuple[str, ...]:
        """The ids or names it looks at; ("*",) for each one by itself."""
        found: tuple[str, ...] | None = getattr(self, self.scope, None)
        return found or ("gateway",)

    @property
    def each(self) -> bool:
        """Whether it looks at each one by itself."""
        return self.targets == (EVERY,)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rules: tuple[Rule, ...] = ()


def read_rules(text: str, name: str) -> tuple[Rule, ...]:
    """Read the rules of a file's text; `name` is how messages call the file.

    Raises:
        RulesError: the first mistake in it.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        problem = getattr(error, "problem", None) or "this is not YAML"
        raise RulesError(f"{name}:{line}: {problem}") from None
    try:
        rules = _File.model_validate({} if content is None else content).rules
    except ValidationError as error:
        raise RulesError(_mistake(name, node, error)) from None
    _refuse_doubles(name, node, rules)
    return rules


def load_rules(path: Path) -> tuple[Rule, ...]:
    """Read a file of rules; a file that does not exist has none.

    Raises:
        RulesError: the file cannot be read, or the first mistake in it.
    """
    try:
        return read_rules(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise RulesError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def _refuse_doubles(name: str, node: yaml.Node | None, rules: tuple[Rule, ...]) -> None:
    same_name = [n for n, count in Counter(r.name for r in rules).items() if count > 1]
    if same_name:
        index = [r.name for r in rules].index(same_name[0], 1)
        raise RulesError(
            f"{name}:{_line(node, ('rules', index))}: two rules are named {same_name[0]!r}"
        )
    seen: dict[tuple[object, ...], str] = {}
    for index, rule in enumerate(rules):
        for target in rule.targets:
            key = (rule.type, rule.scope, target, rule.period, rule.severity)
            if key in seen:
                raise RulesError(
                    f"{name}:{_line(node, ('rules', index))}: rule {rule.name!r} says the same as"
                    f" {seen[key]!r}: type, {rule.scope}, period and severity are equal"
                )
            seen[key] = rule.name


def _mistake(name: str, node: yaml.Node | None, error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    path = first["loc"]
    message = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        known = Rule.model_fields if len(path) > 2 else _File.model_fields
        message = f"unknown key; known are {', '.join(known)}"
    elif first["type"] == "missing":
        message = "the key is missing"
    elif path and isinstance(path[-1], str) and path[-1] in Rule.model_fields:
        expected = Rule.model_fields[path[-1]].description
        message = f"expected {expected}" if expected else message[0].lower() + message[1:]
    key = f" {path[-1]}:" if path and isinstance(path[-1], str) else ""
    return f"{name}:{_line(node, path)}:{key} {message}"


def _line(node: yaml.Node | None, path: tuple[int | str, ...]) -> int:
    """Give the line, from 1, on which what a path names stands; its nearest parent's if missing."""
    line = node.start_mark.line + 1 if node is not None else 1
    for step in path:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == step:
                    node, line = value, key.start_mark.line + 1
                    break
            else:
                return line
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            node = node.value[step]
            line = node.start_mark.line + 1
        else:
            return line
    return line
