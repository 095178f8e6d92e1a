"""Each type of alert rule on the real chain, from a row in the gateway's tables to Telegram.

One chain runs for all of it: rules fire, hours end and begin, alerts.yml is edited, each part is
restarted, and a rule looks at 300 API keys. In the end nothing was told twice.
"""

import re
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
from sqlalchemy import text

from newapi.database import Database
from tests.gateway import gateway_at, put, run
from tests.servers.process import Server, wait_until
from tests.stack import Stack

SOON = 60
"""Seconds from the start until the hours of one rule end, and those of another begin."""
CROWD = range(101, 401)
"""API keys that one rule looks at together."""
PER_USD, CNY = 500_000, 7.3
ALICE = "user 3 (alice)"
TITLE = re.compile(r"(?:🟠 |🔴 |🔵 )?(.+?)(?: · \d+ firing)?")

RULES = {
    "tokens": "type: token_usage; threshold: 100000",
    "cost": "type: cost; user: 3; threshold: 1; currency: CNY",
    "errors": "type: error_rate; model: flaky; threshold: 10; period: 15m",
    "slow": "type: latency; model: slow; statistic: p95; threshold: 5",
    "down": "type: channel_down; channel: 3",
    "by hand": "type: channel_down; channel: 9; include_manual: true",
    "down already": "type: channel_down; channel: 8; action: disable_channel",
    "low": "type: quota_low; api_key: 9; threshold: 0.5",
    "spike": "type: request_spike; user: 5; threshold: 200; period: 5m",
    "stop tokens": "type: token_usage; channel: 1; threshold: 1000; action: disable_channel",
    "stop cost": "type: cost; api_key: 7; threshold: 0.1; action: disable_api_key",
    "stop errors": "type: error_rate; channel: 2; threshold: 10; action: disable_channel",
    "stop slow": "type: latency; channel: 4; threshold: 5; action: disable_channel",
    "stop spike": "type: request_spike; channel: 5; threshold: 200; period: 5m;"
    " action: disable_channel",
    "stop low": "type: quota_low; api_key: 8; threshold: 0.5; action: disable_api_key",
    "ends": 'type: token_usage; user: 3; threshold: 5; active: {hours: "08:00-18:00"}',
    "begins": 'type: token_usage; user: 3; threshold: 6; active: {hours: "18:00-20:00"}',
    "removed": "type: token_usage; user: 3; threshold: 5; period: 6h",
    "lowered": "type: token_usage; user: 3; threshold: 999999; period: 12h",
    "dry": "type: token_usage; channel: 6; threshold: 5000; action: disable_channel",
    "crowd": "type: token_usage; api_key: '*'; threshold: 2000",
    **{f"mark {n}": f"type: token_usage; user: {60 + n}; threshold: 1" for n in range(4)},
}


def _file(rules: dict[str, str]) -> str:
    bodies = (f"name: {name}; {rule}".replace("; ", "\n") for name, rule in rules.items())
    return "rules:\n" + "".join(f"  -\n{indent(body, '    ')}\n" for body in bodies)


