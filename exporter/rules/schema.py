"""A JSON Schema of alerts.yml, for editors: the same keys and values that the file is read with."""

from itertools import combinations
from typing import Any, get_args

from exporter.rules.file import RuleFile
from exporter.rules.hours import Active
from exporter.rules.period import TODAY, Name, Range
from exporter.rules.rule import ACTS_ON, GATEWAY, KINDS, SCOPES, SPECIAL, Rule

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string", "minLength": 1}
_ID: Schema = {"type": ["integer", "string"], "minimum": 0, "pattern": "^(0|[1-9][0-9]*)$"}
_DAY: Schema = {"type": "string"}
_TODAY: Schema = {"const": TODAY}
_NAMED: Schema = {"type": "string"}
_CLOSED: Schema = {"type": "object", "required": ["from", "to"]}
"""A range that ends."""


def schema() -> Schema:
    """Give the schema of a file of rules."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Alert rules of New API Monitor",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "timezone": _described(RuleFile, "timezone", {"type": "string"}),
            "rules": {"type": ["array", "null"], "items": _rule()},
        },
    }


def _rule() -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "type"],
        "properties": {name: _described(Rule, name, shape) for name, shape in _shapes().items()},
        "allOf": [
            *(_of_type(name) for name in KINDS),
            *(_only_with("action", action, [scope]) for action, scope in ACTS_ON.items()),
            *({"not": {"required": list(pair)}} for pair in combinations(SCOPES, 2)),
            {
                "if": {"properties": {"action": {"enum": list(ACTS_ON)}}, "required": ["action"]},
                "else": {"properties": {"release_after": False, "override_for": False}},
            },
            _if("projected", True) | {"then": _ends(_TODAY, _CLOSED) | {"required": ["period"]}},
            _if("type", "request_spike") | {"then": _ends(_NAMED, _CLOSED)},
            _if("type", "error_rate") | {"then": {"properties": {"threshold": {"maximum": 100}}}},
        ],
    }


def _shapes() -> dict[str, Schema]:
    """Give what each key may hold, in the order of the model."""
    shapes: dict[str, Schema] = {}
    for name, field in Rule.model_fields.items():
        if name in SCOPES:
            one = {"type": ["string", "integer"], "minLength": 1} if name == "model" else _ID
            every: Schema = {"const": "*"}
            listed = {"type": "array", "items": one, "minItems": 1}
            shapes[name] = {"anyOf": [every, one, listed]}
        elif field.annotation is bool:
            shapes[name] = {"type": "boolean", "default": field.default}
        elif choices := get_args(field.annotation):
            shapes[name] = _choice(choices, field.default)
    duration = {"type": "string", "pattern": "^(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"}
    shapes |= {
        "name": _TEXT | {"maxLength": 100},
        "type": {"enum": list(KINDS)},
        "period": {"anyOf": [_choice(get_args(Name), "1h"), _part(Range, _moments(), ["from"])]},
        "threshold": {"type": "number", "exclusiveMinimum": 0},
        "min_requests": {"type": "integer", "minimum": 1, "default": 20},
        "active": _part(Active, _hours(), []),
        "release_after": duration,
        "override_for": duration,
    }
    return {name: shapes[name] for name in Rule.model_fields}


def _choice(choices: tuple[Any, ...], default: object) -> Schema:
    named = {"enum": [choice for choice in choices if isinstance(choice, str)]}
    return named | ({"default": default} if isinstance(default, str) else {})


def _moments() -> dict[str, Schema]:
    pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2})?)?$"
    return {key: {"type": "string", "pattern": pattern} for key in ("from", "to")}


def _hours() -> dict[str, Schema]:
    days = {"anyOf": [_DAY, {"type": "array", "items": _DAY, "minItems": 1}]}
    time = "([01][0-9]|2[0-3]):[0-5][0-9]"
    return {"days": days, "hours": {"type": "string", "pattern": f"^{time} *- *({time}|24:00)$"}}


def _part(model: type[Range | Active], shapes: dict[str, Schema], required: list[str]) -> Schema:
    names = {field.alias or name: name for name, field in model.model_fields.items()}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": {key: _described(model, names[key], shape) for key, shape in shapes.items()},
    }


def _of_type(name: str) -> Schema:
    """Say what goes with a type."""
    kind = KINDS[name]
    without = [key for key in SPECIAL if key not in kind.keys]
    scopes = [scope for scope in SCOPES if scope not in kind.scopes]
    then: Schema = {"properties": dict.fromkeys((*without, *scopes), False)}
    if "threshold" in kind.keys:
        then["required"] = ["threshold"]
    if GATEWAY not in kind.scopes:
        then["anyOf"] = [{"required": [scope]} for scope in kind.scopes]
    return _if("type", name) | {"then": then}


def _ends(*periods: Schema) -> Schema:
    return {"properties": {"period": {"anyOf": list(periods)}}}


def _only_with(key: str, value: str, scopes: list[str]) -> Schema:
    return _if(key, value) | {"then": {"required": scopes}}


def _if(key: str, value: object) -> Schema:
    return {"if": {"properties": {key: {"const": value}}, "required": [key]}}


def _described(model: type[RuleFile | Rule | Range | Active], name: str, shape: Schema) -> Schema:
    text = model.model_fields[name].description
    return {"description": text, **shape} if text else shape
