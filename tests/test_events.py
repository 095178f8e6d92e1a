"""What a log row says: each kind of row as the gateways write it, and any garbage in its place."""

import json
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from newapi.errors import BY_CODE, Category, category
from newapi.events import LONGEST_MODEL, Event, read_event
from newapi.rows import INT64, LogRow, LogType, Source
from newapi.schema import Flavour

NEW_API, ONE_API = Flavour.NEW_API, Flavour.ONE_API


def row(**values: Any) -> LogRow:
    """A completed request of New API, as an ordinary stream leaves it."""
    plain = LogRow(
        id=1, created_at=1_800_000_000, type=2, channel_id=7, model_name="gpt-4o", user_id=3,
        token_id=11, token_name="laptop", quota=1500, prompt_tokens=100, completion_tokens=20,
        duration=4, is_stream=True, request_id="r1", other='{"frt":350.5,"cache_tokens":60}',
    )  # fmt: skip
    return plain._replace(**values)


def read(flavour: Flavour = NEW_API, **values: Any) -> Event:
    event = read_event(row(**values), flavour)
    assert event is not None
    return event


def test_a_completed_request_is_read_with_all_that_it_says() -> None:
    assert read() == Event(
        type=LogType.CONSUME, created_at=1_800_000_000, channel_id=7, model="gpt-4o", user_id=3,
        api_key_id=11, source=Source.USER, quota=1500, prompt=100, completion=20, cached=60,
        duration_ms=4000, first_token_ms=350, broken="", category=None,
        request_id="r1", adjusted=(),
    )  # fmt: skip


def test_one_api_stores_milliseconds_and_nothing_in_other() -> None:
    event = read(ONE_API, duration=4321, other=None, token_id=None)
    assert (event.duration_ms, event.first_token_ms, event.cached) == (4321, 0, 0)
    assert (event.api_key_id, event.source, event.adjusted) == (0, Source.USER, ())


@pytest.mark.parametrize("kind", [0, 1, 3, 4, 7, None, "", "top-up", -2, 2.5])
def test_rows_of_other_types_are_no_events(kind: object) -> None:
    assert read_event(row(type=kind), NEW_API) is None


def test_a_refund_gives_quota_back() -> None:
    event = read(type=6, quota=900, other='{"task_id":"t","reason":"failed"}')
    assert (event.type, event.quota, event.category) == (LogType.REFUND, 900, None)


@pytest.mark.parametrize(
    ("kind", "key", "name", "expected"),
    [
        (2, 11, "laptop", Source.USER),
        (2, 0, "模型测试", Source.TEST),
        (5, 0, "", Source.TEST),
        (5, 0, None, Source.TEST),
        (2, 0, "playground-vip", Source.PLAYGROUND),
        (5, 0, "playground-default", Source.PLAYGROUND),
        (2, 11, "模型测试", Source.USER),
        (2, 1, "模型测试", Source.USER),
        (2, -1, "模型测试", Source.USER),
        (2, 11, "playground", Source.USER),
        (2, 0, "", Source.USER),
    ],
)
def test_who_asked_is_told_by_the_keys_id_and_name(
    kind: int, key: int, name: str | None, expected: Source
) -> None:
    assert read(type=kind, token_id=key, token_name=name).source is expected


@pytest.mark.parametrize(
    ("frt", "expected"),
    [(350, 350), (0.4, 0), (-1000, 0), (-1000.0, 0), (None, 0), ("420", 420), (1e30, 0)],
)
def test_a_first_token_is_one_that_a_stream_got(frt: object, expected: int) -> None:
    other = json.dumps({"frt": frt})
    assert read(other=other).first_token_ms == expected
    assert read(other=other, is_stream=False).first_token_ms == 0
    assert read(other=other, type=5).first_token_ms == 0


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"status": "ok", "end_reason": "done"}, ""),
        ({"status": "ok", "end_reason": "eof"}, ""),
        ({"status": "error", "end_reason": "done"}, "chunk_error"),
        ({"status": "error"}, "chunk_error"),
        ({"status": "error", "end_reason": "client_gone"}, "client_gone"),
        ({"status": "error", "end_reason": "timeout"}, "timeout"),
        ({"status": "error", "end_reason": "a new one"}, "other"),
        ({"status": "error", "end_reason": 5}, "chunk_error"),
        ("error", ""),
        (None, ""),
    ],
)
def test_how_a_stream_broke_is_one_of_a_closed_set(status: object, reason: str) -> None:
    assert read(other=json.dumps({"stream_status": status})).broken == reason
    assert read(type=5, other=json.dumps({"stream_status": status})).broken == ""


