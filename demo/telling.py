"""What the narrator of the demo says, in English and in Chinese."""

from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "zh"]


@dataclass(frozen=True)
class Telling:
    """Texts with places for str.format(); `{channel}` is `channel` with its id and name."""

    title: str
    parts: dict[str, str]
    files: str
    channel: str
    gateway: str
    incident: str
    overspent: str
    fires: str
    held: str
    disabled: str
    silent: str
    end: str


TELLINGS: dict[Language, Telling] = {
    "en": Telling(
        title="New API Monitor, watching a simulated gateway. Ctrl-C ends everything.",
        parts={
            "exporter": "metrics",
            "breaker": "stops channels",
            "prometheus": "rules and history",
            "alertmanager": "who is told",
            "telegram": "stand-in for Telegram: /messages",
            "grafana": "dashboards",
        },
        files="files",
        channel="channel {id} ({name})",
        gateway="gateway: {channels} channels serve {keys} API keys; in {seconds:.0f} s one of them"
        " runs away",
        incident='incident: API key {key} "{key_name}" runs away on {channel},'
        " {millions:.0f}M tokens a minute",
        overspent="exporter: {channel} used {used:.1f}M tokens in {period}; rule {rule!r} allows"
        " {allowed:.1f}M",
        fires="Prometheus: {alert} fires for {channel}",
        held="breaker: told by Alertmanager, it disabled {channel} and wrote down why",
        disabled="database: {channel} has status 2, and {on} of its {abilities} abilities are on",
        silent="gateway: the last request on {channel} ended at {time}; the others serve on",
        end="That was the story. Everything goes on: look around, Ctrl-C ends it.",
    ),
    "zh": Telling(
        title="New API Monitor 正在监控一个模拟网关。按 Ctrl-C 结束一切。",
        parts={
            "exporter": "指标",
            "breaker": "禁用渠道",
            "prometheus": "规则与历史",
            "alertmanager": "通知谁",
            "telegram": "代替 Telegram：/messages",
            "grafana": "仪表盘",
        },
        files="文件",
        channel="渠道 {id}（{name}）",
        gateway="网关：{channels} 个渠道为 {keys} 个 API key 服务；"
        "{seconds:.0f} 秒后其中一个会失控",
        incident="事故：API key {key}“{key_name}”在{channel}上失控，每分钟 {millions:.0f}M token",
        overspent="exporter：{channel}在 {period} 内用了 {used:.1f}M token；规则 {rule!r} 只允许"
        " {allowed:.1f}M",
        fires="Prometheus：{channel}触发了 {alert}",
        held="breaker：收到 Alertmanager 的通知，已禁用{channel}，并记下原因",
        disabled="数据库：{channel}的状态是 2，{abilities} 条 abilities 中有 {on} 条启用",
        silent="网关：{channel}的最后一个请求结束于 {time}；其他渠道照常服务",
        end="故事讲完了。一切仍在运行，请随意查看，按 Ctrl-C 结束。",
    ),
}
