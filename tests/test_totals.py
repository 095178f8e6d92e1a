"""What the counters add up, row by row and put together in any way."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.catalogue import LOG_METRICS, Histogram
from exporter.totals import DURATION_BOUNDS, FIRST_TOKEN_BOUNDS, Labels, Totals, fold
from newapi.errors import Category
from newapi.events import Event
from newapi.rows import LogType, Source

CONSUME, ERROR, REFUND = LogType.CONSUME, LogType.ERROR, LogType.REFUND


def event(kind: LogType = CONSUME, **values: Any) -> Event:
    fields: dict[str, Any] = dict.fromkeys(Event.__struct_fields__, "")
    fields |= {
        "type": kind, "created_at": 1_800_000_000, "channel_id": 7, "model": "gpt-4o",
        "user_id": 3, "api_key_id": 11, "source": Source.USER, "quota": 1500, "prompt": 100,
        "completion": 20, "cached": 60, "duration_ms": 4000, "first_token_ms": 350,
        "category": Category.UPSTREAM if kind is ERROR else None, "adjusted": (),
    }  # fmt: skip
    plain = Event(**fields)
    return replace(plain, **values)


def sums(*events: Event) -> dict[str, dict[Labels, int]]:
    return fold(events).sums


def test_a_completed_request_counts_for_its_channel_its_key_and_its_user() -> None:
    assert sums(event()) == {
        "newapi_requests_total": {(7, "gpt-4o", "user"): 1},
        "newapi_tokens_total": {(7, "gpt-4o", "prompt"): 100, (7, "gpt-4o", "completion"): 20},
        "newapi_cached_tokens_total": {(7, "gpt-4o"): 60},
        "newapi_quota_total": {(7, "gpt-4o"): 1500},
        "newapi_api_key_requests_total": {(11,): 1},
        "newapi_api_key_tokens_total": {(11, "prompt"): 100, (11, "completion"): 20},
        "newapi_api_key_quota_total": {(11,): 1500},
        "newapi_user_requests_total": {(3,): 1},
        "newapi_user_tokens_total": {(3, "prompt"): 100, (3, "completion"): 20},
        "newapi_user_quota_total": {(3,): 1500},
        "newapi_request_duration_seconds_bucket": {(7, "gpt-4o", 3): 1},
        "newapi_request_duration_seconds_sum": {(7, "gpt-4o"): 4000},
        "newapi_time_to_first_token_seconds_bucket": {(7, "gpt-4o", 1): 1},
        "newapi_time_to_first_token_seconds_sum": {(7, "gpt-4o"): 350},
    }


def test_a_failed_attempt_counts_as_an_error_alone() -> None:
    assert sums(event(ERROR, category=Category.TIMEOUT, source=Source.PLAYGROUND)) == {
        "newapi_request_errors_total": {(7, "gpt-4o", "playground", "timeout"): 1},
        "newapi_api_key_errors_total": {(11,): 1},
        "newapi_user_errors_total": {(3,): 1},
    }


def test_a_refund_is_no_request_and_takes_nothing_off_what_was_charged() -> None:
    assert sums(event(REFUND, quota=900)) == {"newapi_quota_refunded_total": {(7, "gpt-4o"): 900}}


def test_a_channel_test_counts_but_its_times_do_not() -> None:
    found = sums(event(source=Source.TEST))
    assert found["newapi_requests_total"] == {(7, "gpt-4o", "test"): 1}
    assert not [name for name in found if "seconds" in name]


def test_a_request_without_a_first_token_has_a_duration_alone() -> None:
    found = sums(event(first_token_ms=0))
    assert "newapi_request_duration_seconds_sum" in found
    assert "newapi_time_to_first_token_seconds_sum" not in found


def test_a_broken_stream_and_adjusted_values_are_counted_by_reason() -> None:
    found = sums(event(broken="client_gone", adjusted=("negative", "negative", "absurd")))
    assert found["newapi_broken_streams_total"] == {(7, "gpt-4o", "client_gone"): 1}
    assert found["newapi_rows_adjusted_total"] == {("negative",): 2, ("absurd",): 1}


@pytest.mark.parametrize(
    ("milliseconds", "bucket"),
    [(0, 0), (1000, 0), (1001, 1), (300_000, 10), (300_001, 11), (10**9, 11)],
)
def test_a_bound_belongs_to_the_bucket_below_it(milliseconds: int, bucket: int) -> None:
    found = sums(event(duration_ms=milliseconds))["newapi_request_duration_seconds_bucket"]
    assert found == {(7, "gpt-4o", bucket): 1}


EVENTS = st.lists(
    st.builds(
        event,
        st.sampled_from(LogType),
        channel_id=st.integers(1, 3),
        model=st.sampled_from(["a", "b", ""]),
        user_id=st.integers(1, 2),
        api_key_id=st.integers(0, 2),
        source=st.sampled_from(Source),
        quota=st.integers(0, 2**63),
        prompt=st.integers(0, 9),
        completion=st.integers(0, 9),
        cached=st.integers(0, 9),
        duration_ms=st.integers(0, 400_000),
        first_token_ms=st.integers(0, 90_000),
        broken=st.sampled_from(["", "timeout"]),
        category=st.sampled_from(Category),
        adjusted=st.lists(st.sampled_from(["negative", "absurd"]), max_size=2).map(tuple),
    ),
    max_size=30,
)


@given(EVENTS, st.integers(0, 30))
def test_two_parts_add_up_to_the_whole(events: Sequence[Event], cut: int) -> None:
    parts = fold(events[:cut])
    before = {(m, k): n for m, values in parts.sums.items() for k, n in values.items()}
    parts.merge(fold(events[cut:]))
    assert parts.sums == fold(events).sums
    assert all(parts.sums[m][k] >= n for (m, k), n in before.items())


def total(found: Mapping[str, Mapping[Labels, int]], metric: str) -> int:
    return sum(found.get(metric, {}).values())


@given(EVENTS)
def test_every_view_of_the_same_rows_adds_up_to_the_same(events: Sequence[Event]) -> None:
    found = fold(events).sums
    done = [e for e in events if e.type is CONSUME]
    for what, expected in {
        "requests": len(done),
        "tokens": sum(e.prompt + e.completion for e in done),
        "quota": sum(e.quota for e in done),
    }.items():
        views = [f"newapi_{who}{what}_total" for who in ("", "api_key_", "user_")]
        assert [total(found, view) for view in views] == [expected] * 3
    errors = sum(e.type is ERROR for e in events)
    assert total(found, "newapi_request_errors_total") == errors
    assert total(found, "newapi_quota_refunded_total") == sum(
        e.quota for e in events if e.type is REFUND
    )
    timed = [e for e in done if e.source is not Source.TEST]
    assert total(found, "newapi_request_duration_seconds_bucket") == len(timed)
    assert total(found, "newapi_request_duration_seconds_sum") == sum(e.duration_ms for e in timed)
    first = [e.first_token_ms for e in timed if e.first_token_ms]
    assert total(found, "newapi_time_to_first_token_seconds_bucket") == len(first)
    assert total(found, "newapi_time_to_first_token_seconds_sum") == sum(first)
    assert min((n for values in found.values() for n in values.values()), default=0) >= 0


@given(EVENTS)
def test_each_sum_belongs_to_a_metric_with_so_many_labels(events: Sequence[Event]) -> None:
    labels: dict[str, int] = {}
    for metric in LOG_METRICS:
        if isinstance(metric, Histogram):
            labels[f"{metric.name}_bucket"] = len(metric.labels) + 1
            labels[f"{metric.name}_sum"] = len(metric.labels)
        else:
            labels[metric.name] = len(metric.labels)
    for name, values in fold(events).sums.items():
        assert {len(key) for key in values} == {labels[name]}


@given(st.lists(st.integers(0, 400_000), min_size=1, max_size=20))
def test_a_histogram_shows_for_each_bound_how_many_were_no_longer(times: list[int]) -> None:
    events = [event(duration_ms=ms, first_token_ms=ms) for ms in times]
    found = fold(events).sums
    for metric, bounds in (
        ("newapi_request_duration_seconds", DURATION_BOUNDS),
        ("newapi_time_to_first_token_seconds", FIRST_TOKEN_BOUNDS),
    ):
        family = next(m for m in LOG_METRICS if m.name == metric).family(found)
        shown = {s.labels.get("le", s.name.removeprefix(metric)): s.value for s in family.samples}
        seen = [ms for ms in times if ms or metric == "newapi_request_duration_seconds"]
        if not seen:
            assert shown == {}
            continue
        for bound in bounds:
            assert shown[str(bound / 1000)] == sum(ms <= bound for ms in seen)
        assert shown["+Inf"] == shown["_count"] == len(seen)
        assert shown["_sum"] == sum(seen) / 1000


def test_totals_are_a_copy_of_what_they_were_made_from() -> None:
    saved: dict[str, dict[Labels, int]] = {"newapi_quota_total": {(7, "gpt-4o"): 2**70}}
    totals = Totals(saved)
    totals.merge(fold([event()]))
    assert totals.sums["newapi_quota_total"] == {(7, "gpt-4o"): 2**70 + 1500}
    assert saved == {"newapi_quota_total": {(7, "gpt-4o"): 2**70}}
