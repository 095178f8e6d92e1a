"""What rules of every type, scope and period show, against SQL over the same time."""

import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from exporter.readings import Readings
from exporter.rules.period import PERIODS, Range
from exporter.rules.rule import KINDS, Rule
from exporter.windows import Window
from tests.follower import Follower
from tests.oracle import Used, used_between

TARGETS = {
    "channel": ("7", "8"), "model": ("gpt-4o", "o3"), "api_key": ("5", "6"), "user": ("3", "4"),
    "gateway": ("gateway",),
}  # fmt: skip

START = "2027-03-27T23:58:00"
"""Berlin's clocks are put forward the night after; all moments are near a midnight."""

RANGES: tuple[dict[str, str], ...] = (
    {"from": "2027-03-20"},
    {"from": "2027-03-20", "to": "2027-03-27"},
    {"from": "2027-03-27 12:00", "to": "2027-03-28 00:01"},
    {"from": "2027-03-28", "to": "2027-03-29"},
)


def rules() -> Iterator[Rule]:
    """Every type with every scope and period that it goes with."""
    for kind, what in KINDS.items():
        if "period" not in what.keys:
            continue
        variants: list[dict[str, Any]] = [{}]
        if kind == "latency":
            variants = [{"statistic": s} for s in ("mean", "p50", "p90", "p95", "p99")]
        elif kind == "error_rate":
            variants = [{"count": "upstream"}, {"count": "all"}]
        for scope in what.scopes:
            targets = {} if scope == "gateway" else {scope: list(TARGETS[scope])}
            for period in (*PERIODS, "today", *RANGES):
                if kind == "request_spike" and period == RANGES[0]:
                    continue
                for variant in variants:
                    name = f"{kind} {scope} {period} {variant}"
                    body = {"name": name, "type": kind, "threshold": 1, "period": period}
                    yield Rule.model_validate(
                        body | targets | variant | {"min_requests": 1}
                        if kind not in {"token_usage", "cost"}
                        else body | targets | variant
                    )


RULES = tuple(rules())


def covered(rule: Rule, zone: ZoneInfo, now: float) -> tuple[float, float, float]:
    """Give the beginning of the period before, of the present one, and its end."""
    if isinstance(rule.period, Range):
        first, last = rule.period.starts_at(zone), rule.period.ends_at(zone)
        return first - ((last or first) - first), first, last or math.inf
    if rule.period == "today":
        local = datetime.fromtimestamp(now, zone).replace(hour=0, minute=0, second=0, microsecond=0)
        midnight = local.timestamp()
        eve = datetime.fromtimestamp(midnight - 1, zone).replace(hour=0, minute=0, second=0)
        return eve.timestamp(), midnight, math.inf
    period = PERIODS[rule.period]
    bucket = period / 60
    begin = math.ceil((now - period) / bucket) * bucket
    return begin - period, begin, math.inf


