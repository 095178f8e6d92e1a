"""Rows of New API's log table, as v1.0.0-rc.24 writes them (model/log.go, controller/relay.go)."""

from demo import catalog, log, other
from demo.catalog import QUOTA_PER_USD, Kind
from demo.exchange import Attempt, Caller, Charge, Exchange, Usage, quota
from demo.failures import Failure
from demo.log import Entry, request_id
from demo.rows import NewApiRow
from demo.world import Channel, User

NO_USAGE = "上游没有返回计费信息，无法扣费（可能是上游超时）"
"""What the gateway notes where the upstream told no usage."""


class NewApiLog:
    """How New API writes: every failed attempt (ERROR_LOG_ENABLED=true), then the success."""

    columns = NewApiRow._fields

    def __init__(self) -> None:
        self._texts = other.ConsumeTexts()

    def exchange(self, exchange: Exchange, started: float) -> list[Entry]:
        """Write a type 5 row for each failed attempt, a type 2 row, a task's type 6 row."""
        entries: list[Entry] = []
        ended = started
        used: list[str] = []
        for attempt in exchange.attempts:
            before = ended - started
            ended += attempt.seconds
            used.append(str(attempt.channel.id))
            if (failure := attempt.failure) is not None:
                entries.append(_failed(exchange, attempt.channel, failure, started, ended, used))
            elif (usage := exchange.usage) is not None:
                # StartTime is never reset: times include the failed attempts before.
                first = -1000
                if usage.first_token is not None:
                    first = int((before + usage.first_token) * 1000)
                text = (
                    other.task(exchange)
                    if exchange.model.kind is Kind.TASK
                    else self._texts.text(exchange, usage, first, used)
                )
                entries.append(_consumed(exchange, usage, started, ended, text))
        if exchange.refunded_after is not None:
            entries.append(_refunded(exchange, ended + exchange.refunded_after))
        return entries

    def test(self, attempt: Attempt, tester: User, at: float, salt: int) -> list[Entry]:
        """Write a type 2 row; a failure is not written (unless it disables the channel)."""
        if attempt.failure is not None or not attempt.channel.models:
            return []
        model = catalog.model(attempt.channel.models[0])
        usage = Usage(prompt=9, completion=12)
        caller = Caller(tester, 0, log.TEST, "default")
        exchange = Exchange(caller, model, False, (attempt,), usage, salt)
        used = [str(attempt.channel.id)]
        row = NewApiRow(
            tester.id, int(at), log.CONSUME, log.TEST, tester.username, log.TEST, model.name,
            quota(model, "default", usage), usage.prompt, usage.completion, int(attempt.seconds),
            False, attempt.channel.id, 0, "default",
            request_id=request_id(at - attempt.seconds, salt),
            other=self._texts.text(exchange, usage, -1000, used),
        )  # fmt: skip
        return [Entry(at, log.CONSUME, row)]

    def topup(self, user: User, at: float, salt: int) -> Entry:
        """Write a type 1 row; its quota is 0, the amount stands in its text."""
        usd = (10, 20, 50, 100)[salt & 3]
        text = f"使用在线充值成功，充值金额: ＄{usd:.6f} 额度，支付金额：{usd * 7.3:.2f}"
        info = {"payment_method": "alipay", "server_ip": "192.0.2.10", "node_name": "demo"}
        row = NewApiRow(
            user.id,
            int(at),
            log.TOPUP,
            text,
            user.username,
            other=other.dumps({"admin_info": info}),
        )
        charge = Charge(user.id, 0, 0, 0, int(at), 0, credit=usd * QUOTA_PER_USD)
        return Entry(at, log.TOPUP, row, charge)

    def aside(self, user: User, channel: Channel, at: float, salt: int) -> Entry:
        """Write a type 3 or 7 row."""
        if salt & 1:
            kind, text = log.LOGIN, "用户登录成功"
            action = {"action": "user.login", "params": {"method": "password"}}
        else:
            kind, text = log.MANAGE, f"更新渠道 {channel.name}"
            action = {"action": "channel.update", "params": {"id": str(channel.id)}}
        row = NewApiRow(
            user.id, int(at), kind, text, user.username, ip="198.51.100.7",
            other=other.dumps({"op": action, "admin_info": {"admin_username": user.username}}),
        )  # fmt: skip
        return Entry(at, kind, row)


def _consumed(exchange: Exchange, usage: Usage, started: float, ended: float, text: str) -> Entry:
    caller, model = exchange.caller, exchange.model
    channel = exchange.attempts[-1].channel
    charged = quota(model, caller.group, usage)
    use_time = 0 if model.kind is Kind.TASK else int(ended) - int(started)
    told = usage.prompt or usage.completion or model.kind is not Kind.CHAT
    row = NewApiRow(
        caller.user.id, int(ended), log.CONSUME, "" if told else NO_USAGE, caller.user.username,
        caller.key_name, model.name, charged, usage.prompt, usage.completion, use_time,
        exchange.stream, channel.id, caller.key_id, caller.group, _ip(caller.user),
        request_id(started, exchange.salt), f"req_{exchange.salt >> 64:024x}", text,
    )  # fmt: skip
    charge = Charge(caller.user.id, caller.key_id, channel.id, charged, int(ended))
    return Entry(ended, log.CONSUME, row, charge)


def _failed(
    exchange: Exchange,
    channel: Channel,
    failure: Failure,
    started: float,
    ended: float,
    used: list[str],
) -> Entry:
    caller = exchange.caller
    row = NewApiRow(
        caller.user.id, int(ended), log.ERROR,
        f"status_code={failure.status_code}, {failure.message}", caller.user.username,
        caller.key_name, exchange.model.name, 0, 0, 0, int(ended - started), exchange.stream,
        channel.id, caller.key_id, caller.group, _ip(caller.user),
        request_id(started, exchange.salt), other=other.error(exchange, channel, failure, used),
    )  # fmt: skip
    return Entry(ended, log.ERROR, row)


def _refunded(exchange: Exchange, at: float) -> Entry:
    """A task failed later on: what was charged is given back, as a positive number."""
    caller, channel = exchange.caller, exchange.attempts[-1].channel
    amount = quota(exchange.model, caller.group, Usage(0, 0))
    row = NewApiRow(
        caller.user.id, int(at), log.REFUND, "", caller.user.username, caller.key_name,
        exchange.model.name, amount, 0, 0, 0, False, channel.id, caller.key_id, caller.group,
        other=other.refund(exchange),
    )  # fmt: skip
    charge = Charge(caller.user.id, caller.key_id, channel.id, -amount, int(at), 0)
    return Entry(at, log.REFUND, row, charge)


def _ip(user: User) -> str:
    """Give the address of a user who opted in to its recording."""
    return f"203.0.113.{user.id % 250 + 1}" if user.id % 3 == 0 else ""