class Chain:
    """The chain, the gateway's database, and the texts that arrived."""

    def __init__(self, stack: Stack, database: Database) -> None:
        self.stack = stack
        self.database = database

    def log(self, *rows: dict[str, Any]) -> None:
        """Write log rows in one transaction: requests of a token each where they say no more."""
        usual = {
            "type": 2, "created_at": int(time.time()), "user_id": 1, "token_id": 1, "channel_id": 7,
            "model_name": "m", "prompt_tokens": 1, "completion_tokens": 0, "quota": 1,
            "use_time": 1, "token_name": "key", "request_id": "", "other": "",
        }  # fmt: skip
        put(self.database, "logs", *({**usual, **row} for row in rows))

    def sql(self, what: str, where: str) -> float:
        """Ask the log table."""
        with self.database.connect() as connection:
            statement = text(f"SELECT {what} FROM logs WHERE {where}")
            return float(connection.execute(statement).scalar() or 0)

    def texts(self) -> list[str]:
        assert self.stack.telegram.refused() == []
        return [str(message["text"]) for message in self.stack.telegram.messages()]

    def timed(self) -> list[str]:
        """Give the texts with the second of their arrival, for who looks for the reason of one."""
        messages = self.stack.telegram.messages()
        return [
            f"{message['time'] - messages[0]['time']:.0f} s: {message['text']}"
            for message in messages
        ]

    def message(self, *parts: str) -> str:
        """Wait for a message that holds these texts.

        Prometheus tells an alert again after a minute: a restarted Alertmanager hears of it then.
        """

        def found() -> str:
            return next((t for t in self.texts() if all(part in t for part in parts)), "")

        try:
            return wait_until(found, 90)
        except TimeoutError:
            raise AssertionError(f"no message has {parts}: {self.texts()}") from None

    def minutes_since(self, moment: str) -> int:
        """Tell how long ago a moment of a message is, by the clock of the rules."""
        offset = self.stack.prometheus.query("newapi_timezone_offset_seconds")[0].value
        now = int(time.time() + offset) // 60 % 1440
        hours, minutes = moment.rsplit(maxsplit=1)[-1].split(":")
        return (now - int(hours) * 60 - int(minutes)) % 1440

    def await_log_of_messages(self) -> None:
        """Wait until Alertmanager wrote down what it sent, which it does at intervals."""
        log, now = self.stack.alertmanager.data / "nflog", time.time()
        wait_until(lambda: log.is_file() and log.stat().st_mtime > now, 30, "its log of messages")

    def mark(self, number: int) -> None:
        """See a row of this moment go through the whole chain."""
        self.log({"user_id": 60 + number})
        self.message(f"🟠 mark {number}\n")


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    folder = tmp_path_factory.mktemp("chain")
    dsn = f"sqlite:///{folder}/one-api.db"
    _write_zone(folder / "Test" / "Soon", 18 * 3600, time.time() + SOON)
    settings = {
        "TZ": "Test/Soon",
        "PYTHONTZPATH": str(folder),
        "BREAKER_MAX_TRIPS_PER_HOUR": "100",
    }
    with gateway_at(dsn) as database:
        _fill(database)
        with Stack(dsn, _file(RULES), hurried=True, settings=settings) as stack:
            wait_until(lambda: stack.prometheus.query("newapi_api_key_info"), 30, "a scrape")
            wait_until(lambda: stack.prometheus.query("newapi_alert_rule"), 30, "rules")
            yield Chain(stack, database)


def _write_zone(path: Path, seconds: int, moment: float) -> None:
    """Write a time zone (RFC 8536) in which it is so many seconds after midnight at a moment."""
    offset = (seconds - int(moment)) % 86400
    offset -= 86400 if offset > 43200 else 0
    path.parent.mkdir()
    head = b"TZif" + bytes(16) + struct.pack(">6l", 0, 0, 0, 0, 1, 4)
    path.write_bytes(head + struct.pack(">lBB", offset, 0, 0) + b"TST\0")


def _fill(database: Database) -> None:
    """Put channels, API keys and users there."""
    options = {
        "QuotaPerUnit": str(PER_USD),
        "USDExchangeRate": str(CNY),
        "general_setting.quota_display_type": "CNY",
        "LogConsumeEnabled": "true",
    }
    put(database, "options", *({"key": key, "value": value} for key, value in options.items()))
    for number in range(1, 10):
        row = {"id": number, "type": 1, "status": 1, "key": "sk-none"}
        put(database, "channels", {**row, "name": f"c{number}"})
        ability = {"group": "default", "model": "m", "channel_id": number, "enabled": 1}
        put(database, "abilities", ability)
    for number in (7, 8, 9, *CROWD):
        row = {"id": number, "user_id": 3, "key": f"k{number}", "name": f"key {number}"}
        put(database, "tokens", {**row, "status": 1, "expired_time": -1, "remain_quota": 10**9})
    put(database, "users", {"id": 3, "username": "alice", "password": "none", "aff_code": "a"})


