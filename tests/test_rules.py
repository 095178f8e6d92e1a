"""alerts.yml: what is understood, and where each mistake is."""

import json
from datetime import datetime
from pathlib import Path
from textwrap import dedent, indent
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.rules.file import NO_RULES, RulesError, load_rules, read_rules
from exporter.rules.hours import holds
from exporter.rules.period import PERIODS, Range
from exporter.rules.rule import SCOPES, Rule
from exporter.rules.schema import schema

EXAMPLE = Path(__file__).parent.parent / "alerts.yml"


def rules(*bodies: str) -> str:
    """Give a file of rules; each is called r1, r2 ... and stands from line 2, 7, 12 ... on."""
    parts = ["rules:"]
    for number, body in enumerate(bodies, 1):
        lines = [f"name: r{number}", "type: token_usage", "threshold: 1000", *body.split("; ")]
        if len(lines) < 5:
            lines.append("enabled: true" if "severity" in body else "severity: warning")
        parts.append(indent("\n".join(lines), "    ").replace("    ", "  - ", 1))
    return "\n".join(parts)


def mistake(text: str) -> str:
    with pytest.raises(RulesError) as caught:
        read_rules(text, "alerts.yml")
    message = str(caught.value)
    assert "\n" not in message
    assert "pydantic" not in message
    return message


def test_a_rule_has_sane_defaults() -> None:
    (rule,) = read_rules("rules: [{name: a, type: token_usage, threshold: 5}]", "alerts.yml").rules
    assert (rule.scope, rule.targets, rule.each, rule.period) == (
        "gateway", ("gateway",), False, "1h",
    )  # fmt: skip
    assert (rule.severity, rule.action, rule.notify, rule.repeat, rule.enabled) == (
        "warning", "notify", "telegram", "1h", True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("key", "scope", "targets"),
    [
        ("channel: 7", "channel", ("7",)),
        ('channel: "7"', "channel", ("7",)),
        ("channel: [9, 7, 7]", "channel", ("7", "9")),
        ('channel: "*"', "channel", ("*",)),
        ('channel: ["*"]', "channel", ("*",)),
        ("model: gpt-4o", "model", ("gpt-4o",)),
        ("model: 4", "model", ("4",)),
        ('model: ["a,b", c]', "model", ("a,b", "c")),
        ("api_key: [5]", "api_key", ("5",)),
        ("user: 12", "user", ("12",)),
    ],
)
def test_what_a_rule_looks_at(key: str, scope: str, targets: tuple[str, ...]) -> None:
    (rule,) = read_rules(rules(key), "alerts.yml").rules
    assert (rule.scope, rule.targets, rule.each) == (scope, targets, targets == ("*",))


@pytest.mark.parametrize("period", PERIODS)
def test_every_period_is_taken(period: str) -> None:
    assert read_rules(rules(f"period: {period}"), "alerts.yml").rules[0].period == period


@pytest.mark.parametrize("threshold", ["1_000_000", "1000000", "1e6", "1.0e+6", '"1000000"'])
def test_a_threshold_may_be_written_as_people_write_numbers(threshold: str) -> None:
    text = f"rules: [{{name: a, type: token_usage, threshold: {threshold}}}]"
    assert read_rules(text, "alerts.yml").rules[0].threshold == 1_000_000


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n", "rules: []\n", "{}", "rules:\n"])
def test_a_file_may_hold_no_rules(text: str) -> None:
    assert read_rules(text, "alerts.yml").rules == ()


def test_a_file_that_does_not_exist_has_no_rules(tmp_path: Path) -> None:
    assert load_rules(tmp_path / "alerts.yml") == NO_RULES


def test_the_example_is_good() -> None:
    assert load_rules(EXAMPLE).rules


