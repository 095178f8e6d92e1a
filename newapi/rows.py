"""A row of the log table, and what its lenient parts mean. No SQL here."""

import json
from collections.abc import Callable
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple

import msgspec

INT64 = 2**63
_DIGITS = 20
"""More than an int64 has: "1e999999999" is not worth a gigabyte of digits."""


class LogType(IntEnum):
    """What a log row records (New API model/log.go, v1.0.0-rc.24; One API writes 5 for a test)."""

    CONSUME = 2
    ERROR = 5
    REFUND = 6


class Source(StrEnum):
    """Who asked."""

    USER = "user"
    PLAYGROUND = "playground"
    TEST = "test"


TEST_NAME = "模型测试"
"""token_name of a channel test's row (New API controller/channel-test.go)."""


class LogRow(NamedTuple):
    """A log row as the driver gives it. Any value but the id may be NULL or of an odd type."""

    id: int
    created_at: Any
    """Unix seconds at the end of the request, by the gateway node's clock."""
    type: Any
    channel_id: Any
    user_id: Any
    token_id: Any
    quota: Any
    prompt_tokens: Any
    completion_tokens: Any
    duration: Any
    """Seconds (New API, use_time) or milliseconds (One API, elapsed_time)."""
    is_stream: Any
    model_name: Any
    token_name: Any
    """None where an API key was used: it is read to tell who asked without one."""
    request_id: Any
    """Of a failed attempt: the same in all rows of its request, '' or NULL before v0.10.8."""
    other: Any
    """A JSON object as text, '' or NULL; a missing column reads as NULL."""


class UnreadableError(ValueError):
    """A value that holds no number or object where one is expected."""


def integer(value: object) -> int:
    """Read a whole number from what a driver or `other` gave; NULL and '' are 0.

    Raises:
        UnreadableError: it is no number, or none that an int64 holds.
    """
    if type(value) is int and -INT64 <= value < INT64:
        return value
    if value is None or value == "":
        return 0
    try:
        number = Decimal(int(value) if isinstance(value, int) else str(value))
        if number.adjusted() < _DIGITS and -INT64 <= (whole := int(number)) < INT64:
            return whole
    except (ArithmeticError, ValueError):
        pass
    raise UnreadableError


class Details(msgspec.Struct):
    """The parts of `other` that are counted, as they stand there; None where there is none."""

    frt: Any = None
    cache_tokens: Any = None
    stream_status: Any = None
    status_code: Any = None
    error_code: Any = None


NO_DETAILS = Details()

strict_details: Callable[[Any], Details] = msgspec.json.Decoder(Details).decode
"""Reads what is JSON to the letter, as nearly all is, in a tenth of the time of details()."""

STRICT_ERRORS = (msgspec.MsgspecError, TypeError, ValueError, RecursionError)
"""What it raises for what is not, and for what is no text."""


def details(other: object) -> Details:
    """Read the `other` column; '', NULL and `null`, Go's map that is not there, are empty.

    Raises:
        UnreadableError: it holds something else than a JSON object.
    """
    if not other:
        return NO_DETAILS
    try:
        parsed = json.loads(other) if isinstance(other, str | bytes) else other
    except (ValueError, RecursionError) as error:
        raise UnreadableError from error
    if parsed is None:
        return NO_DETAILS
    if not isinstance(parsed, dict):
        raise UnreadableError
    return Details(**{name: parsed.get(name) for name in Details.__struct_fields__})


def source(row_type: int, token_name: object) -> Source:
    """Tell by its name who asked without an API key (New API model/log.go, v1.0.0-rc.24).

    A channel test has a fixed name; its failure has no name at all. The playground has a name that
    says so. With a key it is a user, whatever the key is called.
    """
    name = token_name or ""
    if name == TEST_NAME or (row_type == LogType.ERROR and name == ""):
        return Source.TEST
    if isinstance(name, str) and name.startswith("playground"):
        return Source.PLAYGROUND
    return Source.USER
