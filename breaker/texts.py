"""The words of the notices, in English and Chinese. Braces name what is filled in."""

from dataclasses import dataclass

from breaker.decision import Reason, Result
from breaker.settings import Language


@dataclass(frozen=True)
class Texts:
    """The words of one language."""

    outcomes: dict[Result, str]
    whys: dict[str, str]
    """By decision.Reason; a Fault has a detail that says it."""
    measure: str
    undo: str
    follows: str


TEXTS: dict[Language, Texts] = {
    "en": Texts(
        outcomes={
            Result.TRIPPED: "Channel {channel} was disabled by rule {rule}{measure}.",
            Result.WOULD_TRIP: "Dry run: channel {channel} would have been disabled by rule"
            " {rule}{measure}.",
            Result.REFUSED: "Channel {channel} was not disabled by rule {rule}: {why}.",
            Result.FAILED: "Channel {channel} could not be disabled by rule {rule}, and is tried"
            " again: {why}.",
        },
        whys={
            Reason.BAD_ALERT: "the alert names no channel",
            Reason.UNSUPPORTED_ACTION: "the breaker does not know the action {action}",
            Reason.ALREADY_DISABLED: "it is disabled already",
            Reason.NOT_FOUND: "there is no such channel any more",
        },
        measure=": {value} in {period}, the limit is {threshold}",
        undo="Enable the channel on New API's page Channels. Do not use the button"
        ' "delete disabled channels" before: it would delete this one too.',
        follows="The gateway follows with the next request; where it keeps channels in memory,"
        " within SYNC_FREQUENCY (unless set: New API 60 s, One API 600 s). Running requests end"
        " as usual.",
    ),
    "zh": Texts(
        outcomes={
            Result.TRIPPED: "渠道 {channel} 已被规则 {rule} 禁用{measure}。",
            Result.WOULD_TRIP: "演练模式：渠道 {channel} 本应被规则 {rule} 禁用{measure}。",
            Result.REFUSED: "渠道 {channel} 未被规则 {rule} 禁用：{why}。",
            Result.FAILED: "渠道 {channel} 未能被规则 {rule} 禁用，将重试：{why}。",
        },
        whys={
            Reason.BAD_ALERT: "告警中没有渠道编号",
            Reason.UNSUPPORTED_ACTION: "熔断器不支持动作 {action}",
            Reason.ALREADY_DISABLED: "该渠道此前已被禁用",
            Reason.NOT_FOUND: "该渠道已不存在",
        },
        measure="：{period} 内 {value}，上限 {threshold}",
        undo="在 New API 的“渠道”页面启用该渠道即可恢复。在此之前请勿点击“删除禁用渠道”，"
        "否则该渠道也会被删除。",
        follows="网关从下一个请求起生效；若启用了内存缓存，则最迟在 SYNC_FREQUENCY 之后生效"
        "（默认 New API 60 秒，One API 600 秒）。进行中的请求会正常结束。",
    ),
}
