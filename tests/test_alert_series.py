"""/metrics/alerts: rules, when they count, and what their targets show."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from textwrap import indent
from zoneinfo import ZoneInfo

import pytest

from exporter.exposition.alerts import LEFT_BEHIND, AlertCollector
from exporter.exposition.pages import page
from exporter.exposition.targets import TargetText
from exporter.readings import Readings
from exporter.rulebook import Rulebook
from exporter.windows import Window
from tests.follower import NOON, Follower
from tests.gateway import put, run
from tests.programs import Samples, parse

Make = Callable[..., "Alerts"]


class Alerts(Follower):
    """A follower with a file of rules and the page that shows them."""

    def __init__(self, folder: Path, *rules: str, zone: str = "UTC") -> None:
        self.file = folder / "alerts.yml"
        self.edit(*rules)
        super().__init__(f"sqlite:///{folder}/one-api.db", folder / "state", zone=zone)

    def start(self) -> None:
        super().start()
        copy = self.folder / "alerts.yml"
        self.rulebook = Rulebook(self.file, copy, self.status, self.zone)
        self.readings = Readings(self.ledger, self.filler, self.stock, self.clock)
        collector = AlertCollector(
            self.rulebook, self.readings, self.status, self.stock, self.clock
        )
        self.render = page(collector, text=TargetText(self.rulebook, self.readings))

    def edit(self, *rules: str) -> None:
        """Write the file: each rule is what stands below its name, rN if it says none."""
        bodies = [
            rule if "name:" in rule else f"name: r{number}\n{rule}"
            for number, rule in enumerate(rules, 1)
        ]
        items = "".join(f"  -\n{indent(body.replace('; ', chr(10)), '    ')}\n" for body in bodies)
        self.file.write_text(f"rules:\n{items}", encoding="utf-8")

    def poll(self, after: float = 0) -> None:
        """As the exporter does: the rules, then the log table, then the inventory."""
        if self.rulebook.refresh():
            rules, zone = self.rulebook.rules, self.rulebook.zone
            self.poller.follow(Window.of(rule, zone) for rule in rules if rule.has_window)
            self.stock.seen.follow(rules, self.now)
        super().poll(after)
        self.stock.read()
        assert self.status.troubles == {}

    def settle(self) -> None:
        """Poll until an edit counts and windows are filled."""
        self.poll(2)
        self.poll(2)
        while self.filler.busy:
            self.poll(2)

    def samples(self) -> Samples:
        body, _ = self.render("")
        return parse(body.decode())

    def values(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:  # type: ignore[override]
        """Give a metric's values by some of its labels."""
        found = self.samples().get(f"newapi_{name}", {})
        return {
            tuple(dict(series).get(label, "") for label in labels): value
            for series, value in found.items()
        }


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Alerts] = []

    def begin(*rules: str, zone: str = "UTC") -> Alerts:
        alerts = Alerts(tmp_path, *rules, zone=zone)
        made.append(alerts)
        return alerts

    yield begin
    for alerts in made:
        alerts.close()


def channel(number: int, status: int = 1, **values: object) -> dict[str, object]:
    name = f"c{number}"
    return {"id": number, "type": 1, "status": status, "name": name, "key": "sk-none", **values}


def key(number: int, **values: object) -> dict[str, object]:
    text = f"key{number}"
    return {"id": number, "user_id": 3, "key": text, "name": text, "status": 1,
            "expired_time": -1, **values}  # fmt: skip


def test_a_rule_shows_its_labels_and_its_threshold(make: Make) -> None:
    alerts = make(
        "type: token_usage; channel: 7; threshold: 5; period: 24h; action: disable_channel;"
        " release_after: 30m; override_for: 2h; severity: critical; repeat: 6h; notify: none",
        "type: latency; statistic: p95; model: '*'; threshold: 30; min_requests: 7",
        "type: error_rate; count: all; threshold: 12.5; period: today",
        "type: cost; projected: true; threshold: 3; period: {from: 2027-01-01, to: 2027-01-31}",
        "type: channel_down; channel: '*'",
    )
    alerts.settle()
    shown = {
        dict(series)["rule"]: ({k: v for k, v in series if v and k != "rule"}, value)
        for series, value in alerts.samples()["newapi_alert_rule"].items()
    }
    common = {"action": "notify", "severity": "warning", "notify": "telegram", "repeat": "1h"}
    assert shown == {
        "r1": (
            {"type": "token_usage", "scope": "channel", "period": "24h", "notify": "none",
             "action": "disable_channel", "severity": "critical", "repeat": "6h", "each": "false",
             "release_after": "1800", "override_for": "7200"}, 5,
        ),
        "r2": (
            common | {"type": "latency", "scope": "model", "period": "1h", "statistic": "p95",
                      "each": "true"}, 30,
        ),
        "r3": (
            common | {"type": "error_rate", "scope": "gateway", "period": "today",
                      "statistic": "all", "each": "false"}, 12.5,
        ),
        "r4": (
            common | {"type": "cost", "scope": "gateway", "period": "2027-01-01..2027-01-31",
                      "projected": "true", "currency": "USD", "each": "false"}, 1_500_000,
        ),
        "r5": (common | {"type": "channel_down", "scope": "channel", "each": "true"}, 1),
    }  # fmt: skip
    assert alerts.values("alert_rule_min_requests", "rule") == {("r2",): 7, ("r3",): 20}
    assert alerts.values("alert_rules") == {(): 5}
    assert set(alerts.samples()["newapi_alert_rule_active"]) == set(
        alerts.samples()["newapi_alert_rule"]
    )