class Watched(Follower):
    """A follower with all these rules."""

    def __init__(self, url: str, folder: Path, zone: str, moment: str) -> None:
        self.at = datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo(zone)).timestamp()
        windows = [Window.of(rule, ZoneInfo(zone)) for rule in RULES]
        super().__init__(url, folder, zone=zone, windows=windows)
        self.now = self.at
        self.next_id = 1

    def put(self, *rows: dict[str, Any]) -> None:
        for row in rows:
            self.write({"id": self.next_id, **row})
            self.next_id += 1

    def lose_state(self) -> None:
        self.state.close()
        shutil.rmtree(self.folder)
        self.start()

    def cut_off(self, seconds: float) -> None:
        """Let time go by in which every poll fails."""
        file = self.folder.parent / "one-api.db"
        hidden = file.rename(file.with_suffix(".hidden"))
        for _ in range(3):
            self.now += seconds / 3
            self.poller.poll()
            assert self.status.troubles
        hidden.rename(file)

    def fill(self) -> None:
        """Poll until windows are filled and late rows were looked for."""
        for seconds in (2, 65, *[2] * 100):
            self.poll(seconds)
            if not self.filler.busy and not len(self.ledger.gaps):
                return
        raise AssertionError("it is never done")

    def shown(self) -> Iterator[tuple[Rule, str, dict[str, float]]]:
        readings = Readings(self.ledger, self.filler, self.stock, self.clock)
        for rule in RULES:
            for reading in readings.of(rule, self.zone):
                yield rule, reading.target, dict(reading.values)

    def check(self) -> None:
        """Every value is what SQL says; shown are all rules and targets."""

        @cache
        def sql(scope: str, begin: float, end: float) -> dict[str, Used]:
            return used_between(self.database, scope, begin, min(end, 1e12))

        count = 0
        for rule, target, values in self.shown():
            before, begin, end = covered(rule, self.zone, self.now)
            now = sql(rule.scope, begin, end).get(target, Used())
            earlier = sql(rule.scope, before, begin).get(target, Used())
            assert values == expected(rule, now, earlier), (rule.name, target)
            count += 1
        assert count == sum(len(rule.targets) for rule in RULES)

    def check_never_more(self) -> None:
        """What was used is an upper limit, whatever is yet to be read."""

        @cache
        def sql(scope: str, begin: float, end: float) -> dict[str, Used]:
            return used_between(self.database, scope, begin, min(end, 1e12))

        for rule, target, values in self.shown():
            if rule.type in {"token_usage", "cost", "error_rate", "request_spike"}:
                before, begin, end = covered(rule, self.zone, self.now)
                now = sql(rule.scope, begin, end).get(target, Used())
                earlier = sql(rule.scope, before, begin).get(target, Used())
                limits = expected(rule, now, earlier)
                assert all(values[name] <= limits[name] for name in values), (rule.name, target)


def expected(rule: Rule, now: Used, before: Used) -> dict[str, float]:
    values: dict[str, dict[str, float]] = {
        "token_usage": {"tokens": now.tokens},
        "cost": {"quota": now.quota},
        "error_rate": {
            "errors": now.failures if rule.count == "all" else now.errors,
            "requests": now.requests,
        },
        "request_spike": {"requests": now.requests, "requests_before": before.requests},
        "latency": {"requests": now.requests},
    }
    if rule.type == "latency" and now.requests:
        seconds = sum(now.seconds) / now.requests
        if rule.statistic != "mean":
            seconds = now.seconds[math.ceil(int(rule.statistic[1:]) * now.requests / 100) - 1]
        values["latency"]["seconds"] = seconds
    return values[rule.type]


AGES = [
    *(period + shift for period in PERIODS.values() for shift in (-7, -1, 0, 1, 7)),
    *(2 * period + shift for period in PERIODS.values() for shift in (-1, 0, 1)),
    *range(121),
]
ROW = st.fixed_dictionaries(
    {
        "age": st.sampled_from(AGES) | st.integers(0, 40 * 86400),
        "kind": st.sampled_from(["request"] * 5 + ["test", "error", "client", "failed test"]),
        "channel_id": st.sampled_from([7, 8]),
        "model_name": st.sampled_from(["gpt-4o", "o3"]),
        "token_id": st.sampled_from([5, 6]),
        "user_id": st.sampled_from([3, 4]),
        "quota": st.integers(0, 10**6),
        "prompt_tokens": st.integers(0, 10**6),
        "use_time": st.integers(0, 99),
    }
)
KINDS_OF_ROWS: dict[str, dict[str, Any]] = {
    "request": {},
    "test": {"token_id": 0, "token_name": "模型测试"},
    "error": {"type": 5, "quota": 0, "prompt_tokens": 0, "other": '{"status_code": 503}'},
    "client": {"type": 5, "quota": 0, "prompt_tokens": 0, "other": '{"status_code": 400}'},
    "failed test": {"type": 5, "token_id": 0, "token_name": "", "other": '{"status_code": 500}'},
}


def row(drawn: dict[str, Any], now: float) -> dict[str, Any]:
    values = {key: value for key, value in drawn.items() if key not in {"age", "kind"}}
    return {**values, **KINDS_OF_ROWS[drawn["kind"]], "created_at": int(now) - drawn["age"]}


ROWS = st.lists(ROW, max_size=25)
STEP = st.tuples(
    st.sampled_from(["write", "late", "kill", "lose", "away", "poll"]),
    st.integers(0, 90),
    st.lists(ROW, max_size=6),
)


