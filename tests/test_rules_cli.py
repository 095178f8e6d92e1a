"""newapi-exporter check, rules, import-token-monitor."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.cli import main
from exporter.rules.edit import switch
from exporter.rules.file import RulesError, load_rules, read_rules
from newapi.database import Database
from newapi.logs import LogTable
from tests.gateway import gateway_at, put

EXAMPLE = Path(__file__).parent.parent / "alerts.yml"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "alerts.yml"


def command(*arguments: object, **environment: str) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments], env=environment)


def test_an_example_is_printed_in_either_language() -> None:
    english, chinese = (command("rules", "example", "--lang", lang) for lang in ("en", "zh"))
    assert english.output == EXAMPLE.read_text(encoding="utf-8")
    there, here = (read_rules(r.output, "alerts.yml").rules for r in (english, chinese))
    told = [[rule.model_dump(exclude={"name"}) for rule in rules] for rules in (there, here)]
    assert told[0] == told[1]
    assert not {rule.name for rule in here} & {rule.name for rule in there}


FILE = dedent("""\
    # My rules.
    timezone: Asia/Shanghai  # where we are

    rules:
      # The first.
      - name: "spent # today"   # in dollars
        type: cost
        period: today
        threshold: 5

      - type: cost
        threshold: 6
        name: last
    """)


def test_a_rule_is_switched_and_everything_else_stays(file: Path) -> None:
    file.write_text(FILE)
    file.chmod(0o640)
    result = command("rules", "disable", "spent # today", "--alerts-file", file)
    assert (result.exit_code, result.output) == (0, "spent # today: off\n")
    after = '"spent # today"   # in dollars\n'
    assert file.read_text() == FILE.replace(after, f"{after}    enabled: false\n")
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in file.parent.iterdir()] == ["alerts.yml"]
    result = command("rules", "disable", "spent # today", "--alerts-file", file)
    assert result.output == "spent # today: it was off already\n"
    command("rules", "enable", "spent # today", "--alerts-file", file)
    assert file.read_text() == FILE.replace(after, f"{after}    enabled: true\n")
    command("rules", "disable", "last", "--alerts-file", file)
    assert file.read_text().endswith("    name: last\n    enabled: false\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rules: [{name: a, type: cost, threshold: 5}]",
         "rules: [{enabled: false, name: a, type: cost, threshold: 5}]"),
        ("rules:\r\n  - name: a\r\n    type: cost\r\n    threshold: 5\r\n",
         "rules:\r\n  - name: a\r\n    enabled: false\r\n    type: cost\r\n    threshold: 5\r\n"),
        ("rules:\n- type: cost\n  threshold: 5\n  name: a",
         "rules:\n- type: cost\n  threshold: 5\n  name: a\n  enabled: false\n"),
        ("rules:\n  - enabled:   yes  # now\n    name: a\n    type: cost\n    threshold: 5\n",
         "rules:\n  - enabled:   false  # now\n    name: a\n    type: cost\n    threshold: 5\n"),
        ("rules:\n  - name: >-\n      a\n    type: cost\n    threshold: 5\n",
         "rules:\n  - enabled: false\n    name: >-\n      a\n    type: cost\n    threshold: 5\n"),
        ("x: &b {type: cost}\nrules: []\n", None),
    ],
)  # fmt: skip
def test_files_of_every_shape(file: Path, text: str, expected: str | None) -> None:
    file.write_bytes(text.encode())
    if expected is None:
        with pytest.raises(RulesError):
            switch(file, "a", enabled=False)
        expected = text
    else:
        switch(file, "a", enabled=False)
    assert file.read_bytes().decode() == expected


def test_what_another_rule_shares_is_not_switched_with_it(file: Path) -> None:
    text = dedent("""\
        rules:
          - &a {name: a, type: cost, threshold: 5, enabled: true}
          - {<<: *a, name: b, channel: 7}
        """)
    file.write_text(text)
    result = command("rules", "disable", "a", "--alerts-file", file)
    assert (result.exit_code, file.read_text()) == (1, text)
    assert result.output == f"{file}: 'a' cannot be switched without changing more; edit it\n"
    assert command("rules", "disable", "b", "--alerts-file", file).exit_code == 0
    assert [rule.enabled for rule in load_rules(file).rules] == [True, False]


def test_a_file_that_cannot_be_replaced_is_written_into(file: Path, tmp_path: Path) -> None:
    """As a single file that is mounted into a container; a link stays a link."""
    (tmp_path / "link.yml").symlink_to(file)
    file.write_text(FILE)
    switch(tmp_path / "link.yml", "last", enabled=False)
    assert (tmp_path / "link.yml").is_symlink()
    assert not load_rules(file).rules[1].enabled


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        (FILE, "first", "no rule is named 'first'; the rules are 'spent # today', 'last'"),
        ("rules: [{name: a}]", "a", ":1: type: the key is missing"),
        (None, "a", "there is no such file"),
    ],
)
def test_what_cannot_be_switched_is_said(
    file: Path, text: str | None, name: str, words: str
) -> None:
    if text is not None:
        file.write_text(text)
    result = command("rules", "enable", name, "--alerts-file", file)
    assert result.exit_code == 1
    assert words in result.output
    assert result.output.count("\n") == 1


NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), min_size=1, max_size=9
)


@settings(max_examples=50, deadline=None)
@given(st.lists(NAMES, min_size=1, max_size=4, unique=True), st.integers(0, 3), st.booleans())
def test_rules_of_any_name_are_switched(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], which: int, flow: bool
) -> None:
    file = tmp_path_factory.mktemp("rules") / "alerts.yml"
    items = [f"name: {json.dumps(n, ensure_ascii=False)}, type: cost, channel: {i}, threshold: 5"
             for i, n in enumerate(names)]  # fmt: skip
    listed = (
        f"  - {{{item}}}" if flow else "  - " + item.replace(", ", "\n    ") for item in items
    )
    file.write_text("rules:\n" + "\n".join(listed), encoding="utf-8", newline="")
    before = load_rules(file).rules
    name = names[which % len(names)]
    assert switch(file, name, enabled=False)
    assert [r.enabled for r in load_rules(file).rules] == [n != name for n in names]
    assert switch(file, name, enabled=True)
    assert load_rules(file).rules == before


def test_the_rules_are_listed(file: Path) -> None:
    result = command("rules", "list", "--alerts-file", EXAMPLE)
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert len(lines) == len(load_rules(EXAMPLE).rules)
    assert lines[0] == (
        "on   Runaway channel          token_usage of each channel in 1h from 50,000,000 tokens:"
        " critical, disable_channel"
    )
    file.write_text("rules: [{name: a}]")
    result = command("rules", "list", "--alerts-file", file)
    assert (result.exit_code, result.output) == (1, f"{file}:1: type: the key is missing\n")


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Database]:
    with gateway_at(f"sqlite:///{tmp_path}/one-api.db") as database:
        yield database


def test_check_tells_how_near_each_rule_is(
    gateway: Database, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_800_014_400
    monkeypatch.setattr("time.time", lambda: now)
    put(gateway, "channels",
        *({"id": n, "type": 1, "status": s, "name": f"c{n}", "key": "sk-none", "balance": 4,
           "balance_updated_time": 1} for n, s in ((7, 1), (8, 1), (9, 3))))  # fmt: skip
    used = {"created_at": now - 60, "type": 2, "channel_id": 7, "model_name": "o3",
            "quota": 750_000, "token_id": 5, "user_id": 3, "use_time": 12, "prompt_tokens": 400,
            "completion_tokens": 12}  # fmt: skip
    put(gateway, "logs", *[used] * 20, *[used | {"channel_id": 8}] * 3,
        *[used | {"type": 5, "other": '{"status_code": 500}', "quota": 0}] * 5)  # fmt: skip
    file.write_text(
        dedent("""\
        rules:
          - {name: use, type: token_usage, channel: "*", threshold: 10000}
          - {name: bill, type: cost, period: today, threshold: 40, currency: CNY}
          - {name: fails, type: error_rate, channel: [7, 77], threshold: 40}
          - {name: slow, type: latency, model: o3, threshold: 24, enabled: false}
          - {name: down, type: channel_down, channel: [9], period: 1h}
        """)
    )
    result = command("check", "--alerts-file", file, SQL_DSN=f"sqlite:///{tmp_path}/one-api.db")
    assert result.exit_code == 1
    assert result.output.startswith(f"{file}:6: period: does not go with channel_down, but with")
    assert result.output.count("\n") == 1
    file.write_text(file.read_text().replace("[9], period: 1h", "[9]"))
    dsn = f"sqlite:///{tmp_path}/one-api.db"
    result = command("check", "--alerts-file", file, SQL_DSN=dsn, TZ="Asia/Shanghai")
    assert result.exit_code == 0, result.output
    assert result.output == dedent(f"""\
        SQLite {tmp_path}/one-api.db: New API
        {file}: 5 rules; days and hours in Asia/Shanghai

        use: token_usage of each channel in 1h from 10,000 tokens: warning, notify
          looks at 2 channels, those that are enabled
             82 %  channel 7 (c7): 8,240 tokens
             12 %  channel 8 (c8): 1,236 tokens

        bill: cost of the whole gateway today from ¥40.00: warning, notify
            630 %  ¥251.85

        fails: error_rate of channels 7, 77 in 1h from 40 %: warning, notify
          channel 77: the gateway has none such now
             50 %  channel 7 (c7): 5 of 25 attempts failed
              0 %  channel 77: 0 of 0 attempts failed; says nothing below 20

        slow: latency of model o3 in 1h (mean) from 24 s: warning, notify
          does not count now: disabled
          model o3: the gateway has none such now
             50 %  model o3: 12 s in 23 requests

        down: channel_down of channel 9: warning, notify
            100 %  channel 9 (c9): disabled by the gateway
        """)


def test_check_reads_no_more_than_the_rules_look_at(
    gateway: Database, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_800_014_400
    monkeypatch.setattr("time.time", lambda: now)
    read, since = list[int](), LogTable.since

    def overheard(table: LogTable, connection: Any, start: int, *more: Any) -> Any:
        read.append(start)
        return since(table, connection, start, *more)

    monkeypatch.setattr(LogTable, "since", overheard)
    put(gateway, "logs", {"created_at": now - 60, "type": 2, "channel_id": 7})
    file.write_text("rules: [{name: a, type: cost, channel: 7, period: 5m, threshold: 9}]")
    result = command("check", "--alerts-file", file, SQL_DSN=f"sqlite:///{tmp_path}/one-api.db")
    assert result.exit_code == 0, result.output
    assert now - 600 <= min(read)


def test_check_says_which_database_cannot_be_read(gateway: Database, file: Path) -> None:
    file.write_text("rules: [{name: a, type: cost, threshold: 5}]")
    logs = str(gateway.name).removeprefix("SQLite ")
    nowhere = f"sqlite:///{file.parent}/none.db"
    result = command(
        "check", "--alerts-file", file, SQL_DSN=nowhere, LOG_SQL_DSN=f"sqlite:///{logs}"
    )
    assert result.exit_code == 3
    assert f"{file.parent}/none.db: there is no such file" in result.output


def monitor(path: Path, *rules: tuple[object, ...]) -> Path:
    """Make a monitor.db: name, rule, enabled, from, to, Telegram, action."""
    columns = "name, rule, enabled, start_time, end_time, notify_telegram, trigger_action"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"CREATE TABLE alerts (id INTEGER PRIMARY KEY AUTOINCREMENT, {columns})")
        for name, rule, *rest in rules:
            body = rule if isinstance(rule, str) else json.dumps(rule)
            values = (name, body, *(rest or (1, "00:00", "23:59", 1, "notify")))
            db.execute(f"INSERT INTO alerts ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    return path


def test_the_rules_of_token_monitor_are_taken_over(tmp_path: Path) -> None:
    path = monitor(
        tmp_path / "monitor.db",
        ("渠道日限额", {"type": "channel", "target": "3", "threshold": 1_000_000,
                   "period": "daily"}, 1, "00:00", "23:59", 1, "disable"),
        ("err", {"alertType": "error_rate", "type": "global", "threshold": 12.5, "period": "1"}),
        ("err", {"alertType": "latency", "type": "model", "target": "a: b", "threshold": 4500,
                 "period": "3"}, 0, "9:00", "18:30", 0, "notify"),
        ("low", {"alertType": "quota_low", "threshold": 750_000}),
        ("down", {"alertType": "channel_down"}),
        ("days", {"type": "model", "target": "o3", "threshold": 5, "period": "custom",
                  "customStartTs": 1_800_000_000, "customEndTs": 1_800_086_400}),
        ("week", {"type": "model", "target": "o3", "threshold": 5, "period": "168h"}),
        ("leaps", {"alertType": "request_spike", "threshold": 50, "period": "24"}),
        ("drop", {"alertType": "token_drop", "threshold": 5}),
        ("torn", "{"),
        ("week again", {"type": "model", "target": "o3", "threshold": 9, "period": "168"}),
        ("minute", {"threshold": 9, "period": "168"}, 1, "12:00", "12:00", 1, "notify"),
        ("nothing", {"threshold": "", "period": "168"}),
    )  # fmt: skip
    result = command("import-token-monitor", path, TZ="Asia/Shanghai")
    assert result.exit_code == 0, result.output
    found = read_rules(result.output, "alerts.yml").rules
    assert [(r.name, r.type, r.scope, r.targets, str(r.period), r.threshold) for r in found] == [
        ("渠道日限额", "token_usage", "channel", ("3",), "today", 1_000_000),
        ("err", "error_rate", "gateway", ("gateway",), "1h", 12.5),
        ("err (2)", "latency", "model", ("a: b",), "6h", 4.5),
        ("low", "quota_low", "api_key", ("*",), "1h", 1.5),
        ("down", "channel_down", "channel", ("*",), "1h", None),
        ("days", "token_usage", "model", ("o3",),
         "2027-01-15T16:00..2027-01-16T16:00", 5),
        ("week", "token_usage", "model", ("o3",), "7d", 5),
        ("leaps", "request_spike", "gateway", ("gateway",), "24h", 50),
    ]  # fmt: skip
    assert found[0].action == "disable_channel"
    assert (found[2].enabled, found[2].notify) == (False, "none")
    assert found[2].active is not None
    assert found[2].active.hours == "09:00-18:30"
    assert found[4].include_manual
    refused = [line for line in result.output.splitlines() if "Not taken over" in line]
    assert refused == [
        "# Not taken over: 'drop': there is no rule of type token_drop",
        "# Not taken over: 'torn': its rule cannot be read",
        "# Not taken over: 'week again': " + mistake_of("week again", "week", "model"),
        "# Not taken over: 'minute': it counted for one minute a day, at 12:00",
        "# Not taken over: 'nothing': '' is no number",
    ]


def mistake_of(second: str, first: str, scope: str) -> str:
    equal = f"type, {scope}, period and severity are equal, and they count at the same hours"
    return f"rule {second!r} says the same as {first!r}: {equal}"


def test_a_file_that_is_no_database_of_token_monitor_is_said(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database " * 200)
    sqlite3.connect(tmp_path / "empty").close()
    for name, words in (("none", "no such file"), ("text", "not a database"),
                        ("empty", "no such table")):  # fmt: skip
        result = command("import-token-monitor", tmp_path / name)
        assert result.exit_code == 1
        assert words in result.output
        assert result.output.startswith(str(tmp_path / name))