def test_money_goes_by_the_gateways_own_rate(make: Make) -> None:
    alerts = make("type: cost; threshold: 10; currency: CNY; period: 5m",
                  "type: quota_low; channel: 7; threshold: 2")  # fmt: skip
    alerts.rulebook.refresh()
    assert "newapi_alert_rule" not in alerts.samples()  # which rate is not known yet
    put(alerts.database, "options", {"key": "QuotaPerUnit", "value": "1000"},
        {"key": "USDExchangeRate", "value": "8"})  # fmt: skip
    put(alerts.database, "channels", channel(7, balance=1.5, balance_updated_time=1))
    alerts.settle()
    assert alerts.values("alert_rule", "rule") == {("r1",): 1250, ("r2",): 2000}
    assert alerts.values("alert_rule_quota_per_unit", "rule") == {("r1",): 125, ("r2",): 1000}
    assert alerts.values("rule_remaining", "rule", "target") == {("r2", "7"): 1500}


def test_a_rule_counts_within_its_hours_and_until_its_range_ends(make: Make) -> None:
    alerts = make(
        'type: cost; threshold: 1; active: {days: mon-fri, hours: "09:00-18:00"}',
        "type: cost; threshold: 1; period: 5m; enabled: false",
        "type: cost; threshold: 1; period: {from: 2027-01-15, to: 2027-01-16}",
        zone="Asia/Shanghai",
    )
    alerts.settle()

    def at(moment: str) -> list[float]:
        zone = ZoneInfo("Asia/Shanghai")
        alerts.now = datetime.fromisoformat(moment).replace(tzinfo=zone).timestamp()
        return list(alerts.values("alert_rule_active", "rule").values())

    assert at("2027-01-15T08:59:59") == [0, 0, 1]
    assert at("2027-01-15T09:00:00") == [1, 0, 1]
    assert at("2027-01-15T18:00:00") == [0, 0, 1]
    assert at("2027-01-16T23:59:59") == [0, 0, 1]
    assert alerts.values("alert_rule_over", "rule") == {("r3",): 0}
    assert at("2027-01-17T00:00:00") == [0, 0, 0]
    assert alerts.values("alert_rule_over", "rule") == {("r3",): 1}


@pytest.mark.parametrize(
    ("zone", "moment", "offset"),
    [
        ("Asia/Shanghai", "2027-01-15T12:00:00+00:00", 8 * 3600),
        ("America/New_York", "2027-03-14T06:59:59+00:00", -5 * 3600),
        ("America/New_York", "2027-03-14T07:00:00+00:00", -4 * 3600),
    ],
)
def test_how_far_the_rules_are_ahead_of_utc(
    make: Make, zone: str, moment: str, offset: int
) -> None:
    alerts = make("type: cost; threshold: 1", zone=zone)
    alerts.settle()
    alerts.now = datetime.fromisoformat(moment).timestamp()
    assert alerts.values("timezone_offset_seconds") == {(): offset}


def test_a_file_that_names_a_time_zone_has_its_days_and_hours_there(make: Make) -> None:
    """At noon in UTC it is 20:00 in Shanghai, and its day began at 16:00 UTC the day before."""
    alerts = make("type: token_usage; threshold: 1; period: today; active: {hours: '19:30-20:30'}")
    alerts.file.write_text(f"timezone: Asia/Shanghai\n{alerts.file.read_text()}")
    alerts.write({"created_at": NOON - 20 * 3600}, {"created_at": NOON - 20 * 3600 - 1})
    alerts.settle()
    assert alerts.values("rule_tokens", "rule") == {("r1",): 50}
    assert alerts.values("alert_rule_active", "rule") == {("r1",): 1}


