"""Windows of alert rules against sums over the events themselves."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.measures import lower_bound, quantile
from exporter.rules.period import PERIODS
from exporter.rules.rule import Rule
from exporter.spans import BUCKETS, Day, Fixed, Rolling
from exporter.windows import Buckets, Window, fold
from newapi.errors import Category
from newapi.events import Event
from newapi.rows import LogType, Source
from tests.test_totals import event as plain_event

NOW = 1_800_000_000
UTC = ZoneInfo("UTC")
HOUR = Window("gateway", ("gateway",), Rolling(3600))


def event(at: int, tokens: int = 10, **values: Any) -> Event:
    mine = {"created_at": at, "prompt": tokens, "completion": 0}
    return replace(plain_event(), **mine | values)


def used(window: Window, events: Sequence[Event], now: float) -> dict[str, int]:
    """Read the events one poll before now, and ask now for the tokens."""
    return tokens(Buckets(fold(events, [window], now - 2)), window, now)


def tokens(buckets: Buckets, window: Window, now: float) -> dict[str, int]:
    return {target: use.get("tokens", 0) for target, use in buckets.used(window, now).now.items()}


@pytest.mark.parametrize(
    ("scope", "targets", "expected"),
    [
        ("gateway", ("gateway",), {"gateway": 15}),
        ("channel", ("*",), {"7": 10, "8": 5}),
        ("channel", ("7", "9"), {"7": 10}),
        ("model", ("*",), {"gpt-4o": 12, "o3": 3}),
        ("api_key", ("*",), {"11": 15}),
        ("user", ("3",), {"3": 12}),
    ],
)
def test_tokens_count_for_the_target_that_they_were_used_by(
    scope: str, targets: tuple[str, ...], expected: dict[str, int]
) -> None:
    events = [
        event(NOW - 9, 10),
        event(NOW - 9, 0, channel_id=8, prompt=1, completion=1),
        event(NOW - 9, 3, channel_id=8, model="o3", user_id=4),
    ]
    assert used(Window(scope, targets, Rolling(300)), events, NOW) == expected


@pytest.mark.parametrize("kind", [LogType.ERROR, LogType.REFUND])
def test_only_completed_requests_use_tokens(kind: LogType) -> None:
    assert used(HOUR, [event(NOW - 9, type=kind)], NOW) == {}


EVERY_MEASURE = Window(
    "gateway",
    ("gateway",),
    Rolling(300),
    ("tokens", "quota", "requests", "errors", "failures", "milliseconds", "durations"),
)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"duration_ms": 4000},
            {"tokens": 10, "quota": 1500, "requests": 1, "milliseconds": 4000, "4000": 1},
        ),
        ({"source": Source.TEST}, {"tokens": 10, "quota": 1500}),
        ({"duration_ms": 0}, {"tokens": 10, "quota": 1500, "requests": 1, "0": 1}),
        ({"type": LogType.ERROR, "category": Category.TIMEOUT}, {"errors": 1, "failures": 1}),
        ({"type": LogType.ERROR, "category": Category.CLIENT}, {"failures": 1}),
        ({"type": LogType.ERROR, "source": Source.TEST}, {}),
        ({"type": LogType.REFUND}, {}),
    ],
)
def test_what_a_row_adds_to_each_measure(values: dict[str, Any], expected: dict[str, int]) -> None:
    cells = fold([event(NOW - 9, **values)], [EVERY_MEASURE], NOW)
    assert dict(Buckets(cells).used(EVERY_MEASURE, NOW).now.get("gateway", {})) == expected


@pytest.mark.parametrize("period", PERIODS)
def test_every_period_has_buckets_no_coarser_than_a_sixtieth(period: str) -> None:
    rule = Rule(name="r", type="token_usage", threshold=1, period=period)
    window = Window.of(rule, UTC)
    assert isinstance(window.span, Rolling)
    assert window.span.seconds == PERIODS[period]
    assert window.span.seconds / window.span.width == BUCKETS == 60
    now = NOW + 1
    begin = window.first(now)
    assert begin % window.span.width == 0
    assert now - window.span.seconds <= begin < now - window.span.seconds + window.span.width


TIMES = st.integers(-7200, 0)
EVENTS = st.lists(st.tuples(TIMES, st.integers(0, 50)), max_size=40)
MOMENTS = st.integers(0, 600)


def between(events: Sequence[Event], first: float, last: float) -> int:
    return sum(e.prompt for e in events if first <= e.created_at <= last)


@given(EVENTS, MOMENTS, st.sampled_from([300, 900, 3600]))
def test_a_window_never_shows_more_than_was_used_and_misses_less_than_a_bucket(
    drawn: list[tuple[int, int]], later: int, period: int
) -> None:
    span = Rolling(period)
    window = Window("gateway", ("gateway",), span)
    now = NOW + later
    events = [event(NOW + at, tokens) for at, tokens in drawn]
    shown = used(window, events, now).get("gateway", 0)
    assert shown <= between(events, now - period, now)
    assert shown >= between(events, now - period + span.width, now)


@given(EVENTS, st.integers(0, 10), st.sampled_from([300, 900, 3600]))
def test_a_window_is_exact_at_the_edge_of_a_bucket(
    drawn: list[tuple[int, int]], buckets: int, period: int
) -> None:
    span = Rolling(period)
    now = (NOW // span.width + buckets) * span.width
    events = [event(now + at, tokens) for at, tokens in drawn]
    shown = used(Window("gateway", ("gateway",), span), events, now)
    assert shown.get("gateway", 0) == between(events, now - period, now)


SPANS = (Rolling(300), Day(ZoneInfo("Asia/Shanghai")), Fixed(NOW + 30, NOW + 330))


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.integers(0, 90), st.integers(0, 50)),
        min_size=1,
        max_size=40,
    ),
    st.integers(1, 60),
    st.integers(1, 90),
    st.sampled_from(SPANS),
)
def test_rows_that_are_read_one_by_one_and_late_add_up_to_the_same(
    arrivals: list[tuple[int, int, int]],
    poll: int,
    clean: int,
    span: Rolling | Day | Fixed,
) -> None:
    """A row is read up to 90 s after its time; what left the window is dropped on the way."""
    window = Window("gateway", ("gateway",), span, before=True)
    buckets, events = Buckets(), []
    begin = SHANGHAI_EVE if isinstance(span, Day) else NOW
    for now in range(begin, begin + 700):
        if (now - begin) % poll == 0:
            read = [
                event(begin + at, amount)
                for at, late, amount in arrivals
                if now - poll < begin + at + late <= now
            ]
            buckets.merge(fold(read, [window], now))
            events += read
            edges = span.edges(now)
            use = buckets.used(window, now)
            shown = [part.get("gateway", {}).get("tokens", 0) for part in use]
            assert shown == [
                between(events, edges.begin, edges.end - 1),
                between(events, edges.before, edges.begin - 1),
            ]
        if (now - begin) % clean == 0:
            buckets.expire(window, now)


SHANGHAI_EVE = int(datetime(2027, 1, 15, 23, 57, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp())


def test_what_was_saved_goes_on_as_it_was() -> None:
    cells = fold([event(NOW - 9), event(NOW - 1800)], [HOUR], NOW)
    assert tokens(Buckets(cells), HOUR, NOW) == {"gateway": 20}
    assert tokens(Buckets(cells), HOUR, NOW + 1860) == {"gateway": 10}


def test_a_bucket_is_kept_until_its_window_has_passed_and_no_longer() -> None:
    cells = fold([event(NOW - 9)], [HOUR], NOW)
    ((cell, amount),) = cells.items()
    buckets = Buckets(cells)
    buckets.expire(HOUR, NOW + 3480)
    assert buckets.get(cell) == amount
    assert buckets.expire(HOUR, NOW + 3600) > cell[1]
    assert buckets.get(cell) == 0


def test_a_window_that_is_forgotten_holds_nothing() -> None:
    day = Window("gateway", ("gateway",), Rolling(86400))
    buckets = Buckets(fold([event(NOW - 9)], [HOUR, day], NOW))
    buckets.forget_but([day.key])
    assert tokens(buckets, HOUR, NOW) == {}
    assert tokens(buckets, day, NOW) == {"gateway": 10}


def test_what_was_shown_does_not_change_afterwards() -> None:
    """A scrape reads it while rows are counted."""
    buckets = Buckets(fold([event(NOW - 9)], [HOUR], NOW))
    shown = buckets.used(HOUR, NOW).now["gateway"]
    buckets.merge(fold([event(NOW - 8)], [HOUR], NOW))
    assert shown == {"tokens": 10}
    assert tokens(buckets, HOUR, NOW) == {"gateway": 20}


def test_a_clock_that_is_ahead_counts_at_once_and_an_absurd_time_never() -> None:
    """Some fork writes milliseconds: such a row would otherwise never leave its window."""
    assert used(HOUR, [event(NOW + 120)], NOW) == {"gateway": 10}
    absurd = (NOW * 1000, NOW + 86400, 0, -5)
    assert used(HOUR, [event(at) for at in absurd], NOW) == {}


def test_two_windows_are_one_only_if_they_look_at_the_same() -> None:
    span = Rolling(300)
    windows = [
        Window("model", ("a,b",), span), Window("model", ("a", "b"), span),
        Window("model", ("*",), span), Window("user", ("*",), span),
        Window("user", ("*",), Rolling(900)), Window("user", ("*",), span, ("quota",)),
        Window("user", ("*",), span, before=True), Window("user", ("*",), Day(UTC)),
        Window("user", ("*",), Day(ZoneInfo("Asia/Shanghai"))), Window("user", ("*",), Fixed(0, 9)),
        Window("user", ("*",), Fixed(0, None)),
    ]  # fmt: skip
    assert len({window.key for window in windows}) == len(windows)
    cells = fold([event(NOW, model="a"), event(NOW, model="a,b")], windows, NOW)
    shown = [tokens(Buckets(cells), window, NOW) for window in windows[:3]]
    assert shown == [{"a,b": 10}, {"a": 10}, {"a": 10, "a,b": 10}]


DURATIONS = st.lists(st.integers(0, 400), min_size=1, max_size=200)


@given(DURATIONS, st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_a_quantile_is_a_duration_that_so_many_did_not_pass(
    seconds: list[int], part: float
) -> None:
    """Of whole seconds, as New API logs them: exact up to 100, then by two digits."""
    use: dict[str, int] = {}
    for duration in seconds:
        bucket = str(lower_bound(duration * 1000))
        use[bucket] = use.get(bucket, 0) + 1
    rank = -(-len(seconds) * round(part * 100) // 100)
    exact = sorted(seconds)[rank - 1]
    shown = quantile(use, part)
    assert shown == (exact if exact < 100 else exact // 10 * 10)


def test_no_requests_have_no_quantile() -> None:
    assert quantile({"tokens": 5}, 0.5) is None


@given(st.integers(0, 10**7), st.integers(1, 99), st.integers(1, 5))
def test_a_duration_reaches_a_threshold_of_two_digits_where_its_bucket_does(
    milliseconds: int, digits: int, zeros: int
) -> None:
    threshold = digits * 10**zeros
    assert (lower_bound(milliseconds) >= threshold) == (milliseconds >= threshold)
