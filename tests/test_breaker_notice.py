"""The words of notices, and their way to the real Alertmanager."""

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from breaker.decision import Decision, Reason, Release, Result, Target, TripState
from breaker.holding import Undone
from breaker.incidents import Change
from breaker.notice import compose
from breaker.outbox import Outbox
from breaker.record import Record
from breaker.settings import Language
from breaker.store import Store
from breaker.texts import TEXTS
from newapi.database import Fault
from newapi.switch import Kind
from tests.breaker import Clock
from tests.servers import Alertmanager, free_port
from tests.webhooks import TELL_LABELS, TRIP_LABELS, make_alert

CONFIG = """
route: {receiver: nobody}
receivers: [{name: nobody}]
"""
CHANNEL = Target(Kind.CHANNEL, 7)
TRIPPED = Decision(Result.TRIPPED, trip_id="0a1b2c3d")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path, writable=True)
    yield store
    store.close()


def test_a_trip_is_told_with_what_to_know() -> None:
    notice = compose(make_alert(), TRIPPED, "OpenAI {main}", "en")
    assert notice is not None
    assert notice.labels == {
        "alertname": "NewAPIBreakerTripped",
        "rule": "budget",
        "type": "token_usage",
        "scope": "channel",
        "target": "7",
        "channel_id": "7",
        "trip_id": "0a1b2c3d",
        "severity": "critical",
    }
    assert notice.annotations["summary"] == (
        "Channel OpenAI {main} (#7) was disabled by rule budget:"
        " 120,000 tokens in 1h, the limit is 100,000 tokens."
    )
    assert (notice.annotations["value"], notice.annotations["threshold"]) == ("120000", "100000")
    assert "delete disabled channels" in notice.annotations["undo"]
    assert "SYNC_FREQUENCY" in notice.annotations["follows"]


@pytest.mark.parametrize(
    ("labels", "value", "english", "chinese"),
    [
        (
            {"type": "cost", "currency": "USD"},
            "3.400000",
            ": $3.40 in 1h, the limit is $3.00.",
            "：1h 内 $3.40，上限 $3.00。",
        ),
        (
            {"type": "cost", "currency": "CNY", "period": "today"},
            "1234.5",
            ": ¥1,234.50 today, the limit is ¥3.00.",
            "：今日 ¥1,234.50，上限 ¥3.00。",
        ),
        (
            {"type": "cost", "currency": "USD", "period": "2026-09-01..2026-09-30T18:00"},
            "0.004000",
            ": $0.004 from 2026-09-01 to 2026-09-30 18:00, the limit is $3.00.",
            "：2026-09-01 至 2026-09-30 18:00 $0.004，上限 $3.00。",
        ),
        (
            {"type": "cost", "currency": "USD", "period": "2026-09-01.."},
            "4",
            ": $4.00 since 2026-09-01, the limit is $3.00.",
            "：自 2026-09-01 起 $4.00，上限 $3.00。",
        ),
        (
            {"type": "quota_low", "currency": "USD", "period": ""},
            "-1.25",
            ": -$1.25 left, the threshold is $3.00.",
            "：仅剩 -$1.25，阈值 $3.00。",
        ),
        ({"type": "channel_down", "period": ""}, "1", ".", "。"),
    ],
)
def test_money_and_time_are_told_as_people_write_them(
    labels: dict[str, str], value: str, english: str, chinese: str
) -> None:
    alert = make_alert(TRIP_LABELS | labels)
    alert = alert.model_copy(
        update={"annotations": alert.annotations | {"value": value, "threshold": "3.00"}}
    )
    for language, ending in (("en", english), ("zh", chinese)):
        notice = compose(alert, TRIPPED, "", notice_language(language))
        assert notice is not None
        assert notice.annotations["summary"].endswith(f"budget{ending}") or notice.annotations[
            "summary"
        ].endswith(f"budget 禁用{ending}")


def test_chinese() -> None:
    notice = compose(make_alert(), TRIPPED, "主渠道", "zh")
    assert notice is not None
    assert notice.annotations["summary"] == (
        "渠道 主渠道 (#7) 已被规则 budget 禁用：1h 内 120,000 tokens，上限 100,000 tokens。"
    )


def test_a_dry_run_says_what_would_have_been_done() -> None:
    notice = compose(make_alert(), Decision(Result.WOULD_TRIP, trip_id="x"), "", "en")
    assert notice is not None
    assert notice.annotations["summary"].startswith(
        "Channel #7 would have been disabled by rule budget: "
    )
    assert "undo" not in notice.annotations