def test_each_type_is_told_with_the_value_that_sql_gives(chain: Chain) -> None:
    now = int(time.time())
    before = {"created_at": now - 450}
    run(
        chain.database,
        "UPDATE channels SET status = 3 WHERE id IN (3, 8)",
        "UPDATE channels SET status = 2 WHERE id = 9",
        "UPDATE tokens SET remain_quota = 100000 WHERE id IN (8, 9)",
    )
    chain.log(
        {"prompt_tokens": 120_000, "completion_tokens": 3_456},
        {"user_id": 3, "quota": 123_456, "prompt_tokens": 10},
        *({"model_name": "flaky"} for _ in range(30)),
        *({"model_name": "flaky", "type": 5, "other": '{"status_code":503}'} for _ in range(10)),
        *({"model_name": "slow", "use_time": seconds} for seconds in range(1, 26)),
        *({"user_id": 5, **before} for _ in range(25)),
        *({"user_id": 5} for _ in range(90)),
    )
    tokens = chain.sql("SUM(prompt_tokens + completion_tokens)", "type = 2")
    money = chain.sql("SUM(quota)", "user_id = 3") / PER_USD * CNY
    failed = chain.sql("COUNT(*)", "model_name = 'flaky' AND type = 5")
    attempts = chain.sql("COUNT(*)", "model_name = 'flaky'")
    slow = chain.sql("COUNT(*)", "model_name = 'slow'")
    # The shortest duration that 95 % of the requests did not pass.
    p95 = chain.sql(
        "MIN(use_time)",
        "model_name = 'slow' AND (SELECT COUNT(*) FROM logs l WHERE l.model_name = 'slow'"
        f" AND l.use_time <= logs.use_time) >= 0.95 * {slow}",
    )
    old = chain.sql("COUNT(*)", f"user_id = 5 AND created_at < {now - 300}")
    new = chain.sql("COUNT(*)", f"user_id = 5 AND created_at >= {now - 300}")
    for rule, line in {
        "tokens": f"the gateway: {tokens / 1000:.4g} k tokens in 1h, threshold 100 k",
        "cost": f"user 3 (alice): ¥{money:.2f} in 1h, threshold ¥1.00",
        "errors": f"model flaky: {100 * failed / attempts:.1f} % of {attempts:.0f} attempts failed"
        " in 15m, threshold 10 %",
        "slow": f"model slow: p95 {p95:.1f} s over {slow:.0f} requests in 1h, threshold 5 s",
        "spike": f"user 5: {100 * (new - old) / old:.0f} % more requests in 5m than before"
        f" ({old:.0f} → {new:.0f}), threshold 200 %",
    }.items():
        told, since = chain.message(f"🟠 {rule}\n").splitlines()[1].split(", since ")
        assert told == line
        assert chain.minutes_since(since) <= 5


def test_each_type_that_acts_is_stopped_with_one_message(chain: Chain) -> None:
    before = {"created_at": int(time.time()) - 450}
    chain.log(
        {"channel_id": 1, "prompt_tokens": 1000},
        {"token_id": 7, "quota": 100_000},
        *({"channel_id": 2} for _ in range(20)),
        *({"channel_id": 2, "type": 5, "other": '{"status_code":503}'} for _ in range(10)),
        *({"channel_id": 4, "use_time": 9} for _ in range(20)),
        *({"channel_id": 5, **before} for _ in range(20)),
        *({"channel_id": 5} for _ in range(80)),
    )
    told = {
        "stop tokens": "Channel c1 (#1)",
        "stop cost": "API key key 7 (#7)",
        "stop errors": "Channel c2 (#2)",
        "stop slow": "Channel c4 (#4)",
        "stop spike": "Channel c5 (#5)",
    }
    for rule, target in told.items():
        assert chain.message(f"was disabled by rule {rule}: ").startswith(f"⛔ {target} was")
    with chain.database.connect() as connection:
        off = connection.execute(text("SELECT id FROM channels WHERE status = 2 ORDER BY id"))
        assert off.scalars().all() == [1, 2, 4, 5, 9]
        off = connection.execute(text("SELECT id FROM tokens WHERE status = 2 ORDER BY id"))
        assert 7 in off.scalars().all()  # and 8, of "stop low", sooner or later
    tripped = [entry for entry in chain.stack.history() if entry["result"] == "tripped"]
    rules = [entry["rule"] for entry in tripped if entry["rule"] != "stop low"]  # comes later
    assert sorted(rules) == sorted(told)


def test_an_edit_takes_effect_without_a_reload(chain: Chain) -> None:
    for rule in ("removed", "ends"):
        chain.message(f"🟠 {rule}\n")
    lowered = {"lowered": RULES["lowered"].replace("999999", "5")}
    rules = {name: rule for name, rule in RULES.items() if name != "removed"} | lowered
    chain.stack.alerts_file.write_text(_file(rules))
    chain.message("🟠 lowered\n")


