"""Windows of alert rules against sums over the events themselves."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.rules import PERIODS, Rule
from exporter.windows import BUCKETS, Buckets, Window, fold
from newapi.events import Event
from newapi.rows import LogType
from tests.test_totals import event as plain_event

NOW = 1_800_000_000
HOUR = Window("gateway", ("gateway",), 3600)


def event(at: int, tokens: int = 10, **values: Any) -> Event:
    mine = {"created_at": at, "prompt": tokens, "completion": 0}
    return plain_event()._replace(**mine | values)


def used(window: Window, events: Sequence[Event], now: float) -> dict[str, int]:
    """Read the events one poll before now, and ask now."""
    return dict(Buckets(fold(events, [window], now - 2)).used(window, now))


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
    assert used(Window(scope, targets, 300), events, NOW) == expected


@pytest.mark.parametrize("kind", [LogType.ERROR, LogType.REFUND])
def test_only_completed_requests_use_tokens(kind: LogType) -> None:
    assert used(HOUR, [event(NOW - 9, type=kind)], NOW) == {}


@pytest.mark.parametrize("period", PERIODS)
def test_every_period_has_buckets_no_coarser_than_a_sixtieth(period: str) -> None:
    window = Window.of(Rule(name="r", type="token_usage", threshold=1, period=period))
    assert window.period == PERIODS[period]
    assert window.period / window.width == BUCKETS == 60
    now = NOW + 1
    begin = window.edge(now)
    assert begin % window.width == 0
    assert now - window.period <= begin < now - window.period + window.width


TIMES = st.integers(-7200, 0)
EVENTS = st.lists(st.tuples(TIMES, st.integers(0, 50)), max_size=40)
MOMENTS = st.integers(0, 600)


def between(events: Sequence[Event], first: float, last: float) -> int:
    return sum(e.prompt for e in events if first <= e.created_at <= last)


@given(EVENTS, MOMENTS, st.sampled_from([300, 900, 3600]))
def test_a_window_never_shows_more_than_was_used_and_misses_less_than_a_bucket(
    drawn: list[tuple[int, int]], later: int, period: int
) -> None:
    window = Window("gateway", ("gateway",), period)
    now = NOW + later
    events = [event(NOW + at, tokens) for at, tokens in drawn]
    shown = used(window, events, now).get("gateway", 0)
    assert shown <= between(events, now - period, now)
    assert shown >= between(events, now - period + window.width, now)


@given(EVENTS, st.integers(0, 10), st.sampled_from([300, 900, 3600]))
def test_a_window_is_exact_at_the_edge_of_a_bucket(
    drawn: list[tuple[int, int]], buckets: int, period: int
) -> None:
    window = Window("gateway", ("gateway",), period)
    now = (NOW // window.width + buckets) * window.width
    events = [event(now + at, tokens) for at, tokens in drawn]
    assert used(window, events, now).get("gateway", 0) == between(events, now - period, now)


@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.integers(0, 90), st.integers(0, 50)),
        min_size=1,
        max_size=40,
    ),
    st.integers(1, 60),
    st.integers(1, 90),
)
def test_rows_that_are_read_one_by_one_and_late_add_up_to_the_same(
    arrivals: list[tuple[int, int, int]], poll: int, clean: int
) -> None:
    """A row is read up to 90 s after its time; what left the window is dropped on the way."""
    window = Window("gateway", ("gateway",), 300)
    buckets, events = Buckets(), []
    for now in range(NOW, NOW + 600):
        if (now - NOW) % poll == 0:
            read = [
                event(NOW + at, tokens)
                for at, late, tokens in arrivals
                if now - poll < NOW + at + late <= now
            ]
            buckets.merge(fold(read, [window], now))
            events += read
            shown = dict(buckets.used(window, now)).get("gateway", 0)
            assert shown <= between(events, now - 300, now)
            assert shown >= between(events, now - 300 + window.width, now)
        if (now - NOW) % clean == 0:
            buckets.expire(window, now)


def test_what_was_saved_goes_on_as_it_was() -> None:
    cells = fold([event(NOW - 9), event(NOW - 1800)], [HOUR], NOW)
    assert dict(Buckets(cells).used(HOUR, NOW)) == {"gateway": 20}
    assert dict(Buckets(cells).used(HOUR, NOW + 1860)) == {"gateway": 10}


def test_a_bucket_is_kept_until_its_window_has_passed_and_no_longer() -> None:
    cells = fold([event(NOW - 9)], [HOUR], NOW)
    ((cell, amount),) = cells.items()
    buckets = Buckets(cells)
    buckets.expire(HOUR, NOW + 3480)
    assert buckets.get(cell) == amount
    assert buckets.expire(HOUR, NOW + 3600) > cell[2]
    assert buckets.get(cell) == 0


def test_a_window_that_is_forgotten_holds_nothing() -> None:
    day = Window("gateway", ("gateway",), 86400)
    buckets = Buckets(fold([event(NOW - 9)], [HOUR, day], NOW))
    buckets.forget_but([day.key])
    assert dict(buckets.used(HOUR, NOW)) == {}
    assert dict(buckets.used(day, NOW)) == {"gateway": 10}


def test_a_clock_that_is_ahead_counts_at_once_and_an_absurd_time_never() -> None:
    """Some fork writes milliseconds: such a row would otherwise never leave its window."""
    assert used(HOUR, [event(NOW + 120)], NOW) == {"gateway": 10}
    absurd = (NOW * 1000, NOW + 86400, 0, -5)
    assert used(HOUR, [event(at) for at in absurd], NOW) == {}


def test_two_windows_are_one_only_if_they_look_at_the_same() -> None:
    windows = [
        Window("model", ("a,b",), 300), Window("model", ("a", "b"), 300),
        Window("model", ("*",), 300), Window("user", ("*",), 300), Window("user", ("*",), 900),
    ]  # fmt: skip
    assert len({window.key for window in windows}) == len(windows)
    cells = fold([event(NOW, model="a"), event(NOW, model="a,b")], windows, NOW)
    shown = [dict(Buckets(cells).used(window, NOW)) for window in windows[:3]]
    assert shown == [{"a,b": 10}, {"a": 10}, {"a": 10, "a,b": 10}]