@pytest.mark.parametrize(
    ("line", "where", "words"),
    [
        ("chanel: 7", "alerts.yml:5: chanel:", "unknown key"),
        ("channel: seven", "alerts.yml:5: channel:", "id"),
        ("channel: -7", "alerts.yml:5: channel:", "id"),
        ('channel: "007"', "alerts.yml:5: channel:", "id"),
        ('channel: "٣"', "alerts.yml:5: channel:", "id"),
        ("channel: 7.5", "alerts.yml:5: channel:", "a channel id, a list of ids"),
        ("channel: [7, 7.5]", "alerts.yml:5: channel:", "a channel id, a list of ids"),
        ("channel: true", "alerts.yml:5: channel:", "a channel id, a list of ids"),
        ("channel: {id: 7}", "alerts.yml:5: channel:", "a channel id, a list of ids"),
        ("channel: []", "alerts.yml:5: channel:", "a channel id, a list of ids"),
        ("channel:", "alerts.yml:5: channel:", "a channel id, a list of ids"),
        ('channel: ["*", 7]', "alerts.yml:5: channel:", '"*" stands alone'),
        ("model: [true]", "alerts.yml:5: model:", "the name of a model, a list"),
        ("model: [[a]]", "alerts.yml:5: model:", "the name of a model, a list"),
        ('model: ""', "alerts.yml:5: model:", "the name of a model, a list"),
        ("api_key: sk-abc", "alerts.yml:5: api_key:", "id"),
        ("user: root", "alerts.yml:5: user:", "id"),
        ("period: 2h", "alerts.yml:5: period:", "5m, 15m"),
        ("period: 60", "alerts.yml:5: period:", "5m, 15m"),
        ("severity: urgent", "alerts.yml:5: severity:", "info, warning or critical"),
        ("action: disable", "alerts.yml:5: action:", "disable_channel or"),
        ("action: disable_channel", "alerts.yml:5: action:", 'needs "channel"'),
        ("notify: mail", "alerts.yml:5: notify:", "telegram or none"),
        ("repeat: 2h", "alerts.yml:5: repeat:", "6h or 24h"),
        ("enabled: perhaps", "alerts.yml:5: enabled:", "true or false"),
        ("threshold: 5", "alerts.yml:5:", "threshold"),
        ("5: 7", "alerts.yml:", "key"),
    ],
)
def test_a_mistake_is_named_by_file_line_and_key(line: str, where: str, words: str) -> None:
    message = mistake(rules(line))
    assert message.startswith(where)
    assert words in message.removeprefix(where)


@pytest.mark.parametrize("value", ["0", "-1", ".inf", ".nan", "many", "true", "yes", "[5]", ""])
def test_a_threshold_is_a_number_above_0(value: str) -> None:
    text = f"rules:\n  - name: a\n    type: token_usage\n    threshold: {value}\n"
    assert mistake(text) == "alerts.yml:4: threshold: expected a number above 0: tokens"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("type: token_usage, threshold: 5", "alerts.yml:1: name: the key is missing"),
        ("name: a, threshold: 5", "alerts.yml:1: type: the key is missing"),
        (
            "name: a, type: token_usage",
            "alerts.yml:1: threshold: the key is missing; expected a number",
        ),
        ("name: '', type: token_usage, threshold: 5", "alerts.yml:1: name: expected a text"),
        ("name: 5, type: token_usage, threshold: 5", "alerts.yml:1: name: expected a text"),
        ("name: a, type: tokens, threshold: 5", "alerts.yml:1: type: expected token_usage, cost"),
    ],
)
def test_name_type_and_threshold_are_required(body: str, message: str) -> None:
    assert mistake(f"rules: [{{{body}}}]").startswith(message)


def test_at_most_one_kind_of_target() -> None:
    message = mistake(rules("channel: 7; model: gpt-4o"))
    assert message == "alerts.yml:6: model: channel and model: at most one of them may be named"


def test_a_mistake_in_the_second_rule_is_found_on_its_line() -> None:
    assert mistake(rules("channel: 7", "chanel: 8")).startswith("alerts.yml:10: chanel: unknown")


def test_two_rules_of_one_name_are_refused_at_the_second() -> None:
    text = rules("channel: 7", "channel: 8", "channel: 9").replace("name: r3", "name: r2")
    assert mistake(text) == "alerts.yml:12: name: two rules are named 'r2'"