def test_a_rule_that_was_removed_or_changed_leaves_0_behind_for_two_hours(make: Make) -> None:
    first = "name: a; type: cost; channel: 7; threshold: 1; action: disable_channel"
    alerts = make(first, "name: b; type: cost; threshold: 1; period: 5m")
    alerts.settle()
    assert alerts.values("alert_rule_active", "rule", "action") == {
        ("a", "disable_channel"): 1, ("b", "notify"): 1,
    }  # fmt: skip
    alerts.edit("name: a; type: cost; channel: 7; threshold: 1")
    alerts.settle()
    expected = {("a", "disable_channel"): 0, ("a", "notify"): 1, ("b", "notify"): 0}
    assert alerts.values("alert_rule_active", "rule", "action") == expected
    assert alerts.values("alert_rule", "rule", "action") == {
        ("a", "notify"): alerts.values("alert_rule", "rule")["a",]
    }
    alerts.poll(LEFT_BEHIND - 60)
    assert alerts.values("alert_rule_active", "rule", "action") == expected
    alerts.poll(120)
    assert alerts.values("alert_rule_active", "rule", "action") == {("a", "notify"): 1}


def test_what_channels_that_are_down_show(make: Make) -> None:
    alerts = make(
        "type: channel_down; channel: [1, 2, 3, 9]",
        "type: channel_down; channel: [1, 2, 3]; include_manual: true; severity: critical",
    )
    rows = [channel(number, status) for number, status in ((1, 1), (2, 2), (3, 3))]
    put(alerts.database, "channels", *rows)
    alerts.settle()
    shown = alerts.values("rule_down", "rule", "target", "channel_id")
    assert {(rule, target): value for (rule, target, _), value in shown.items()} == {
        ("r1", "1"): 0, ("r1", "2"): 0, ("r1", "3"): 1,
        ("r2", "1"): 0, ("r2", "2"): 2, ("r2", "3"): 1,
    }  # fmt: skip
    assert all(target == channel_id for _, target, channel_id in shown)


def test_each_one_means_those_that_were_seen_enabled_since_the_rule_was_loaded(
    make: Make,
) -> None:
    alerts = make("type: channel_down; channel: '*'")
    put(alerts.database, "channels", channel(1), channel(2, 3))

    def down() -> dict[tuple[str, ...], float]:
        alerts.poll(20)
        alerts.poll(2)
        return alerts.values("rule_down", "rule", "target")

    assert down() == {("r1", "1"): 0}
    run(alerts.database, "UPDATE channels SET status = 3")
    assert down() == {("r1", "1"): 1}
    alerts.restart()
    assert down() == {("r1", "1"): 1}
    alerts.edit("name: r1; type: channel_down; channel: '*'", "name: new; type: channel_down;"
                " channel: '*'; severity: info")  # fmt: skip
    assert down() == {("r1", "1"): 1}  # the new rule never saw it in service
    run(alerts.database, "UPDATE channels SET status = 1")
    assert down() == {(r, c): 0 for r in ("r1", "new") for c in ("1", "2")}
    run(alerts.database, "DELETE FROM channels WHERE id = 2")
    assert down() == {(r, "1"): 0 for r in ("r1", "new")}


def test_names_are_written_so_that_prometheus_reads_them(make: Make) -> None:
    name = 'a "b" \\ c\nd, 模型'
    alerts = make("type: token_usage; threshold: 1; period: 5m; model: '*'")
    put(alerts.database, "channels", channel(7))
    ability = {"group": "default", "model": name, "channel_id": 7, "enabled": 1}
    put(alerts.database, "abilities", ability)
    alerts.settle()
    alerts.write({"model_name": name})
    alerts.poll(20)
    alerts.poll(2)
    assert alerts.values("rule_tokens", "rule", "target", "model") == {("r1", name, name): 50}
    body, _ = alerts.render("application/openmetrics-text; version=1.0.0")
    assert body.endswith(b"\n# EOF\n")
    assert body.count(b"# EOF") == 1


def test_of_many_api_keys_those_near_the_threshold_are_shown(make: Make) -> None:
    alerts = make(
        "type: token_usage; api_key: '*'; threshold: 100; period: 5m",
        "type: token_usage; api_key: [5, 6, 9]; threshold: 100; period: 5m",
        "type: quota_low; api_key: '*'; threshold: 1",
        "type: request_spike; api_key: '*'; threshold: 50; period: 5m; min_requests: 2",
    )
    limits: dict[int, dict[str, object]] = {
        5: {"remain_quota": 999_999},
        6: {"remain_quota": 1_000_000},
        7: {"remain_quota": 5},
        8: {"unlimited_quota": True},
        9: {"remain_quota": 1, "status": 2},
    }
    put(alerts.database, "tokens", *(key(number, **more) for number, more in limits.items()))
    old = {"created_at": NOON - 400, "prompt_tokens": 0, "completion_tokens": 0, "quota": 0}
    new = old | {"created_at": NOON - 100}
    alerts.write(
        {"token_id": 5, "prompt_tokens": 51, "completion_tokens": 0}, {"token_id": 6},
        {"token_id": 7, "prompt_tokens": 51}, {"token_id": 77, "prompt_tokens": 9999},
        *({**old, "token_id": 8} for _ in range(4)), *({**new, "token_id": 8} for _ in range(6)),
    )  # fmt: skip
    alerts.settle()
    assert alerts.values("rule_tokens", "rule", "api_key_id") == {
        ("r1", "5"): 51, ("r1", "7"): 81, ("r2", "5"): 51, ("r2", "6"): 50, ("r2", "9"): 0,
    }  # fmt: skip
    assert alerts.values("rule_remaining", "rule", "target") == {
        ("r3", "5"): 999_999, ("r3", "7"): 5,
    }  # fmt: skip
    run(alerts.database, "UPDATE tokens SET remain_quota = -1 WHERE id = 7")
    alerts.poll(20)
    assert alerts.values("rule_remaining", "rule", "target")["r3", "7"] == -1
    assert alerts.values("rule_requests", "rule", "target") == {("r4", "8"): 6}
    assert alerts.values("rule_requests_before", "rule", "target") == {("r4", "8"): 4}


