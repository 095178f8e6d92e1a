"""Rows of One API's log table (model/log.go): milliseconds, no failures, tests as type 5."""

import math

from demo import log
from demo.catalog import QUOTA_PER_USD, Kind, Model
from demo.exchange import Attempt, Charge, Exchange, Usage, group_ratio
from demo.log import Entry, request_id
from demo.rows import OneApiRow
from demo.world import Channel, User


class OneApiLog:
    """How One API writes: successes alone."""

    columns = OneApiRow._fields

    def exchange(self, exchange: Exchange, started: float) -> list[Entry]:
        """Write a type 2 row, or nothing where no attempt succeeded."""
        usage = exchange.usage
        if usage is None:
            return []
        caller, model, last = exchange.caller, exchange.model, exchange.attempts[-1]
        ended = started + sum(attempt.seconds for attempt in exchange.attempts)
        charged = _quota(model, caller.group, usage)
        chat = model.kind is Kind.CHAT
        row = OneApiRow(
            caller.user.id, int(ended), log.CONSUME,
            f"倍率：{model.model_ratio:.2f} × {group_ratio(caller.group):.2f} "
            f"× {model.completion_ratio:.2f}",
            caller.user.username, caller.key_name, model.name, charged, usage.prompt,
            usage.completion, last.channel.id, request_id(started, exchange.salt),
            # Each attempt has a start time of its own; images have no time.
            int(last.seconds * 1000) if chat else 0, exchange.stream,
        )  # fmt: skip
        charge = Charge(caller.user.id, caller.key_id, last.channel.id, charged, int(ended))
        return [Entry(ended, log.CONSUME, row, charge)]

    def test(self, attempt: Attempt, tester: User, at: float, salt: int) -> list[Entry]:
        """Write a type 5 row, whether the test succeeded or not; its user_id is 0."""
        del tester
        channel, failure = attempt.channel, attempt.failure
        outcome = "成功" if failure is None else f"失败，错误：{failure.message}"
        row = OneApiRow(
            0, int(at), log.ERROR, f"渠道 {channel.name} 测试{outcome}",
            model_name=channel.models[0] if channel.models else "", channel_id=channel.id,
            request_id=request_id(at, salt), elapsed_time=int(attempt.seconds * 1000),
        )  # fmt: skip
        return [Entry(at, log.ERROR, row)]

    def topup(self, user: User, at: float, salt: int) -> Entry:
        """Write a type 1 row, which carries its quota."""
        usd = (10, 20, 50, 100)[salt & 3]
        row = OneApiRow(
            user.id, int(at), log.TOPUP, f"通过兑换码充值 ＄{usd:.6f} 额度", user.username,
            quota=usd * QUOTA_PER_USD, request_id=request_id(at, salt),
        )  # fmt: skip
        charge = Charge(user.id, 0, 0, 0, int(at), 0, credit=usd * QUOTA_PER_USD)
        return Entry(at, log.TOPUP, row, charge)

    def aside(self, user: User, channel: Channel, at: float, salt: int) -> Entry:
        """Write a type 3 or 4 row."""
        del channel
        kind = log.SYSTEM if salt & 1 else log.MANAGE
        text = "新用户注册赠送 ＄0.400000 额度" if salt & 1 else "管理员将用户额度修改为 ＄100.00"
        row = OneApiRow(
            user.id, int(at), kind, text, user.username, request_id=request_id(at, salt)
        )
        return Entry(at, kind, row)


def _quota(model: Model, group: str, usage: Usage) -> int:
    """Compute the charge as One API does (relay/controller/helper.go): rounded up, no cache."""
    ratio = group_ratio(group)
    if model.kind is not Kind.CHAT:
        return int(model.call_usd * QUOTA_PER_USD * ratio)
    if not (usage.prompt or usage.completion):
        return 0
    tokens = usage.prompt + usage.completion * model.completion_ratio
    return max(1, math.ceil(tokens * model.model_ratio * ratio))
