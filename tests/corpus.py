"""Log rows that no sane gateway writes, each with what must be counted of it, told by hand."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from sqlalchemy import literal_column

from tests.corpus_sums import Counts

EVERY = ("sqlite", "mysql", "postgresql")
ROOMY = ("sqlite", "postgresql")
"""Where a name may be longer than 191 characters."""

MAX = 2**63 - 1
MIN = -(2**63)

ROW = {
    "type": 2, "model_name": "m", "user_id": 3, "token_id": 11, "token_name": "laptop",
    "quota": 1500, "prompt_tokens": 100, "completion_tokens": 20, "use_time": 4,
    "is_stream": True, "request_id": "", "other": '{"frt":350,"cache_tokens":60}',
}  # fmt: skip
"""An ordinary completed request; created_at and channel_id come with the test."""


@dataclass(frozen=True)
class Case:
    """A row: what it holds instead of ROW's values, and what it adds."""

    name: str
    row: dict[str, Any]
    counts: Counts
    adjusted: tuple[str, ...] = ()
    on: tuple[str, ...] = EVERY


PLAIN = Counts()
BARE = Counts(cached=0, first_ms=None)
"""Where `other` says nothing."""
NOTHING = Counts(kind="")
REFUND = Counts(kind="refund")
NO, UNREADABLE, NEGATIVE, ABSURD = (), ("unreadable",), ("negative",), ("absurd",)
NULLS = dict.fromkeys((*ROW, "created_at", "channel_id"), None)


def _error(category: str, **values: Any) -> Counts:
    return Counts(kind="error", category=category, **values)


def _other() -> Iterator[Case]:
    """What may stand in `other`."""
    for text, counts, adjusted in (
        ("", BARE, NO),
        (None, BARE, NO),
        ("{}", BARE, NO),
        ("null", BARE, NO),  # what Go makes of a map that is not there
        ('{"cache_tokens":60', BARE, UNREADABLE),
        ("[]", BARE, UNREADABLE),
        ('["frt",350]', BARE, UNREADABLE),
        ('"frt"', BARE, UNREADABLE),
        ("350", BARE, UNREADABLE),
        ("undefined", BARE, UNREADABLE),
        ("[" * 100_000, BARE, UNREADABLE),
        ('{"a":' * 50_000, BARE, UNREADABLE),
        (' {"frt":350,\n"cache_tokens":60} ', PLAIN, NO),
        ('{"frt":350,"cache_tokens":60,"x":"\\ud83d\\ude80\\ud800\\u0000"}', PLAIN, NO),
        ('{"frt":350,"cache_tokens":60,"admin_info":[],"x":{"frt":[{}]}}', PLAIN, NO),
    ):
        yield Case(f"other {str(text)[:40]!r}", {"other": text}, counts, adjusted)
    for value, cached, adjusted in (
        ('"60"', 60, NO),
        ("60.0", 60, NO),
        ("6e1", 60, NO),
        ("null", 0, NO),
        ('""', 0, NO),
        ("-60", 0, NEGATIVE),
        ("[60]", 0, UNREADABLE),
        ("{}", 0, UNREADABLE),
        ('"many"', 0, UNREADABLE),
        (f"{MAX}", MAX, NO),
        (f"{MAX + 1}", 0, UNREADABLE),
        (f"{MIN - 1}", 0, UNREADABLE),
        ("9" * 5000, 0, UNREADABLE),
        ("1e400", 0, UNREADABLE),
        ('"1e999999999"', 0, UNREADABLE),
        ("NaN", 0, UNREADABLE),
    ):
        row = {"other": f'{{"cache_tokens":{value}}}'}
        yield Case(f"cache_tokens {value[:20]}", row, replace(BARE, cached=cached), adjusted)
    for value, first_ms, adjusted in (
        ('"350"', 350, NO),
        ("350.6", 351, NO),
        ("-1000", None, NO),  # no first token was seen
        ("0", None, NO),
        ("null", None, NO),
        ("[350]", None, UNREADABLE),
        ('{"ms":350}', None, UNREADABLE),
        ('"soon"', None, UNREADABLE),
        ("1e300", None, UNREADABLE),
        ("-Infinity", None, UNREADABLE),
    ):
        row = {"other": f'{{"frt":{value}}}'}
        yield Case(f"frt {value}", row, replace(BARE, first_ms=first_ms), adjusted)