def test_two_rules_that_say_the_same_are_refused() -> None:
    text = rules("channel: [7, 9]", "channel: 8", "channel: [5, 9]")
    message = mistake(text)
    assert message.startswith("alerts.yml:12: rule 'r3' says the same as 'r1'")
    assert "channel" in message


@pytest.mark.parametrize(
    "other", ["channel: 8", "user: 7", 'channel: "*"', "channel: 7; period: 5m",
              "channel: 7; severity: critical"],
)  # fmt: skip
def test_rules_that_differ_in_one_thing_stand_side_by_side(other: str) -> None:
    assert len(read_rules(rules("channel: 7", other), "alerts.yml").rules) == 2


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("rules:\n  - name: a\n   type: b\n", "alerts.yml:3:", "expected"),
        ("rules:\n  - name: [a\n", "alerts.yml:3:", "expected"),
        ("rules:\n\t- name: a\n", "alerts.yml:2:", "token"),
        ("rules:\n  - name: a: b\n", "alerts.yml:2:", "mapping values are not allowed"),
        ('rules:\n  - name: "a\n', "alerts.yml:3:", "quoted scalar"),
        ("rules: []\n---\nrules: []\n", "alerts.yml:2:", "single document"),
        ("rules: *nowhere\n", "alerts.yml:1:", "undefined alias"),
        ("rules: []\nname: \x07\n", "alerts.yml:2:", "not allowed"),
        ("rules: !!python/object:os.system {}\n", "alerts.yml:1:", "could not determine"),
        ("a: b\n? [x]\n: y\n", "alerts.yml:2:", "unhashable"),
        ("rules:\n  - 2026-02-30\n", "alerts.yml:2:", "day is out of range"),
        ("rules:\n  - a\n  - 0b_\n", "alerts.yml:3:", "invalid literal"),
        ("rules: " + "[" * 500, "alerts.yml:", "nested too deeply"),
        ("- name: a\n", "alerts.yml:1:", 'expected "rules:"'),
        ("just words\n", "alerts.yml:1:", 'expected "rules:"'),
        ("rule:\n  - name: a\n", "alerts.yml:1: rule:", "unknown key; known are timezone, rules"),
        ("\nrules: none\n", "alerts.yml:2: rules:", "expected a list of rules"),
        ("\nrules: {name: a}\n", "alerts.yml:2: rules:", "expected a list of rules"),
        ("rules:\n  - a rule\n", "alerts.yml:2:", "expected a rule"),
        ("rules:\n  - [1]\n", "alerts.yml:2:", "expected a rule"),
        ("rules: &r\n  - *r\n", "alerts.yml:1:", "expected a rule"),
    ],
)
def test_what_is_no_file_of_rules_is_one_line_that_says_where(
    text: str, where: str, words: str
) -> None:
    message = mistake(text)
    assert message.startswith(where)
    assert words in message


def test_a_key_that_stands_twice_is_refused() -> None:
    """A dash that was forgotten would make one rule of two."""
    text = dedent("""\
        rules:
          - name: a
            type: token_usage
            threshold: 5
            name: b
            threshold: 6
    """)
    assert mistake(text) == "alerts.yml:5: name: the key stands twice"


def test_keys_may_be_shared_by_an_anchor() -> None:
    text = dedent("""\
        rules:
          - &base {name: a, type: token_usage, threshold: 5, channel: 1}
          - {<<: *base, name: b, channel: 2}
          - {<<: *base, name: c, channel: x}
    """)
    assert mistake(text).startswith("alerts.yml:4: channel:")
    good = text.replace("x}", "3}")
    assert [(r.name, r.targets) for r in read_rules(good, "alerts.yml").rules] == [
        ("a", ("1",)), ("b", ("2",)), ("c", ("3",)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"\xff\xfer\x00", "utf-8"), (b"rules:\n  - name: \xe9\n", "utf-8"), (None, "directory")],
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    file = tmp_path / "alerts.yml"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    with pytest.raises(RulesError) as caught:
        load_rules(file)
    assert str(caught.value).startswith(f"{file}:")
    assert words in str(caught.value)


MISTAKES = sorted((Path(__file__).parent / "rules").glob("*.yml"))