def test_what_the_inventory_shows_is_told_and_stopped(chain: Chain) -> None:
    """It is read every 15 s, and a channel counts once it has been down for 30 s."""
    left = 100_000 / PER_USD
    chain.message(f"🟠 low\nAPI key 9 (alice / key 9): ${left:.2f} left, threshold $0.50, since ")
    line = f"by rule stop low: ${left:.2f} left, the threshold is $0.50.\n"
    assert chain.message(line).startswith("⛔ API key key 8 (#8) was disabled")
    chain.message("🟠 down\nchannel 3 (c3): disabled by the gateway, since ")
    chain.message("🟠 by hand\nchannel 9 (c9): disabled by hand, since ")
    chain.message("🟠 down already\nchannel 8 (c8): disabled by the gateway, since ")
    chain.message("Channel c8 (#8) was not disabled by rule down already: ")


def test_hours_end_and_begin(chain: Chain) -> None:
    chain.message("🟠 begins\n")
    chain.message(f"ends\n⏸ {ALICE}: paused, its rule is switched off or outside its hours")
    chain.message(f"removed\n🔕 {ALICE}: over, its rule was changed or removed")


@pytest.mark.parametrize(
    ("number", "parts"),
    [(0, ["breaker", "alertmanager"]), (1, ["prometheus"]), (2, ["exporter"])],
)
def test_a_crash_is_no_second_message(chain: Chain, number: int, parts: list[str]) -> None:
    """Each part is killed and comes back; what is told twice, the last test finds.

    What ended was told before: an Alertmanager that restarts hears of it again after a minute,
    but not from a Prometheus that restarted within it.
    """
    for part in parts:
        server: Server = getattr(chain.stack, part)
        if part == "alertmanager":
            chain.await_log_of_messages()
        server.stop(crash=True)
        server.start()
    chain.mark(number)


def test_a_dry_run_says_what_it_would_have_done(chain: Chain) -> None:
    state = Path(chain.stack.breaker.settings["BREAKER_STATE"])
    (state / "mode").write_text("dry-run")
    chain.log({"channel_id": 6, "prompt_tokens": 6000})
    chain.message("Channel c6 (#6) would have been disabled by rule dry: ")
    with chain.database.connect() as connection:
        status = connection.execute(text("SELECT status FROM channels WHERE id = 6")).scalar()
    assert status == 1


def test_of_300_targets_nobody_is_lost(chain: Chain) -> None:
    chain.log(*({"token_id": number, "prompt_tokens": 2000 + number} for number in CROWD))
    told = chain.message("🟠 crowd")
    assert told.startswith(f"🟠 crowd · {len(CROWD)} firing\n")
    assert len(told) + 4 * len(re.findall(r"[&<>\"'`+=]", told)) <= 3900
    assert f"… {len(CROWD)} in all" in told
    line = re.compile(r"^API key \d+ \(alice / key \d+\): 2\.\d+ k tokens", re.MULTILINE)
    assert len(line.findall(told)) >= 10

    def recorded() -> set[str]:
        entries = chain.stack.history("--rule", "crowd", "--limit", "1000")
        return {entry["target"] for entry in entries}

    wait_until(lambda: recorded() == {str(number) for number in CROWD}, 30, "300 records")


def test_nothing_was_told_twice_or_without_a_reason(chain: Chain) -> None:
    chain.mark(3)
    titles = []
    for message in chain.texts():
        first, _, rest = message.partition("\n")
        if found := re.match(r"(?:⛔|ℹ️) .+ by rule (.+?): ", first):
            titles.append(("breaker", found[1]))
        else:
            found = TITLE.fullmatch(first)
            assert found is not None, message
            titles.append(("ended" if rest[:1] in "✅⏸🔕❔" else "told", found[1]))
    stops = [name for name in RULES if name.startswith("stop")]
    tells = [name for name in RULES if name not in stops]
    refused = ["down already"]
    assert sorted(titles) == sorted(
        [("told", name) for name in tells]
        + [("breaker", name) for name in (*stops, "dry", *refused)]
        + [("ended", name) for name in ("ends", "removed")]
    ), "\n\n".join(chain.timed())