def _streams() -> Iterator[Case]:
    """How a stream may be said to have ended."""
    for status, broken in (
        ("error", ""),
        (5, ""),
        ([], ""),
        (["error", "timeout"], ""),
        (None, ""),
        ({}, ""),
        ({"status": [], "end_reason": {}}, ""),
        ({"status": "ok", "end_reason": "done"}, ""),
        ({"status": "error"}, "chunk_error"),
        ({"status": "error", "end_reason": 7}, "chunk_error"),
        ({"status": "error", "end_reason": "timeout"}, "timeout"),
        ({"end_reason": "ping_fail"}, "ping_fail"),
        ({"status": "error", "end_reason": "x" * 10_000}, "other"),
        ({"status": "error", "end_reason": 'a "new"\none 🚀'}, "other"),
    ):
        text = json.dumps({"stream_status": status})
        yield Case(f"stream_status {text[:50]}", {"other": text}, replace(BARE, broken=broken))


def _numbers() -> Iterator[Case]:
    """Numbers that are none, too small or too large."""
    for column, part in (
        ("quota", "quota"),
        ("prompt_tokens", "prompt"),
        ("completion_tokens", "completion"),
        ("use_time", "seconds"),
    ):
        none: dict[str, Any] = {part: 0}
        most: dict[str, Any] = {part: MAX}
        yield Case(f"{column} negative", {column: -5}, replace(PLAIN, **none), NEGATIVE)
        yield Case(f"{column} least", {column: MIN}, replace(PLAIN, **none), NEGATIVE)
        yield Case(f"{column} NULL", {column: None}, replace(PLAIN, **none))
        for number in (1, 2):  # whose sum no int64 holds
            counts = replace(PLAIN, channel=77, **most)
            yield Case(f"{column} most {number}", {column: MAX, "channel_id": 77}, counts)
    nothing: dict[str, Any] = dict.fromkeys(("quota", "prompt", "completion", "seconds"), 0)
    columns = ("quota", "prompt_tokens", "completion_tokens", "use_time")
    negative = dict.fromkeys(columns, -1)
    yield Case("all negative", negative, replace(PLAIN, **nothing), NEGATIVE * 4)
    counts = Counts(channel=0, model="", key=0, user=0, cached=0, first_ms=None, **nothing)
    yield Case("NULL everywhere", NULLS | {"type": 2}, counts)
    for moment in (None, 0, -5, MIN, MAX, 4_102_444_800):
        yield Case(f"created_at {moment}", {"created_at": moment}, PLAIN)
    for number in (-7, MIN, MAX):
        row = {"channel_id": number, "token_id": number, "user_id": number}
        yield Case(f"ids {number}", row, Counts(channel=number, key=number, user=number))
    yield Case("not a stream", {"is_stream": False}, replace(PLAIN, first_ms=None))
    yield Case("is_stream NULL", {"is_stream": None}, replace(PLAIN, first_ms=None))


def _types() -> Iterator[Case]:
    """Rows of types that are no requests, failed attempts or refunds, and odd ones that are."""
    for kind in (None, 0, 1, 3, 4, 7, 99, -2, MAX):
        yield Case(f"type {kind}", {"type": kind}, NOTHING)
    yield Case("refund", {"type": 6}, REFUND)
    yield Case("refund negative", {"type": 6, "quota": -1}, replace(REFUND, quota=0), NEGATIVE)
    yield Case("refund NULL", {"type": 6, "quota": None}, replace(REFUND, quota=0))
    yield Case("refund broken", {"type": 6, "other": "{"}, REFUND, UNREADABLE)
    test = {"token_id": 0, "token_name": "模型测试"}
    yield Case("test", test, Counts(key=0, source="test"))
    play = {"token_id": 0, "token_name": "playground-\n🚀"}
    yield Case("playground", play, Counts(key=0, source="playground"))
    yield Case("key unnamed", {"token_name": None, "token_id": None}, Counts(key=0))


def _errors() -> Iterator[Case]:
    """Failed attempts whose cause is told oddly."""
    for other, category, adjusted in (
        ('{"status_code":429}', "rate_limit", NO),
        ('{"status_code":"429"}', "rate_limit", NO),
        ('{"status_code":429.0}', "rate_limit", NO),
        ('{"status_code":[429]}', "other", UNREADABLE),
        ('{"status_code":{}}', "other", UNREADABLE),
        ('{"status_code":1e30}', "other", UNREADABLE),
        ('{"status_code":-1}', "other", NO),
        ('{"status_code":null,"error_code":null}', "other", NO),
        ('{"status_code":500,"error_code":["do_request_failed"]}', "upstream", NO),
        ('{"status_code":500,"error_code":42}', "upstream", NO),
        ('{"status_code":500,"error_code":"do_request_failed"}', "network", NO),
        (json.dumps({"status_code": 401, "error_code": "x🚀\n" * 5000}), "auth", NO),
        ("{", "other", UNREADABLE),
        ("[]", "other", UNREADABLE),
        ("", "other", NO),
        (None, "other", NO),
    ):
        yield Case(
            f"error {str(other)[:50]}", {"type": 5, "other": other}, _error(category), adjusted
        )
    nameless = {"type": 5, "token_id": 0, "token_name": "", "other": '{"status_code":500}'}
    yield Case("error of a test", nameless, _error("upstream", source="test", key=0))
    one_api = {"type": 5, "user_id": 0, "token_id": 0, "other": None}
    yield Case("a test of One API", one_api, NOTHING)
    lost = {"type": 5, "created_at": None, "request_id": 'a "\n\\ 🚀', "other": "{}"}
    yield Case("lost long ago", lost, _error("other", failed=True))