def notice_language(language: str) -> Language:
    return "zh" if language == "zh" else "en"


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize(
    ("result", "reason"),
    [(Result.REFUSED, reason) for reason in Reason if reason is not Reason.UNVERIFIED]
    + [(Result.FAILED, fault) for fault in (*Fault, Reason.UNVERIFIED)]
    + [(Result.RELEASED, reason) for reason in Release]
    + [(Result.SET_AGAIN, reason) for reason in (Undone.GATEWAY_TEST, Undone.EDIT_FORM)],
)
def test_each_reason_has_words(language: str, result: Result, reason: str) -> None:
    decision = Decision(result, reason, "the detail", "x")
    notice = compose(make_alert(), decision, "name", notice_language(language))
    if reason in {Reason.OFF, Reason.OTHER_TRIP, Reason.OVERRIDDEN}:
        assert notice is None
        return
    assert notice is not None
    assert ("the detail" in notice.annotations["summary"]) is (result is not Result.SET_AGAIN)
    assert "{" not in notice.annotations["summary"]
    name = {Result.SET_AGAIN: "SetAgain"}.get(result, result.capitalize())
    assert notice.labels["alertname"] == f"NewAPIBreaker{name}"
    if result is not Result.FAILED:  # a Fault's detail says it
        assert (
            TEXTS[notice_language(language)].whys[reason].format(action="disable_channel")
            in (notice.annotations["summary"])
        )


def test_what_was_only_recorded_is_not_told() -> None:
    assert compose(make_alert(TELL_LABELS), Decision(Result.RECORDED), "", "en") is None
    assert compose(make_alert(), Decision(Result.REPEATED), "", "en") is None


def test_an_alert_without_numbers_is_told_without() -> None:
    alert = make_alert({**TRIP_LABELS, "channel_id": "x"}, value="none")
    notice = compose(alert, Decision(Result.REFUSED, Reason.BAD_ALERT), "", "en")
    assert notice is not None
    assert notice.annotations["summary"] == (
        "Channel #x was not disabled by rule budget: the alert does not say which one."
    )


def test_a_notice_lives_five_minutes_from_its_arrival(store: Store) -> None:
    clock = Clock(1_800_000_000)
    record = Record(store)
    record.incidents.open("0a1b2c3d", make_alert(), CHANNEL, int(clock.now), 0)
    notice = compose(make_alert(), TRIPPED, "OpenAI main", "en")
    record.add(make_alert(), TRIPPED, int(clock.now), notice=notice)
    posted: list[tuple[float, str]] = []

    class Watched(Outbox):
        def _sent(self, alerts: list[dict[str, object]], now: int) -> bool:
            assert len(alerts) == 1
            posted.append((now - 1_800_000_000, str(alerts[0]["endsAt"])))
            return now >= 1_800_000_600  # Alertmanager is down for ten minutes

    outbox = Watched(store, "http://alertmanager:9093/", None, clock)
    for minute in range(20):
        clock.now = 1_800_000_000 + 60 * minute
        outbox.post()
    outbox.close()
    arrived = [when for when, _ in posted if when >= 600]
    assert arrived == [600, 660, 720, 780, 840]
    assert {ends for when, ends in posted if when >= 600} == {"2027-01-15T08:15:00+00:00"}


def test_a_notice_that_never_arrives_is_given_up_after_a_day(store: Store) -> None:
    clock = Clock(1_800_000_000)
    record = Record(store)
    record.add(
        make_alert(), TRIPPED, int(clock.now), notice=compose(make_alert(), TRIPPED, "", "en")
    )
    clock.now += 25 * 3600
    with_nobody = Outbox(store, f"http://127.0.0.1:{free_port()}", None, clock)
    with_nobody.post()
    with_nobody.close()
    assert [row["posted_at"] for row in store.read("SELECT posted_at FROM notices")] == [None]


def test_the_notice_of_a_trip_waits_for_what_the_gateway_says(store: Store) -> None:
    record = Record(store)
    refused = Decision(Result.REFUSED, Reason.PROTECTED, trip_id="0a1b2c3d")
    for number, decision in enumerate((TRIPPED, refused)):
        notice = compose(make_alert(), decision, "", "en")
        record.add(make_alert(), decision, 1_800_000_000 + number, notice=notice)
    waiting = {"0a1b2c3d"}
    posted: list[list[str]] = []

    class Watched(Outbox):
        def _sent(self, alerts: list[dict[str, Any]], now: int) -> bool:
            posted.append([alert["annotations"].get("follows", "") for alert in alerts])
            return now > 0

    url = "http://alertmanager:9093/"
    outbox = Watched(store, url, None, Clock(1_800_000_010), lambda: waiting)
    outbox.post()
    record.annotate("0a1b2c3d", "follows", "at once")
    waiting.clear()
    outbox.post()
    outbox.close()
    assert posted == [[""], ["at once"]]