def test_of_many_users_those_that_are_enabled_are_shown(make: Make) -> None:
    alerts = make("type: quota_low; user: '*'; threshold: 1")
    user = {"password": "x", "quota": 5, "group": "default"}
    rows = (
        {**user, "id": status, "username": f"u{status}", "status": status} for status in (1, 2, 3)
    )
    put(alerts.database, "users", *rows)
    alerts.settle()
    assert alerts.values("rule_remaining", "rule", "target") == {("r1", "1"): 5}


def test_a_pace_tells_what_will_have_been_used(make: Make) -> None:
    alerts = make(
        "type: token_usage; threshold: 100; period: today; projected: true",
        "type: token_usage; threshold: 100; projected: true;"
        " period: {from: 2027-01-14 12:00, to: 2027-01-18 12:00}",
    )
    alerts.now = NOON - 12 * 3600 + 60
    alerts.write({"prompt_tokens": 100, "completion_tokens": 0})
    alerts.settle()
    projected = alerts.values("rule_projected", "rule")
    assert projected["r1",] == 24 * 100  # the first hour says nothing by itself
    alerts.poll(NOON - alerts.now)
    shown = alerts.values("rule_projected", "rule")
    assert {rule: round(value, 6) for (rule,), value in shown.items()} == {"r1": 200, "r2": 400}
    assert alerts.values("rule_tokens", "rule") == {("r1",): 100, ("r2",): 100}


def test_windows_that_are_being_filled_do_not_alarm(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part of the period before would make any use a spike; what was spent only grows."""
    alerts = make("type: token_usage; threshold: 1; period: 30d")
    alerts.write(*({"created_at": NOON - 86400 * day} for day in range(40)))
    alerts.settle()
    assert alerts.values("alert_rule_window_filled_ratio", "rule") == {("r1",): 1}
    alerts.edit(
        "type: token_usage; threshold: 1; period: 30d",
        "type: request_spike; threshold: 1; period: 7d",
        "type: error_rate; threshold: 1; period: 7d",
        "type: token_usage; threshold: 1; period: 7d",
    )
    monkeypatch.setattr("exporter.poll.FILL_FOR", 0)  # one query a poll
    alerts.rulebook.refresh()
    alerts.write({"created_at": NOON})
    filling = 0
    tokens = []
    for _ in range(200):
        alerts.poll(1)
        ratio = alerts.values("alert_rule_window_filled_ratio", "rule")
        assert ratio["r1",] == 1
        if ratio["r2",] == 1:
            break
        filling += 1
        complete = {rule for rule in (("r2",), ("r3",)) if ratio[rule] == 1}
        assert set(alerts.values("rule_requests", "rule")) == complete
        tokens.append(alerts.values("rule_tokens", "rule")["r4",])
    assert filling > 5
    assert tokens == sorted(tokens)
    assert set(alerts.values("rule_requests", "rule")) == {("r2",), ("r3",)}
    assert tokens[-1] <= alerts.values("rule_tokens", "rule")["r4",] == 50 * 8


def test_a_gateway_that_says_nothing_yet_still_shows_what_alerts_rest_on(make: Make) -> None:
    alerts = make()
    alerts.file.unlink()
    alerts.settle()
    samples = alerts.samples()
    assert samples["newapi_alert_rules"] == {frozenset(): 0}
    assert samples["newapi_alert_rules_last_reload_successful"] == {frozenset(): 1}
    assert samples["newapi_counted_until_timestamp_seconds"] == {frozenset(): alerts.now}
    assert samples["newapi_inventory_read_timestamp_seconds"] == {frozenset(): alerts.stock.read_at}
    assert alerts.values("option_enabled", "option") == {("LogConsumeEnabled",): 1}
