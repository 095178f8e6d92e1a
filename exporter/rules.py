"""alerts.yml: what a rule may say, and where the file is wrong."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

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

_ID = re.compile(r"0|[1-9][0-9]*")


class RulesError(ValueError):
    """The file cannot be used; the text is one line: file, line, key, what would be right."""


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
    threshold: Annotated[float, BeforeValidator(_no_switch)] = Field(
        gt=0, allow_inf_nan=False, description="tokens, above 0"
    )
    severity: Literal["info", "warning", "critical"] = "warning"
    action: Literal["notify", "disable_channel"] = "notify"
    notify: Literal["telegram", "none"] = "telegram"
    repeat: Literal["1h", "6h", "24h"] = "1h"
    enabled: bool = True

    @model_validator(mode="after")
    def _agrees(self) -> "Rule":
        named = [scope for scope in SCOPES if getattr(self, scope) is not None]
        if len(named) > 1:
            both = " and ".join(named)
            raise ValueError(f"{named[-1]}: {both}: at most one of them may be named")
        if self.action == "disable_channel" and self.scope != "channel":
            raise ValueError('action: disable_channel needs "channel"')
        for scope in ("channel", "api_key", "user"):
            for target in getattr(self, scope) or ():
                if target != EVERY and not _ID.fullmatch(target):
                    raise ValueError(f'{scope}: expected an id, a list of ids, or "*"')
        if EVERY in self.targets and len(self.targets) > 1:
            raise ValueError(f'{self.scope}: "*" stands alone')
        if "" in self.targets:
            raise ValueError(f"{self.scope}: expected {Rule.model_fields[self.scope].description}")
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


_NO_RULES = 'expected "rules:" and below it a list of rules'
_EXPECTED = {"model_type": "a rule: its keys and values", "tuple_type": "a list of rules"}
"""What should stand where pydantic found something of another type."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rules: tuple[Rule, ...] = ()


def read_rules(text: str, name: str) -> tuple[Rule, ...]:
    """Read the rules of a file's text; `name` is how messages call the file.

    Raises:
        RulesError: the first mistake in it.
    """
    node, content = _parse(name, text)
    if content in (None, {"rules": None}):  # nothing but comments, perhaps below the key
        return ()
    try:
        rules = _File.model_validate(content).rules
    except ValidationError as error:
        raise RulesError(_mistake(name, node, error)) from None
    _refuse_doubles(name, node, rules)
    return rules


def load_rules(path: Path) -> tuple[Rule, ...]:
    """Read a file of rules; a file that does not exist has none.

    Raises:
        RulesError: the file cannot be read, or the first mistake in it.
    """
    return read_rules(read_text(path) or "", str(path))


def read_text(path: Path) -> str | None:
    """Give the text of a file of rules; None where there is no such file.

    Raises:
        RulesError: the file cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise RulesError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice, and tells where a value stands that cannot be read."""

    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                problem = f"{key.value}: the key stands twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError) as error:  # 2026-02-30, !!bool perhaps
            mark = node.start_mark
            raise yaml.constructor.ConstructorError(None, None, str(error), mark) from None


def _parse(name: str, text: str) -> tuple[yaml.Node | None, object]:
    """Read YAML: its nodes, which know their lines, and what they hold."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        return node, None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = mark.line + 1 if mark is not None else 1
        problem = ", ".join(filter(None, (error.context, error.problem)))
    except yaml.reader.ReaderError as error:
        line, problem = text.count("\n", 0, error.position) + 1, error.reason
    except RecursionError:
        line, problem = 1, "it is nested too deeply"
    raise RulesError(f"{name}:{line}: {problem}")


def _refuse_doubles(name: str, node: yaml.Node | None, rules: tuple[Rule, ...]) -> None:
    names: set[str] = set()
    seen: dict[tuple[object, ...], str] = {}
    for index, rule in enumerate(rules):
        if rule.name in names:
            line = _line(node, ("rules", index, "name"))
            raise RulesError(f"{name}:{line}: name: two rules are named {rule.name!r}")
        names.add(rule.name)
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
    if len(path) == 2 and message.partition(": ")[0] in Rule.model_fields:
        key, _, message = message.partition(": ")  # what a rule as a whole was refused for
        path = (*path, key)
    elif first["type"] == "extra_forbidden":
        known = Rule.model_fields if len(path) > 2 else _File.model_fields
        message = f"unknown key; known are {', '.join(known)}"
    elif first["type"] == "missing":
        message = "the key is missing"
    elif first["type"] in _EXPECTED:
        message = f"expected {_EXPECTED[first['type']]}" if path else _NO_RULES
    elif len(path) > 2 and (field := Rule.model_fields.get(str(path[2]))) is not None:
        message = f"expected {field.description}" if field.description else message
    named = [step for step in path if isinstance(step, str)][-1:] if len(path) != 2 else []
    key = "".join(f" {step}:" for step in named)
    return f"{name}:{_line(node, path)}:{key} {message[0].lower()}{message[1:]}"


def _line(node: yaml.Node | None, path: tuple[int | str, ...]) -> int:
    """Give the line, from 1, on which what a path names stands; its nearest parent's if missing."""
    line = node.start_mark.line + 1 if node is not None else 1
    for step in path:
        if isinstance(node, yaml.MappingNode):
            for key, value in reversed(node.value):  # what is merged in by << comes first
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
