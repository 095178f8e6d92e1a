"""What arrives in Telegram, through the real Alertmanager: words, units, and bounds."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.render import render
from deploy.settings import RenderSettings
from service.settings import load
from tests.servers import Alertmanager
from tests.servers.process import wait_until
from tests.stack import BOT_TOKEN, CHAT_ID, TOKEN, Telegram, hurry

Alert = dict[str, Any]

REPOSITORY = Path(__file__).parent.parent
MONITOR = REPOSITORY / "prometheus" / "rules" / "monitor.yml"
TEMPLATES = REPOSITORY / "alertmanager" / "templates"
LONGEST = 3900
"""Characters of a message, as Alertmanager counts them: escaped."""

CHANNEL = {"scope": "channel", "target": "7", "channel_id": "7"}
GATEWAY = {"scope": "gateway", "target": "gateway"}


class Chat:
    """Alertmanager as it is rendered, but in a hurry, and the chat that it writes to."""

    def __init__(self, language: str, folder: Path, hour: str = "2s", again: str = "59m") -> None:
        self.language = language
        self._open = ExitStack()
        self._telegram = self._open.enter_context(Telegram())
        settings = load(
            RenderSettings,
            breaker_token=TOKEN,
            telegram_bot_token=BOT_TOKEN,
            telegram_chat_id=CHAT_ID,
            telegram_api_url=self._telegram.url,
            monitor_lang=language,
        )
        render(settings, folder)
        hurry(folder, wait="400ms", crowd="400ms", interval="300ms", hour=hour, again=again)
        config = folder / "alertmanager" / "alertmanager.yml"
        # No breaker runs: what goes to its record would be tried for ever, for each alert.
        text = config.read_text(encoding="utf-8")
        record = """matchers: ['rule!=""']"""
        assert record in text
        config.write_text(text.replace(record, """matchers: ['rule="none"']"""), encoding="utf-8")
        self.server = self._open.enter_context(Alertmanager(config))

    def close(self) -> None:
        self._open.close()

    def send(self, *alerts: Alert) -> None:
        self.server.send(alerts)

    def end(self, alert: Alert, **annotations: str) -> None:
        now = datetime.now(UTC).isoformat()
        known = {**alert["annotations"], **annotations}
        self.send({**alert, "annotations": known, "endsAt": now})

    def times(self) -> list[float]:
        """Tell when messages arrived, unix seconds."""
        return [float(message["time"]) for message in self._telegram.messages()]

    def await_another(self, timeout: float) -> None:
        """Wait for one more message."""
        told = len(self.times())
        wait_until(lambda: len(self.times()) > told, timeout, "another message")

    def message(self, *parts: str) -> str:
        """Wait for a message that holds these texts."""

        def found() -> str:
            assert self._telegram.refused() == []
            texts = [str(message["text"]) for message in self._telegram.messages()]
            return next((text for text in texts if all(part in text for part in parts)), "")

        return wait_until(found, 30, f"a message with {parts}")


@pytest.fixture(scope="module", params=["en", "zh"])
def chat(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Chat]:
    chat = Chat(request.param, tmp_path_factory.mktemp("config"))
    yield chat
    chat.close()


def alert(rule: str, kind: str, labels: dict[str, str], **annotations: str) -> Alert:
    """Give an alert to tell, as Prometheus sends it."""
    known = {
        "alertname": f"NewAPI{kind.title().replace('_', '')}", "rule": rule, "type": kind,
        "period": "1h", "action": "notify", "severity": "warning", "notify": "telegram",
        "repeat": "1h", "each": "false",
    }  # fmt: skip
    about = {"summary": "S.", "dashboard_url": "http://127.0.0.1:3001/d/x?a=1&b=2", "state": ""}
    return {"labels": {**known, **labels}, "annotations": {**about, **annotations}}


def escaped(text: str) -> int:
    """Characters that a text takes up as Alertmanager counts it, with the tags of a message."""
    return len(text) + 4 * len(re.findall(r"[&<>\"'`+=]", text)) + 100


USED = {"used": "1.235 M", "threshold": "1000000", "name": "Main"}
MONTH = "2026-09-01..2026-09-30"
SINCE = "2026-09-01 14:05"
LINES = [
    (
        alert("tokens", "token_usage", CHANNEL, **USED, since=SINCE),
        "channel 7 (Main): 1.235 M tokens in 1h, threshold 1 M, since 09-01 14:05",
        "渠道 7（Main）：最近 1 小时用量 1.235 M tokens，阈值 1 M，始于 09-01 14:05",
    ),
    (
        alert("course", "token_usage", {**GATEWAY, "projected": "true", "period": "today"},
              used="1.2 M", threshold="12345678901", so_far="400 k"),
        "the gateway: on course for 1.2 M tokens today, 400 k so far, threshold 12.345 G",
        "整个网关：按目前速度，今日将用掉 1.2 M tokens（已用 400 k），阈值 12.345 G",
    ),
    (
        alert("range", "token_usage", {**GATEWAY, "period": "2026-09-01T08:00..2026-09-01T18:00"},
              used="1.2 k", threshold="950"),
        "the gateway: 1.2 k tokens from 2026-09-01 08:00 to 2026-09-01 18:00, threshold 950",
        "整个网关：2026-09-01 08:00 至 2026-09-01 18:00用量 1.2 k tokens，阈值 950",
    ),
    (
        alert("open", "cost", {**GATEWAY, "period": "2026-09-01..", "currency": "CNY"},
              used="24.80", threshold="20.00"),
        "the gateway: ¥24.80 since 2026-09-01, threshold ¥20.00",
        "整个网关：自 2026-09-01 起费用 ¥24.80，阈值 ¥20.00",
    ),
    (
        alert("money", "cost", {"scope": "user", "target": "3", "period": MONTH, "currency": "USD"},
              used="0.004", threshold="0.002", name="alice"),
        "user 3 (alice): $0.004 from 2026-09-01 to 2026-09-30, threshold $0.002",
        "用户 3（alice）：2026-09-01 至 2026-09-30费用 $0.004，阈值 $0.002",
    ),
    (
        alert("money on course", "cost", {**GATEWAY, "projected": "true", "currency": "CNY",
                                          "period": "today"},
              used="24.80", threshold="20.00", so_far="3.10"),
        "the gateway: on course for ¥24.80 today, ¥3.10 so far, threshold ¥20.00",
        "整个网关：按目前速度，今日将花费 ¥24.80（已用 ¥3.10），阈值 ¥20.00",
    ),
    (
        alert("errors", "error_rate", {"scope": "model", "target": "gpt-4o", "period": "15m"},
              used="12.5 %", threshold="10", requests="240", name=""),
        "model gpt-4o: 12.5 % of 240 attempts failed in 15m, threshold 10 %",
        "模型 gpt-4o：最近 15 分钟 240 次尝试中 12.5 % 失败，阈值 10 %",
    ),
    (
        alert("slow", "latency", {**CHANNEL, "statistic": "p95"},
              used="3.2 s", threshold="3.5", requests="240", name="Main"),
        "channel 7 (Main): p95 3.2 s over 240 requests in 1h, threshold 3.5 s",
        "渠道 7（Main）：最近 1 小时 p95 耗时 3.2 s（240 个请求），阈值 3.5 s",
    ),
    (
        alert("auto", "channel_down", {**CHANNEL, "period": ""}, value="1", name="Main",
              threshold="1"),
        "channel 7 (Main): disabled by the gateway",
        "渠道 7（Main）：已被网关自动禁用",
    ),
    (
        alert("manual", "channel_down", {**CHANNEL, "period": ""}, value="2", name="Main",
              threshold="1", since=SINCE),
        "channel 7 (Main): disabled by hand, since 09-01 14:05",
        "渠道 7（Main）：已被手动禁用，始于 09-01 14:05",
    ),
    (
        alert("left", "quota_low", {"scope": "api_key", "target": "12", "period": "",
                                    "currency": "USD"},
              used="-1.25", threshold="5.00", name="bob / ci"),
        "API key 12 (bob / ci): -$1.25 left, threshold $5.00",
        "令牌 12（bob / ci）：仅剩 -$1.25，阈值 $5.00",
    ),
    (
        alert("spike", "request_spike", {**GATEWAY, "period": "30d"},
              used="250 %", threshold="200", requests="100 → 350"),
        "the gateway: 250 % more requests in 30d than before (100 → 350), threshold 200 %",
        "整个网关：最近 30 天请求数比上一周期增加 250 %（100 → 350），阈值 200 %",
    ),
    (
        alert("spike of today", "request_spike", {**GATEWAY, "period": "today"},
              used="250 %", threshold="200", requests="100 → 350"),
        "the gateway: 250 % more requests today than yesterday (100 → 350), threshold 200 %",
        "整个网关：今日请求数比昨日增加 250 %（100 → 350），阈值 200 %",
    ),
]  # fmt: skip


def test_each_type_is_told_in_units_of_people(chat: Chat) -> None:
    chat.send(*(alert for alert, *_ in LINES))
    for told, english, chinese in LINES:
        text = chat.message(f"🟠 {told['labels']['rule']}\n")
        last = {"en": "Dashboard", "zh": "查看仪表盘"}[chat.language]
        expected = {"en": english, "zh": chinese}[chat.language]
        assert text.splitlines() == ["🟠 " + told["labels"]["rule"], expected, last]


ENDS = [
    ("", "✅ channel 7 (Main): has ended", "✅ 渠道 7（Main）：已结束"),
    (
        "paused",
        "⏸ channel 7 (Main): paused, its rule is switched off or outside its hours",
        "⏸ 渠道 7（Main）：已暂停，规则已停用或不在生效时段",
    ),
    (
        "changed",
        "🔕 channel 7 (Main): over, its rule was changed or removed",
        "🔕 渠道 7（Main）：已结束，规则已修改或删除",
    ),
    (
        "stale",
        "❔ channel 7 (Main): not known, the data are too old to tell",
        "❔ 渠道 7（Main）：状态未知，数据太旧，无法判断",
    ),
    (
        "unlogged",
        "❔ channel 7 (Main): not known, the gateway does not log what is used any more",
        "❔ 渠道 7（Main）：状态未知，网关不再记录用量",
    ),
    (
        "over",
        "⏹ channel 7 (Main): over, the range of its rule has ended",
        "⏹ 渠道 7（Main）：已结束，规则的日期范围已过",
    ),
]


@pytest.mark.parametrize(("state", "english", "chinese"), ENDS, ids=[e[0] or "ended" for e in ENDS])
def test_what_ends_says_why(chat: Chat, state: str, english: str, chinese: str) -> None:
    rule = f"ends {state or 'by itself'}"
    told = alert(rule, "token_usage", CHANNEL, **USED)
    chat.send(told)
    chat.message(f"🟠 {rule}")
    chat.end(told, state=state)
    line = {"en": english, "zh": chinese}[chat.language]
    lines = chat.message(f"{rule}\n", line).splitlines()
    assert lines[:2] == [rule, line]
    late = {"en": "up to an hour after", "zh": "最多过一小时"}[chat.language]
    assert any(late in each for each in lines) == (state == "")


HOSTILE = [
    "<b>&\"'`+=" * 700,
    "😀" * 5000,
    "</b><a href='x'>" * 400,
    "\u202e\x07\n\t" * 1300 + "x",
    "名" * 5000,
]


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_300_targets_of_hostile_names_are_one_readable_message(chat: Chat, number: int) -> None:
    rule = f"{number}{HOSTILE[number][:200]}"
    alerts = []
    for target in range(300):
        name = HOSTILE[number][: 5000 if target % 50 == 0 else 200]
        scope = {"scope": "model", "target": f"{target}{name}", "each": "true"}
        told = alert(rule, "token_usage", scope, used=name, threshold=name, name=name)
        alerts.append(told)
    chat.send(*alerts)
    text = chat.message(f"🟠 {number}", "300")
    assert escaped(text) <= LONGEST
    assert len(text.encode("utf-16-le")) // 2 <= LONGEST
    lines = text.splitlines()
    assert len(lines) >= 4
    last = {"en": "… 300 in all", "zh": "…… 共 300 个"}[chat.language]
    assert lines[-2] == last
    assert not re.search(r"[^\n]{1500}", text)


def busy_keys(rule: str, count: int) -> list[Alert]:
    """Give alerts of a rule for API keys 1000 and up."""
    return [
        alert(rule, "cost", {"scope": "api_key", "target": f"{1000 + i}", "each": "true",
                             "currency": "USD"},
              used="12.34", threshold="10.00", name=f"user{i} / key", since=SINCE)
        for i in range(count)
    ]  # fmt: skip


def test_ordinary_targets_get_a_line_each_while_there_is_room(chat: Chat) -> None:
    chat.send(*busy_keys("Busy keys", 300))
    text = chat.message("🟠 Busy keys", "300")
    assert len(re.findall(r"\$12\.34", text)) >= 20
    assert escaped(text) <= LONGEST


def test_what_fires_stands_before_what_ended(chat: Chat) -> None:
    """Also where its target comes last: labels decide the order in which Alertmanager has them."""
    crowd = busy_keys("Mixed", 60)
    chat.send(*crowd)
    chat.message("🟠 Mixed", "60")
    now = datetime.now(UTC).isoformat()
    chat.send(*crowd[-10:], *({**each, "endsAt": now} for each in crowd[:-10]))
    ended = {
        "en": "✅ API key 1000 (user0 / key): has ended",
        "zh": "✅ 令牌 1000（user0 / key）：已结束",
    }
    lines = chat.message("🟠 Mixed", ended[chat.language]).splitlines()
    fires = [number for number, line in enumerate(lines) if "$12.34" in line]
    assert fires == list(range(1, 11))
    assert len([line for line in lines if line.startswith("✅")]) >= 10


def test_a_hostile_notice_of_the_breaker_is_cut(chat: Chat) -> None:
    labels = {"alertname": "NewAPIBreakerTripped", "rule": "r", "target": "7", "trip_id": "x"}
    about = {"summary": "Trip <&> " + HOSTILE[0], "undo": "Undo it.", "follows": "It follows."}
    chat.send({"labels": labels, "annotations": about})
    text = chat.message("⛔ Trip <&> ")
    assert text.endswith("…\nIt follows.\nUndo it.")
    assert escaped(text) <= LONGEST


def test_what_is_said_of_the_monitor_is_said_in_the_language(chat: Chat) -> None:
    groups = yaml.safe_load(MONITOR.read_text(encoding="utf-8"))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    known = [rule for rule in rules if rule["alert"] != "NewAPIMonitorWatchdog"]
    marks = {"instance": "exporter:9847", "model": "m<1>", "group": "vip", "reason": "denied"}
    for rule in known:
        labels = {"alertname": rule["alert"], **rule["labels"], **marks}
        told = {
            "summary": rule["annotations"]["summary"],
            "description": f"About {rule['alert']}.",
            "dashboard_url": "http://127.0.0.1:3001/d/x",
        }
        chat.send({"labels": labels, "annotations": told})
    icons = {"critical": "🔴", "warning": "🟠", "info": "🔵"}
    template = TEMPLATES.joinpath("words.zh.tmpl").read_text(encoding="utf-8")
    titles = dict(
        re.findall(r'eq \$name "(NewAPI\w+)" \}\}(.+)', template.partition("newapi.about")[0])
    )
    for rule in known:
        icon, name = icons[rule["labels"]["severity"]], rule["alert"]
        if chat.language == "en":
            title = rule["annotations"]["summary"].removesuffix(".")
            lines = chat.message(f"{icon} {title}").splitlines()
            assert lines == [f"{icon} {title}", f"About {name}.", "Dashboard"]
        else:
            lines = chat.message(f"{icon} {titles[name]}").splitlines()
            assert lines[2:] == ["查看仪表盘"]
            assert re.search("[一-龥]{8}", lines[1])


HOUR = 4
"""Seconds that stand for an hour."""


def test_a_rule_with_a_star_is_told_once_an_hour(tmp_path: Path) -> None:
    """An hour stands for at most one message, also where more targets come, and it comes again."""
    chat = Chat("en", tmp_path, hour=f"{HOUR}s", again=f"{1000 * HOUR * 59 // 60}ms")
    try:
        for targets in (1, 2, 3, 3, 3):  # two that come late, then nothing new
            chat.send(*busy_keys("Star", targets))
            chat.await_another(5 * HOUR)
        times = chat.times()
    finally:
        chat.close()
    gaps = [later - before for before, later in pairwise(times)]
    assert min(gaps) > 0.8 * HOUR, "more than one an hour"
    # A look may come late on a busy machine; every second one would be missed without fail.
    assert min(gaps[2:]) < 1.6 * HOUR, "not told again in time"