@contextmanager
def watched(folder: Path, zone: str, moment: str) -> Iterator[Watched]:
    follower = Watched(f"sqlite:///{folder}/one-api.db", folder / "state", zone, moment)
    try:
        yield follower
    finally:
        follower.close()


def take(follower: Watched, what: str, seconds: int, rows: list[dict[str, Any]]) -> None:
    """One step of a history: rows are up to two minutes old, as a gateway writes them."""
    fresh = [row(drawn | {"age": drawn["age"] % 120}, follower.now) for drawn in rows]
    if what == "write":
        follower.put(*fresh)
    elif what == "late" and fresh:  # its transaction is committed after those of higher ids
        late = follower.next_id
        follower.next_id += 1
        follower.put(*fresh[1:], {})
        follower.poll(2)
        follower.check_never_more()
        follower.write({"id": late, **fresh[0]})
    elif what == "kill":
        follower.put(*fresh)
        follower.restart()
    elif what == "lose":
        follower.fill()  # what was late is not looked for by who does not know of it
        follower.lose_state()
    elif what == "away":  # the gateway goes on while we cannot reach its database
        for hour in range(3):
            follower.put(*(r | {"created_at": int(follower.now)} for r in fresh[hour::3]))
            follower.cut_off(3600)
            follower.check_never_more()
    follower.poll(seconds)
    follower.check_never_more()


@settings(
    max_examples=4, deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)  # fmt: skip
@given(
    ROWS,
    st.lists(STEP, max_size=4),
    st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "UTC"]),
)
def test_every_rule_shows_what_sql_says_whatever_happens(
    tmp_path_factory: pytest.TempPathFactory,
    history: list[dict[str, Any]],
    steps: list[tuple[str, int, list[dict[str, Any]]]],
    zone: str,
) -> None:
    with watched(tmp_path_factory.mktemp("rules"), zone, START) as follower:
        follower.put(*(row(drawn, follower.now) for drawn in history))
        follower.fill()
        follower.check()
        for step in steps:
            take(follower, *step)
        follower.fill()
        follower.check()


@pytest.mark.parametrize("moment", [START, "2027-10-31T23:58:00"], ids=["23 hours", "25 hours"])
def test_each_mishap_in_turn_around_a_day_of_another_length(tmp_path: Path, moment: str) -> None:
    """Each kind of step once, whatever is drawn above, in Berlin's nights of spring and autumn."""
    plain = {"channel_id": 7, "model_name": "o3", "token_id": 5, "user_id": 3}
    rows = [
        {
            **plain,
            "age": age,
            "kind": kind,
            "quota": 7 * age + 1,
            "prompt_tokens": age,
            "use_time": age,
        }
        for age, kind in ((0, "request"), (61, "request"), (90, "error"), (119, "test"))
    ]
    past = [{**rows[n % 3], "age": age} for n, age in enumerate((3599, 3600, 86399, 86400, 90000))]
    with watched(tmp_path, "Europe/Berlin", moment) as follower:
        follower.put(*(row(drawn, follower.now) for drawn in past))
        follower.fill()
        follower.check()
        for what in ("late", "kill", "away", "lose"):
            take(follower, what, 45, rows)
            follower.fill()
            follower.check()


def test_every_rule_shows_what_sql_says_on_every_kind_of_server(
    gateway_url: str, tmp_path: Path
) -> None:
    follower = Watched(gateway_url, tmp_path / "state", "Asia/Shanghai", START)
    try:
        kinds = list(KINDS_OF_ROWS)
        follower.put(
            *(
                row({"age": age, "kind": kinds[n % 5], "channel_id": 7 + n % 2, "user_id": 3,
                     "model_name": "o3", "token_id": 5 + n % 2, "quota": n, "prompt_tokens": 3 * n,
                     "use_time": n % 97}, follower.now)
                for n, age in enumerate(AGES)
            )
        )  # fmt: skip
        follower.fill()
        follower.check()
        follower.put(*({"created_at": int(follower.now), "use_time": n} for n in range(9)))
        follower.restart()
        follower.fill()
        follower.check()
    finally:
        follower.close()