@pytest.mark.parametrize("file", MISTAKES, ids=lambda file: file.stem)
def test_each_kind_of_mistake_has_its_message(file: Path) -> None:
    """The first line of each file is what is said of it."""
    text = file.read_text(encoding="utf-8")
    assert mistake(text) == text.splitlines()[0].removeprefix("# ")


def test_the_schema_for_editors_is_the_one_that_the_code_has() -> None:
    """`newapi-exporter rules schema > docs/alerts.schema.json` brings it up to date."""
    file = EXAMPLE.parent / "docs" / "alerts.schema.json"
    assert json.loads(file.read_text(encoding="utf-8")) == schema()


def test_the_schema_knows_what_goes_with_what() -> None:
    rule = schema()["properties"]["rules"]["items"]
    assert list(rule["properties"]) == list(Rule.model_fields)
    for condition in rule["allOf"]:
        kind = condition.get("if", {}).get("properties", {}).get("type")
        then = condition.get("then", {}).get("properties", {})
        refused = {key for key, shape in then.items() if shape is False}
        if kind is None or not refused:
            continue
        for key, value in EXAMPLES.items():
            body = dict(MINIMAL[kind["const"]]) | {key: value}
            if key in SCOPES:
                body = {k: v for k, v in body.items() if k not in SCOPES} | {key: value}
            good = key not in refused
            assert accepted({"name": "r", "type": kind["const"], **body}) == good, (kind, key)


EXAMPLES: dict[str, Any] = {
    "channel": 7, "model": "o3", "api_key": 5, "user": 3, "period": "today", "threshold": 5,
    "currency": "CNY", "statistic": "p95", "count": "all", "projected": False,
    "include_manual": True, "min_requests": 5,
}  # fmt: skip
MINIMAL: dict[str, dict[str, Any]] = {
    "token_usage": {"threshold": 5}, "cost": {"threshold": 5}, "error_rate": {"threshold": 5},
    "latency": {"threshold": 5}, "channel_down": {"channel": 7},
    "quota_low": {"channel": 7, "threshold": 5}, "request_spike": {"threshold": 5},
}  # fmt: skip


def accepted(rule: dict[str, Any]) -> bool:
    try:
        read_rules(json.dumps({"rules": [rule]}), "alerts.yml")
    except RulesError:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("1h30m", 5400), ("2d", 172800), ("1d1h1m1s", 90061)],
)
def test_a_duration_is_written_as_people_write_it(text: str, seconds: int) -> None:
    body = f"channel: 7; action: disable_channel; release_after: {text}; override_for: {text}"
    (rule,) = read_rules(rules(body), "alerts.yml").rules
    assert (rule.release_after, rule.override_for) == (seconds, seconds)


SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize(
    ("active", "moments"),
    [
        ("{days: mon-fri}", {"2027-03-12T23:59": 1, "2027-03-13T00:00": 0, "2027-03-15T00:00": 1}),
        (
            'hours: "09:00-18:00"',
            {"2027-03-13T08:59": 0, "2027-03-13T09:00": 1, "2027-03-13T17:59": 1,
             "2027-03-13T18:00": 0},
        ),
        (  # crosses midnight: Saturday's first hours are Friday's last
            '{days: fri, hours: "22:00-06:00"}',
            {"2027-03-12T05:00": 0, "2027-03-12T22:00": 1, "2027-03-13T05:59": 1,
             "2027-03-13T06:00": 0, "2027-03-13T22:00": 0},
        ),
        (  # Sunday's last hours go on on Monday
            '{days: [sun], hours: "22:00-06:00"}',
            {"2027-03-14T23:00": 1, "2027-03-15T05:59": 1, "2027-03-15T06:00": 0},
        ),
        ("{days: sat-mon}", {"2027-03-12T12:00": 0, "2027-03-14T12:00": 1, "2027-03-16T00:00": 0}),
        ('{days: "tue, wed"}', {"2027-03-15T12:00": 0, "2027-03-16T12:00": 1}),
    ],
)  # fmt: skip
def test_active_hours(active: str, moments: dict[str, int]) -> None:
    active = active if active.startswith("{") else f"{{{active}}}"
    (rule,) = read_rules(rules(f"active: {active}"), "alerts.yml").rules
    for text, expected in moments.items():
        moment = datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).timestamp()
        assert holds(rule.minutes, moment, SHANGHAI) == bool(expected), text