def test_alertmanager_gets_it_after_it_was_down(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    now = int(time.time())
    clock = Clock(now)
    record = Record(store)
    record.add(make_alert(), TRIPPED, now, notice=compose(make_alert(), TRIPPED, "主渠道", "zh"))
    with Alertmanager(CONFIG) as alertmanager:
        alertmanager.stop()
        outbox = Outbox(store, alertmanager.url, "http://grafana:3000/", clock)
        for clock.now in range(now, now + 5):
            outbox.post()
        assert [r.message for r in caplog.records] == ["Alertmanager: ConnectionError"]
        alertmanager.start()
        outbox.post()
        (alert,) = alertmanager.get("/api/v2/alerts")
        assert alert["labels"]["trip_id"] == "0a1b2c3d"
        assert alert["annotations"]["summary"].startswith("渠道 主渠道 (#7) 已被规则 budget 禁用")
        assert alert["generatorURL"] == "http://grafana:3000/"
        outbox.close()


def test_what_alertmanager_refuses_is_logged_in_one_line(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    record = Record(store)
    record.add(
        make_alert(), TRIPPED, 1_800_000_000, notice=compose(make_alert(), TRIPPED, "", "en")
    )
    with Alertmanager(CONFIG) as alertmanager:
        outbox = Outbox(store, f"{alertmanager.url}/elsewhere", None, Clock(1_800_000_000))
        outbox.post()
        outbox.close()
    assert [r.message for r in caplog.records] == ["Alertmanager: status 404: 404 page not found"]
    assert [row["posted_at"] for row in store.read("SELECT posted_at FROM notices")] == [None]


@pytest.mark.parametrize("language", TEXTS)
def test_the_longest_message_fits_into_telegram(language: str) -> None:
    """4,096 characters; a name may be five times as long once it is escaped."""
    labels = TRIP_LABELS | {"rule": "&" * 1000, "release_after": "600"}
    decisions = [TRIPPED, Decision(Result.FAILED, Fault.OTHER, "&" * 5000, "x")]
    for decision in decisions:
        notice = compose(make_alert(labels), decision, "&" * 1000, notice_language(language))
        assert notice is not None
        text = "\n".join(
            notice.annotations.get(n, "") for n in ("summary", "follows", "undo", "until")
        )
        assert len(text.replace("&", "&amp;")) < 3900


def test_a_trip_lives_on_in_alertmanager_while_its_rule_tells(store: Store) -> None:
    """It inhibits the alert that tells, which remembers its condition for an hour."""
    start = 1_800_000_000
    clock = Clock(start)
    record = Record(store)
    record.incidents.open("0a1b2c3d", make_alert(), CHANNEL, start, 0)
    notice = compose(make_alert(), TRIPPED, "OpenAI main", "en")
    held = Change("0a1b2c3d", TripState.HELD)
    record.add(make_alert(), TRIPPED, start, change=held, notice=notice)
    ends: list[float] = []

    class Watched(Outbox):
        def _sent(self, alerts: list[dict[str, object]], now: int) -> bool:
            del now
            ends.extend(datetime.fromisoformat(str(a["endsAt"])).timestamp() for a in alerts)
            return True

    outbox = Watched(store, "http://alertmanager:9093/", None, clock)
    repeated = Decision(Result.REPEATED, trip_id="0a1b2c3d")
    for minute in range(180):
        clock.now = start + 60 * minute
        if minute < 30:
            record.add(make_alert(), repeated, int(clock.now))
        outbox.post()
    outbox.close()
    # The last delivery was in minute 29; an hour, and the five minutes of every notice.
    assert (max(ends) - start) / 60 == pytest.approx(29 + 60 + 5 + 5, abs=1)
    assert len(ends) == pytest.approx(29 + 60 + 5 + 5, abs=2)


def test_a_released_trip_ends_as_any_notice(store: Store) -> None:
    start = 1_800_000_000
    clock = Clock(start)
    record = Record(store)
    record.incidents.open("0a1b2c3d", make_alert(), CHANNEL, start, 0)
    notice = compose(make_alert(), TRIPPED, "OpenAI main", "en")
    record.add(
        make_alert(), TRIPPED, start, change=Change("0a1b2c3d", TripState.RELEASED), notice=notice
    )
    posts = []

    class Watched(Outbox):
        def _sent(self, alerts: list[dict[str, object]], now: int) -> bool:
            posts.append((now - start, len(alerts)))
            return True

    outbox = Watched(store, "http://alertmanager:9093/", None, clock)
    for minute in range(60):
        clock.now = start + 60 * minute
        outbox.post()
    outbox.close()
    assert posts == [(0, 1), (60, 1), (120, 1), (180, 1), (240, 1)]