def _names() -> Iterator[Case]:
    """Names of models."""
    for name in (
        "", " ", " padded ", "GPT", "gpt", "a\nb", "a\\nb", "a\rb\tc", 'say "hi"', "back\\slash\\",
        'x"} 5\nnewapi_fake_total{a="', "{}=,#", "# HELP x", "模型测试", "gpt-🚀-👩‍👩‍👧",
        "\u202eltr", "\u2028\x85\x1f\x7f", "e\u0301", "é", "\ufeffbom", "\U0010ffff", "null",
        "other", "m" * 128,
    ):  # fmt: skip
        yield Case(f"model {name[:20]!r}", {"model_name": name}, Counts(model=name))
    yield Case("model NULL", {"model_name": None}, Counts(model=""))
    nul = {"model_name": "nul\0byte"}
    yield Case("model with NUL", nul, Counts(model="nul\0byte"), on=("sqlite", "mysql"))
    for name, on in (
        ("m" * 129, EVERY),
        ("🚀" * 191, EVERY),
        ("m" * 10_000, ROOMY),
        ("模型\n" * 3334, ROOMY),
    ):
        cut = name[:128] + sha256(name.encode()).hexdigest()[:8]
        row = {"model_name": name}
        yield Case(f"model of {len(name)}", row, Counts(model=cut), ABSURD, on)


def _loose() -> Iterator[Case]:
    """What SQLite keeps in a column of any type."""
    for row, counts, adjusted in (
        ({"quota": "many"}, replace(PLAIN, quota=0), UNREADABLE),
        ({"quota": "1500"}, PLAIN, NO),
        ({"quota": b"\xff"}, replace(PLAIN, quota=0), UNREADABLE),
        ({"quota": 1e300}, replace(PLAIN, quota=0), UNREADABLE),
        ({"prompt_tokens": 100.9}, PLAIN, NO),
        ({"prompt_tokens": "-3"}, replace(PLAIN, prompt=0), NEGATIVE),
        ({"completion_tokens": "20 tokens"}, replace(PLAIN, completion=0), UNREADABLE),
        ({"use_time": "4.2"}, PLAIN, NO),
        ({"is_stream": "yes"}, PLAIN, NO),
        ({"type": "2"}, PLAIN, NO),
        ({"type": "two"}, NOTHING, NO),
        ({"type": 2.5}, NOTHING, NO),
        ({"created_at": "yesterday"}, PLAIN, UNREADABLE),
        ({"created_at": b"\xff"}, PLAIN, UNREADABLE),
        ({"channel_id": "seven"}, Counts(channel=0), UNREADABLE),
        ({"token_id": "x", "user_id": "y"}, Counts(key=0, user=0), UNREADABLE * 2),
        ({"model_name": 42}, Counts(model="42"), NO),
        ({"other": b'{"frt":350,"cache_tokens":60}'}, PLAIN, NO),
        ({"other": b"\xff\xfe"}, BARE, UNREADABLE),
        ({"other": 5}, BARE, UNREADABLE),
        ({"model_name": literal_column("CAST(X'6DFF' AS TEXT)")}, Counts(model="m\ufffd"), NO),
        ({"other": literal_column("CAST(X'7BFF' AS TEXT)")}, BARE, UNREADABLE),
        ({"token_name": literal_column("CAST(X'FFFE' AS TEXT)")}, PLAIN, NO),
    ):  # fmt: skip
        yield Case(f"loose {row}", row, counts, adjusted, ("sqlite",))


def cases(dialect: str) -> list[Case]:
    """Give the rows that a kind of database takes."""
    groups = (_other, _streams, _numbers, _types, _errors, _names, _loose)
    return [case for group in groups for case in group() if dialect in case.on]
