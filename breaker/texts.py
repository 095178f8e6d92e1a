"""The words of the notices, in English and Chinese. Braces name what is filled in."""

from dataclasses import dataclass

from breaker.decision import Reason, Release, Result
from breaker.holding import Undone
from breaker.settings import Language
from newapi.switch import Kind


@dataclass(frozen=True)
class Texts:
    """The words of one language."""

    kinds: dict[Kind, str]
    outcomes: dict[Result, str]
    whys: dict[str, str]
    """By Reason, Release or Undone; a Fault has a detail that says it."""
    measure: str
    periods: tuple[str, str, str, str]
    """So long before now; today; a range without end; one with an end."""
    left: str
    """The measure of what has no period: how much is left."""
    undo: dict[Kind, str]
    follows: dict[Kind, str]
    told: str
    not_told: str
    until: str
    still_serving: str
    test: str


TEXTS: dict[Language, Texts] = {
    "en": Texts(
        kinds={Kind.CHANNEL: "Channel", Kind.API_KEY: "API key"},
        outcomes={
            Result.TRIPPED: "{what} was disabled by rule {rule}{measure}.",
            Result.WOULD_TRIP: "{what} would have been disabled by rule {rule}{measure}. This is a"
            " dry run: nothing was done.",
            Result.REFUSED: "{what} was not disabled by rule {rule}: {why}.",
            Result.FAILED: "{what} could not be disabled by rule {rule}, and is tried again:"
            " {why}.",
            Result.RELEASED: "{what}, disabled by rule {rule}, was released: {why}.",
            Result.SET_AGAIN: "{what} was disabled again for rule {rule}: {why}.",
        },
        whys={
            Reason.BAD_ALERT: "the alert does not say which one",
            Reason.UNSUPPORTED_ACTION: "the breaker does not know the action {action}",
            Reason.ALREADY_DISABLED: "it is disabled already",
            Reason.OVERRIDDEN: "somebody enabled it in the gateway, which counts until the alert"
            " has ended, or for as long as the rule says",
            Reason.NOT_FOUND: "there is no such one any more",
            Reason.PROTECTED: "it is protected",
            Reason.TOO_MANY_TRIPS: "the breaker has tripped as often in an hour as it may",
            Reason.STALE: "the alert is too old to be acted upon",
            Reason.LAST_CHANNEL: "it is the last enabled channel of a group and model",
            Release.TIMER: "the time for which the rule holds it has passed",
            Release.OTHER_RULE: "the time for which the rule holds it has passed; it stays disabled"
            " for another rule that fires",
            Release.PERSON: "somebody enabled it in the gateway, which counts until the alert has"
            " ended, or for as long as the rule says",
            Release.COMMAND: "by the command newapi-breaker release, which counts until the alert"
            " has ended, or for as long as the rule says",
            Release.TAKEN_OVER: "somebody else disabled it meanwhile, so that it stays off",
            Release.LAST_CHANNEL: "the gateway enabled it, and nothing else serves a group and"
            " model any more, so that it stays on",
            Release.GONE: "it was deleted in the gateway",
            Undone.GATEWAY_TEST: "the gateway enabled it after a test",
            Undone.EDIT_FORM: "an edit form that was opened before had enabled it",
        },
        measure=": {value} {period}, the limit is {threshold}",
        periods=("in {start}", "today", "since {start}", "from {start} to {end}"),
        left=": {value} left, the threshold is {threshold}",
        undo={
            Kind.CHANNEL: "To undo: enable the channel on New API's page Channels, or run"
            ' newapi-breaker release --channel {number}. Do not use the button "delete disabled'
            ' channels" before: it would delete this one too.',
            Kind.API_KEY: "To undo: run newapi-breaker release --api-key {number}. The key's"
            " owner can enable it on New API's page Tokens as well.",
        },
        follows={
            Kind.CHANNEL: "The gateway follows with the next request; where it keeps channels in"
            " memory, within SYNC_FREQUENCY (unless set: New API 60 s, One API 600 s). Running"
            " requests end as usual.",
            Kind.API_KEY: "The gateway follows with the next request; where it uses Redis, within"
            " SYNC_FREQUENCY (unless set: New API 60 s, One API 600 s). Running requests end as"
            " usual.",
        },
        told="The gateway was told and follows at once; further nodes follow within SYNC_FREQUENCY"
        " (60 s unless set). Running requests end as usual.",
        not_told="(It did not take the call to GATEWAY_URL; the log of the breaker says why.)",
        until="It is released by itself after {minutes} min, later each time it trips again.",
        still_serving="{what} is disabled, and still {requests} requests began later than"
        " {seconds} s after that. Does the gateway use another database, or a longer"
        " SYNC_FREQUENCY?",
        test="This is a test of newapi-breaker: what the breaker does arrives here.",
    ),
    "zh": Texts(
        kinds={Kind.CHANNEL: "渠道", Kind.API_KEY: "令牌"},
        outcomes={
            Result.TRIPPED: "{what} 已被规则 {rule} 禁用{measure}。",
            Result.WOULD_TRIP: "演练模式：{what} 本应被规则 {rule} 禁用{measure}。",
            Result.REFUSED: "{what} 未被规则 {rule} 禁用：{why}。",
            Result.FAILED: "{what} 未能被规则 {rule} 禁用，将重试：{why}。",
            Result.RELEASED: "{what}（此前被规则 {rule} 禁用）已解除：{why}。",
            Result.SET_AGAIN: "{what} 已按规则 {rule} 再次禁用：{why}。",
        },
        whys={
            Reason.BAD_ALERT: "告警中没有编号",
            Reason.UNSUPPORTED_ACTION: "熔断器不支持动作 {action}",
            Reason.ALREADY_DISABLED: "此前已被禁用",
            Reason.OVERRIDDEN: "有人在网关中启用了它；在告警结束前（或规则设定的时长内）不再禁用",
            Reason.NOT_FOUND: "已不存在",
            Reason.PROTECTED: "在保护名单中",
            Reason.TOO_MANY_TRIPS: "一小时内的熔断次数已达上限",
            Reason.STALE: "告警数据太旧，不宜据此操作",
            Reason.LAST_CHANNEL: "它是某个分组和模型下最后一个启用的渠道",
            Release.TIMER: "规则设定的禁用时长已到",
            Release.OTHER_RULE: "规则设定的禁用时长已到；另一条仍在触发的规则继续禁用它",
            Release.PERSON: "有人在网关中启用了它；在告警结束前（或规则设定的时长内）不再禁用",
            Release.COMMAND: "有人运行了 newapi-breaker release；在告警结束前"
            "（或规则设定的时长内）不再禁用",
            Release.TAKEN_OVER: "期间已被他人禁用，保持禁用状态",
            Release.LAST_CHANNEL: "网关启用了它，而某个分组和模型已没有其他可用渠道，因此保持启用",
            Release.GONE: "已在网关中删除",
            Undone.GATEWAY_TEST: "网关测试通过后自动启用了它",
            Undone.EDIT_FORM: "熔断前打开的编辑页面在保存时把它启用了",
        },
        measure="：{period} {value}，上限 {threshold}",
        periods=("{start} 内", "今日", "自 {start} 起", "{start} 至 {end}"),
        left="：仅剩 {value}，阈值 {threshold}",
        undo={
            Kind.CHANNEL: "恢复方法：在 New API 的“渠道”页面启用该渠道，或运行"
            " newapi-breaker release --channel {number}。在此之前请勿点击“删除禁用渠道”，"
            "否则该渠道也会被删除。",
            Kind.API_KEY: "恢复方法：运行 newapi-breaker release --api-key {number}；"
            "令牌的所有者也可以在 New API 的“令牌”页面启用它。",
        },
        follows={
            Kind.CHANNEL: "网关从下一个请求起生效；若启用了内存缓存，"
            "则最迟在 SYNC_FREQUENCY 之后生效（默认 New API 60 秒，One API 600 秒）。"
            "进行中的请求会正常结束。",
            Kind.API_KEY: "网关从下一个请求起生效；若使用 Redis，则最迟在 SYNC_FREQUENCY 之后生效"
            "（默认 New API 60 秒，One API 600 秒）。进行中的请求会正常结束。",
        },
        told="已通知网关，立即生效；其他节点最迟在 SYNC_FREQUENCY 之后生效（默认 60 秒）。"
        "进行中的请求会正常结束。",
        not_told="（调用 GATEWAY_URL 未成功，原因见熔断器日志。）",
        until="{minutes} 分钟后自动解除；若反复触发，时长逐次加倍。",
        still_serving="{what} 已禁用，但禁用 {seconds} 秒之后仍有 {requests} 个新请求。"
        "请检查网关是否使用了别的数据库，或 SYNC_FREQUENCY 设得较长。",
        test="这是 newapi-breaker 的测试消息：熔断器的操作会通知到这里。",
    ),
}