def test_active_hours_go_by_the_clock_on_the_wall() -> None:
    """In Berlin 2027-03-28 has no 02:30, and 2027-10-31 has it twice."""
    berlin = ZoneInfo("Europe/Berlin")
    (rule,) = read_rules(rules('active: {hours: "02:30-03:00"}'), "alerts.yml").rules
    for text, minutes in (("2027-03-28", 0), ("2027-10-31", 60), ("2027-10-30", 30)):
        midnight = datetime.fromisoformat(text).replace(tzinfo=berlin).timestamp()
        day = range(int(midnight), int(midnight) + 5 * 3600, 60)
        assert sum(holds(rule.minutes, moment, berlin) for moment in day) == minutes


def test_the_same_rule_may_stand_twice_for_other_hours() -> None:
    day, night = 'active: {hours: "09:00-18:00"}', 'active: {hours: "18:00-09:00"}'
    assert len(read_rules(rules(day, night), "alerts.yml").rules) == 2
    weekend = 'active: {days: sat-sun, hours: "09:00-18:00"}'
    assert mistake(rules(day, weekend)).startswith("alerts.yml:7: rule 'r2' says the same as 'r1'")


@pytest.mark.parametrize(
    ("text", "begin", "end", "name"),
    [
        ("{from: 2026-09-01, to: 2026-09-30}", "2026-09-01", "2026-10-01",
         "2026-09-01..2026-09-30"),
        ("{from: 2026-09-01}", "2026-09-01", None, "2026-09-01.."),
        ("{from: 2026-09-01 08:00, to: 2026-09-01 18:00}", "2026-09-01T08:00", "2026-09-01T18:00",
         "2026-09-01T08:00..2026-09-01T18:00"),
        ("{from: 2026-09-01 08:00:30, to: 2026-09-01}", "2026-09-01T08:00:30", "2026-09-02",
         "2026-09-01T08:00:30..2026-09-01"),
    ],
)  # fmt: skip
def test_a_range(text: str, begin: str, end: str | None, name: str) -> None:
    (rule,) = read_rules(rules(f"period: {text}"), "alerts.yml").rules
    assert isinstance(rule.period, Range)

    def unix(moment: str) -> float:
        return datetime.fromisoformat(moment).replace(tzinfo=SHANGHAI).timestamp()

    assert rule.period.starts_at(SHANGHAI) == unix(begin)
    assert rule.period.ends_at(SHANGHAI) == (None if end is None else unix(end))
    assert str(rule.period) == name


def test_a_file_may_name_its_time_zone() -> None:
    found = read_rules("timezone: Asia/Shanghai\nrules: []", "alerts.yml")
    assert found.zone(ZoneInfo("UTC")) == SHANGHAI
    assert NO_RULES.zone(ZoneInfo("UTC")) == ZoneInfo("UTC")


SCALARS = st.sampled_from(
    ["7", "*", "'*'", "a", "-1", "1e9", "true", "~", "[]", "[7, 8]", "{}", "2026-13-01", "1h", "5"]
)
LINES = st.lists(
    st.tuples(st.sampled_from([*Rule.model_fields, "<<", "other", "'*'", "? x"]), SCALARS),
    max_size=6,
)


@given(LINES | st.text(st.sampled_from("ab:-[]{}&*!|>'\"%@`#,? \n\t\x00é0_1"), max_size=40))
def test_any_text_is_understood_or_refused_in_one_line(drawn: str | list[tuple[str, str]]) -> None:
    if isinstance(drawn, str):
        text = drawn
    else:
        text = "rules:\n  -" + "\n   ".join(f" {key}: {value}" for key, value in drawn)
    message = ""
    try:
        assert all(isinstance(rule, Rule) for rule in read_rules(text, "alerts.yml").rules)
    except RulesError as error:
        message = str(error)
    if message:
        assert 1 <= int(message.split(":")[1]) <= text.count("\n") + 2
        assert "\n" not in message