@pytest.mark.parametrize(
    ("values", "flavour"),
    [
        ({"user_id": 5, "token_id": 0, "other": None}, ONE_API),
        ({"user_id": 0, "token_id": 0, "other": None}, NEW_API),
        ({"user_id": 0, "token_id": None, "other": None}, NEW_API),
    ],
)
def test_one_apis_channel_test_is_no_failed_attempt(
    values: dict[str, Any], flavour: Flavour
) -> None:
    assert read_event(row(type=5, **values), flavour) is None


def test_a_failed_test_of_new_api_counts_as_a_failed_attempt() -> None:
    event = read(type=5, user_id=0, token_id=0, token_name="", other='{"status_code":500}')
    assert (event.source, event.category) == (Source.TEST, Category.UPSTREAM)


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "", Category.CLIENT),
        (422, "invalid_request_error", Category.CLIENT),
        (401, None, Category.AUTH),
        (403, "", Category.AUTH),
        (429, "", Category.RATE_LIMIT),
        (529, "overloaded_error", Category.RATE_LIMIT),
        (400, "insufficient_quota", Category.RATE_LIMIT),
        (500, "", Category.UPSTREAM),
        (503, "bad_response_status_code", Category.UPSTREAM),
        (504, "", Category.TIMEOUT),
        (408, "", Category.TIMEOUT),
        (500, "do_request_failed", Category.NETWORK),
        (500, "channel:no_available_key", Category.NO_KEY),
        (500, " Channel:Invalid_Key ", Category.AUTH),
        (500, "prompt_blocked", Category.CLIENT),
        (0, "", Category.OTHER),
        (None, "who knows", Category.OTHER),
        (200, "", Category.OTHER),
        (-1, "", Category.OTHER),
        (10**12, "", Category.OTHER),
    ],
)
def test_a_failure_is_sorted_by_code_before_status(
    status: int | None, code: str | None, expected: Category
) -> None:
    assert category(status, code) is expected
    other = json.dumps({"status_code": status, "error_code": code})
    assert read(type=5, other=other).category is expected


def test_the_gateways_own_codes_win_over_any_status() -> None:
    assert all(category(s, code) is kind for code, kind in BY_CODE.items() for s in (400, 500, 429))


def test_a_model_name_that_is_too_long_is_cut_and_stays_apart_from_others() -> None:
    names = [f"{'m' * LONGEST_MODEL}{end}" for end in ("a", "b")]
    events = [read(model_name=name) for name in names]
    assert [event.adjusted for event in events] == [("absurd",), ("absurd",)]
    assert all(len(event.model) == LONGEST_MODEL + 8 for event in events)
    assert events[0].model != events[1].model
    assert read(model_name=names[0]).model == events[0].model
    assert read(model_name="m" * LONGEST_MODEL).adjusted == ()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"prompt_tokens": -5}, "negative"),
        ({"quota": -1}, "negative"),
        ({"duration": -1}, "negative"),
        ({"other": '{"cache_tokens":-3}'}, "negative"),
        ({"completion_tokens": "many"}, "unreadable"),
        ({"quota": "1e999999999"}, "unreadable"),
        ({"quota": 2**63}, "unreadable"),
        ({"other": "{broken"}, "unreadable"),
        ({"other": "[1]"}, "unreadable"),
        ({"other": b"\xff{}"}, "unreadable"),
        ({"other": "[" * 100_000}, "unreadable"),
        ({"other": '{"cache_tokens":' + "9" * 5000 + "}"}, "unreadable"),
    ],
)
def test_a_value_that_cannot_stand_counts_nothing_and_is_noted(
    values: dict[str, Any], reason: str
) -> None:
    event = read(**values)
    assert event.adjusted == (reason,)
    numbers = {
        "prompt_tokens": event.prompt, "completion_tokens": event.completion,
        "quota": event.quota, "duration": event.duration_ms, "other": event.cached,
    }  # fmt: skip
    for column, number in numbers.items():
        assert (number == 0) == (column in values), column


