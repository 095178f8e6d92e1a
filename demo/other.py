"""The JSON text in logs.other, as New API writes it (service/log_info_generate.go).

Go writes the keys of a map in the order of the alphabet; so does this.
"""

import json
from typing import Any

from demo.catalog import Kind, Model
from demo.exchange import CACHE_CREATION_RATIO, Ending, Exchange, Usage, group_ratio
from demo.failures import Failure
from demo.world import Channel

_AFFINITY = (
    '"channel_affinity":{"key_fp":"%08x","key_hint":"user_%04x…","key_path":"%s",'
    '"key_source":"gjson","rule_name":"%s cli trace","selected_group":"%s","using_group":"%s"},'
)
_AFFINITY_RULES = {"gpt": ("prompt_cache_key", "codex"), "cla": ("metadata.user_id", "claude")}


class ConsumeTexts:
    """The `other` of type 2 rows.

    It is most of the time that it takes to make a row, so all but a few numbers is kept, by
    model, channel, group and ending.
    """

    def __init__(self) -> None:
        self._templates: dict[tuple[str, int, str, Ending | None], str] = {}

    def text(self, exchange: Exchange, usage: Usage, first_ms: int, used: list[str]) -> str:
        """Write it.

        Args:
            exchange: the request.
            usage: of its last attempt.
            first_ms: milliseconds from the request's start to the first byte; -1000 = unknown.
            used: ids of the channels that were tried, in their order.
        """
        model, channel = exchange.model, exchange.attempts[-1].channel
        group = exchange.caller.group
        key = (model.name, channel.id, group, usage.ending)
        template = self._templates.get(key)
        if template is None:
            template = self._templates[key] = _template(model, channel, group, usage.ending)
        return template % {
            "admin": _admin(exchange, channel, used),
            "cached": usage.cached,
            "created": usage.created,
            "first": first_ms,
        }


def _admin(exchange: Exchange, channel: Channel, used: list[str]) -> str:
    salt, group = exchange.salt, exchange.caller.group
    parts = ""
    rule = _AFFINITY_RULES.get(exchange.model.name[:3])
    if rule and salt & 3:
        parts = _AFFINITY % (salt & 0xFFFFFFFF, salt & 0xFFFF, *rule, group, group)
    if channel.multi_key:
        parts += f'"is_multi_key":true,"multi_key_index":{salt % 3},'
    ids = '","'.join(used)
    return f'{{{parts}"use_channel":["{ids}"]}}'


def _template(model: Model, channel: Channel, group: str, ending: Ending | None) -> str:
    chat = model.kind is Kind.CHAT
    value: dict[str, Any] = {
        "admin_info": "<admin>",
        "billing_preference": "wallet_first",
        "billing_source": "wallet",
        "cache_ratio": _go(model.cache_ratio),
        "cache_tokens": "<cached>",
        "completion_ratio": _go(model.completion_ratio),
        "frt": "<first>",
        "group_ratio": _go(group_ratio(group)),
        "model_price": -1 if chat else model.call_usd,
        "model_ratio": _go(model.model_ratio),
        "request_conversion": ["Claude Messages" if model.anthropic else "OpenAI Compatible"],
        "request_path": _path(model),
        "user_group_ratio": -1,
    }
    if model.anthropic:
        value |= {
            "claude": True,
            "usage_semantic": "anthropic",
            "cache_creation_tokens": "<created>",
        }
        value |= {"cache_creation_ratio": CACHE_CREATION_RATIO}
    if model.name.startswith("gpt-5"):
        value["reasoning_effort"] = "medium"
    if channel.base_url and chat:
        value |= {"is_model_mapped": True, "upstream_model_name": f"{model.name}-deployment"}
    if ending is not None:
        value["po"] = ["set stream_options.include_usage = true"]
        value["stream_status"] = _stream_status(ending)
    text = dumps(value).replace("%", "%%").replace('"<admin>"', "%(admin)s")
    for number in ("cached", "created", "first"):
        text = text.replace(f'"<{number}>"', f"%({number})d")
    return text


def _go(number: float) -> float:
    """Make a number look as in Go, which writes 1 and not 1.0."""
    return int(number) if number == int(number) else number


def _stream_status(ending: Ending) -> dict[str, Any]:
    told: dict[str, Any] = {
        "status": "ok" if ending.ok else "error",
        "end_reason": ending.reason,
    }
    if ending.error:
        told["end_error"] = ending.error
    if ending.errors:
        told["error_count"] = ending.errors
        told["errors"] = ["invalid character '<' looking for beginning of value"] * ending.errors
    return told


def _path(model: Model) -> str:
    if model.kind is Kind.IMAGE:
        return "/v1/images/generations"
    return "/v1/messages" if model.anthropic else "/v1/chat/completions"


def error(exchange: Exchange, channel: Channel, failure: Failure, used: list[str]) -> str:
    """Write the `other` of a type 5 row (controller/relay.go processChannelError)."""
    admin: dict[str, Any] = {"use_channel": used}
    if channel.multi_key:
        admin |= {"is_multi_key": True, "multi_key_index": exchange.salt % 3}
    return dumps(
        {
            "admin_info": admin,
            "channel_id": channel.id,
            "channel_name": channel.name,
            "channel_type": channel.type,
            "error_code": failure.error_code,
            "error_type": failure.error_type,
            "request_path": _path(exchange.model),
            "status_code": failure.status_code,
        }
    )


def task(exchange: Exchange) -> str:
    """Write the `other` of a task's submission: type 2, without times and admin_info."""
    return dumps(
        {
            "group_ratio": _go(group_ratio(exchange.caller.group)),
            "is_task": True,
            "model_price": exchange.model.call_usd,
            "request_path": "/v1/videos",
        }
    )


def refund(exchange: Exchange) -> str:
    """Write the `other` of a type 6 row: a task that failed after it was charged."""
    return dumps(
        {
            "group_ratio": _go(group_ratio(exchange.caller.group)),
            "model_price": exchange.model.call_usd,
            "reason": "task failed: content policy violation",
            "task_id": f"task_{exchange.salt >> 64:024x}",
        }
    )


def dumps(value: dict[str, Any]) -> str:
    """Write a JSON object as the gateway does: without spaces, keys in order."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
