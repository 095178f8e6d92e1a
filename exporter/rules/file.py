"""Reads a file of rules, and says where it is wrong: file, line, key, what would be right."""

import re
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from exporter.rules.hours import Active
from exporter.rules.period import Range
from exporter.rules.rule import KINDS, Rule
from service.settings import Zone


class RulesError(ValueError):
    """The file cannot be used; the text is one line: file, line, key, what would be right."""


class RuleFile(BaseModel):
    """What a file of rules holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    timezone: Zone | None = Field(None, description="the name of a time zone, as Asia/Shanghai")
    """Of natural days, ranges and active hours; None: that of the settings."""
    rules: tuple[Rule, ...] = Field((), description="a list of rules")

    def zone(self, default: ZoneInfo) -> ZoneInfo:
        """Give the time zone of its days and hours."""
        return self.timezone or default


NO_RULES = RuleFile(timezone=None, rules=())

_NO_RULES = 'expected "rules:" and below it a list of rules'
_EXPECTED = {"model_type": "a rule: its keys and values", "tuple_type": "a list of rules"}
"""What should stand where pydantic found something of another type."""


class _Parsed(NamedTuple):
    """A file as YAML has it: nodes, which know their lines, and what they hold."""

    name: str
    node: yaml.Node | None
    content: Any


def read_rules(text: str, name: str) -> RuleFile:
    """Read the rules of a file's text; `name` is how messages call the file.

    Raises:
        RulesError: the first mistake in it.
    """
    parsed = _Parsed(name, *_parse(name, text))
    content = parsed.content
    if isinstance(content, dict) and content.get("rules", ()) is None:
        content = {**content, "rules": ()}  # nothing but comments below the key
    try:
        found = RuleFile.model_validate({} if content is None else content)
    except ValidationError as error:
        raise RulesError(_mistake(parsed, error)) from None
    _refuse_doubles(parsed, found.rules)
    return found


def load_rules(path: Path) -> RuleFile:
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
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
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
            problem = f"{node.value:.40}: {error}" if isinstance(node.value, str) else str(error)
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None

    def construct_number(self, node: yaml.ScalarNode) -> float:
        """Read a number as people do: in YAML 1.1, 010 is 8 and 1:30 is 90."""
        if _NO_DECIMAL.search(node.value):
            raise ValueError("expected a number as 10 or 0.5; or a text in quotes")
        whole = str(node.tag).endswith(":int")
        return self.construct_yaml_int(node) if whole else self.construct_yaml_float(node)


_NO_DECIMAL = re.compile(r"^[-+]?0[0-7_]+$|:")
for _tag in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _Loader.construct_number)


def compose(text: str) -> yaml.Node | None:
    """Give the nodes of a file's text, which was read before."""
    return _Loader(text).get_single_node()


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


def _refuse_doubles(parsed: _Parsed, rules: tuple[Rule, ...]) -> None:
    names: set[str] = set()
    seen: dict[tuple[object, ...], list[Rule]] = {}
    for index, rule in enumerate(rules):
        if rule.name in names:
            line = _line(parsed.node, ("rules", index, "name"))
            raise RulesError(f"{parsed.name}:{line}: name: two rules are named {rule.name!r}")
        names.add(rule.name)
        for target in rule.targets:
            # A mean and a quantile, or a pace and what was used, are not the same statement.
            said = (rule.statistic, rule.count, rule.projected)
            key = (rule.type, rule.scope, target, rule.period, rule.severity, said)
            for other in seen.setdefault(key, []):
                if other.minutes & rule.minutes:
                    line = _line(parsed.node, ("rules", index))
                    raise RulesError(
                        f"{parsed.name}:{line}: rule {rule.name!r} says the same as"
                        f" {other.name!r}: type, {rule.scope}, period and severity are equal, and"
                        " they count at the same hours"
                    )
            seen[key].append(rule)


def _mistake(parsed: _Parsed, error: ValidationError) -> str:
    errors = error.errors(include_url=False)
    rule = errors[0]["loc"][:2]
    unknown = (e for e in errors if e["type"] == "extra_forbidden" and e["loc"][:2] == rule)
    first = next(unknown, errors[0])  # a misspelt key is also one that is missing
    path = tuple(step for step in first["loc"] if not str(step).startswith("<"))
    message = str(first["msg"]).removeprefix("Value error, ")
    fields = _model(path[:-1]).model_fields
    key = message.partition(": ")[0]
    if first["type"] == "value_error" and key in _keys(_model(path)):
        message = message.partition(": ")[2]  # what a part as a whole was refused for
        path = (*path, key)
    elif first["type"] == "extra_forbidden":
        message = f"unknown key; known are {', '.join(_keys(_model(path[:-1])))}"
    elif first["type"] == "missing":
        message = "the key is missing"
    elif first["type"] in _EXPECTED and len(path) < 3:
        message = f"expected {_EXPECTED[first['type']]}" if path else _NO_RULES
    elif expected := _expected(parsed, path, fields):
        message = f"expected {expected}"
    named = [step for step in path if isinstance(step, str)][-1:] if len(path) != 2 else []
    key = "".join(f" {step}:" for step in named)
    return f"{parsed.name}:{_line(parsed.node, path)}:{key} {message[0].lower()}{message[1:]}"


def _model(path: tuple[int | str, ...]) -> type[BaseModel]:
    """Give the model whose keys stand at a path."""
    if len(path) < 2:
        return RuleFile
    parts: dict[object, type[BaseModel]] = {"active": Active, "period": Range}
    return parts.get(path[2], Rule) if len(path) > 2 else Rule


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _expected(parsed: _Parsed, path: tuple[int | str, ...], fields: Any) -> str:
    """Say what should stand at a path."""
    last = next((step for step in reversed(path) if isinstance(step, str)), "")
    if last == "type":
        return ", ".join(KINDS)
    if last == "threshold":
        kind = KINDS.get(str(parsed.content["rules"][path[1]].get("type")))
        return kind.expected if kind is not None and kind.threshold else "a number above 0"
    by_key = {field.alias or name: field for name, field in fields.items()}
    if last not in by_key and len(path) > 3:  # an entry of a list
        by_key = dict(Rule.model_fields)
    field = by_key.get(last)
    return str(field.description or "") if field is not None else ""


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
        elif (
            isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value)
        ):
            node = node.value[step]
            line = node.start_mark.line + 1
        else:
            return line
    return line