def test_numbers_of_odd_types_count_as_what_they_say() -> None:
    event = read(quota=Decimal(1500), prompt_tokens="100", completion_tokens=20.0, duration=True)
    assert (event.quota, event.prompt, event.completion) == (1500, 100, 20)
    assert (event.duration_ms, event.adjusted) == (1000, ())


GARBAGE = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**80), 2**80)
    | st.floats()
    | st.decimals().filter(lambda number: not number.is_snan())
    | st.text(max_size=200)
    | st.binary(max_size=20)
    | st.from_regex(r"\A[-+]?[0-9]{1,30}(\.[0-9]{1,9})?([eE][-+]?[0-9]{1,12})?\Z")
    | st.dates()
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=5,
)
KEYS = ("frt", "cache_tokens", "stream_status", "status_code", "error_code")
OTHER = (
    GARBAGE
    | JSON.map(json.dumps)
    | st.dictionaries(st.sampled_from(KEYS), JSON | GARBAGE, max_size=5)
    | st.dictionaries(st.sampled_from(KEYS), JSON, max_size=5).map(json.dumps)
    | st.dictionaries(st.sampled_from(KEYS), JSON).map(lambda v: json.dumps(v).encode())
)


@given(
    st.sampled_from([2, 5, 6, 2.0, Decimal(5), True]) | GARBAGE,
    st.lists(GARBAGE, min_size=len(LogRow._fields) - 3, max_size=len(LogRow._fields) - 3),
    OTHER,
    st.sampled_from(Flavour),
)
@example(2, ["1e-999999999"] * 12, '{"frt":1e-320}', NEW_API)
@example(2, [Decimal("NaN")] * 12, '{"frt":NaN,"cache_tokens":Infinity}', NEW_API)
@example(5, ["9" * 100_000] * 12, '{"status_code":1e400}', NEW_API)
def test_garbage_in_any_column_never_raises_and_never_counts_negative(
    kind: object, values: Sequence[object], other: object, flavour: Flavour
) -> None:
    fields = [name for name in LogRow._fields if name not in {"id", "type", "other"}]
    began = time.perf_counter()
    event = read_event(
        row(type=kind, other=other, **dict(zip(fields, values, strict=True))), flavour
    )
    assert time.perf_counter() - began < 1
    if event is None:
        return
    amounts = (
        event.quota, event.prompt, event.completion, event.cached, event.duration_ms,
        event.first_token_ms,
    )  # fmt: skip
    assert all(type(n) is int and 0 <= n < INT64 * 1000 for n in amounts)
    ids = (event.created_at, event.channel_id, event.user_id, event.api_key_id)
    assert all(type(n) is int and -INT64 <= n < INT64 for n in ids)
    assert len(event.model) <= LONGEST_MODEL + 8
    assert set(event.adjusted) <= {"negative", "unreadable", "absurd"}
    assert (event.category is not None) == (event.type is LogType.ERROR)
    assert isinstance(event.source, Source)


NUMBER = st.from_regex(r"\A-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,20})?([eE][-+]?[0-9]{1,3})?\Z")
RAW = (
    NUMBER
    | JSON.map(json.dumps)
    | st.sampled_from(["NaN", "-Infinity", '"\\ud800"', "-0", "1e999"])
)


@given(st.lists(st.tuples(st.sampled_from(KEYS), RAW), max_size=6), st.sampled_from([2, 5]))
@example([("frt", "18446744073709551616"), ("cache_tokens", "1e2")], 2)
@example([("frt", "1"), ("frt", "2")], 2)
def test_other_means_what_json_means(pairs: Sequence[tuple[str, str]], kind: int) -> None:
    """Whatever reads it quickly is held to Python's own reader."""
    other = "{" + ", ".join(f'"{key}": {value}' for key, value in pairs) + "}"
    assert read(type=kind, other=other) == read(type=kind, other=json.loads(other))
