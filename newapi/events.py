"""What a log row says, read once and tolerantly: whole numbers, closed label values, no SQL."""

from hashlib import sha256

import msgspec

from newapi.errors import Category, category
from newapi.rows import (
    INT64,
    NO_DETAILS,
    STRICT_ERRORS,
    Details,
    LogRow,
    LogType,
    Source,
    UnreadableError,
    details,
    integer,
    source,
    strict_details,
)
from newapi.schema import Flavour

LONGEST_MODEL = 128

NORMAL_ENDS = {"", "done", "eof", "handler_stop"}
ABNORMAL_ENDS = {"timeout", "client_gone", "scanner_error", "panic", "ping_fail"}
"""stream_status.end_reason (New API relay/common, since v0.11.9); others are called other."""

CHUNK_ERROR = "chunk_error"
"""The reason of a stream that came to its end, but with chunks that could not be read."""

# Bound once: to look up a member of an enum takes longer than most of what is done with a row.
_KINDS = {kind.value: kind for kind in LogType}
_CONSUME, _ERROR = LogType.CONSUME, LogType.ERROR
_NEW_API, _USER = Flavour.NEW_API, Source.USER
_MIN, _END = -INT64, INT64


class Event(msgspec.Struct, frozen=True, gc=False):
    """A request that completed, an attempt that failed or a refund, as the counters take it."""

    type: LogType
    created_at: int
    """Unix seconds."""
    channel_id: int
    model: str
    user_id: int
    api_key_id: int
    source: Source
    quota: int
    prompt: int
    completion: int
    cached: int
    duration_ms: int
    first_token_ms: int
    """Milliseconds to the first token of a stream; 0 where there was none."""
    broken: str
    """How a stream ended wrongly; '' where it did not."""
    category: Category | None
    """Why an attempt failed; None for other types."""
    request_id: str
    """What all failed attempts of a request share with its success; '' for other types, and where
    it is not known."""
    adjusted: tuple[str, ...]
    """A reason for each value that could not be counted as it stood."""


def read_event(row: LogRow, flavour: Flavour) -> Event | None:
    """Read a log row; None where it records no request, failed attempt or refund.

    A value that is no number counts as 0 and a negative one too; `adjusted` says so.
    """
    (
        _, created_at, kind_id, channel_id, user_id, api_key_id, quota, prompt, completion,
        duration, is_stream, model, token_name, request_id, other,
    ) = row  # fmt: skip
    kind = _KINDS.get(kind_id)
    if kind is None or (kind is _ERROR and _is_one_api_test(row, flavour)):
        return None
    adjusted: list[str] = []
    # Nearly every row is as it should be: it is worth a look before each value is taken by itself.
    if not (
        type(created_at) is type(channel_id) is type(user_id) is type(api_key_id) is int
        and _MIN <= created_at < _END
        and _MIN <= channel_id < _END
        and _MIN <= user_id < _END
        and _MIN <= api_key_id < _END
    ):
        ids = (created_at, channel_id, user_id, api_key_id)
        created_at, channel_id, user_id, api_key_id = (_whole(value, adjusted) for value in ids)
    if not (
        type(quota) is type(prompt) is type(completion) is type(duration) is int
        and 0 <= quota < _END
        and 0 <= prompt < _END
        and 0 <= completion < _END
        and 0 <= duration < _END
    ):
        amounts = (quota, prompt, completion, duration)
        quota, prompt, completion, duration = (_amount(value, adjusted) for value in amounts)
    if type(model) is not str or len(model) > LONGEST_MODEL:
        model = _model(model, adjusted)
    found = _details(other, adjusted) if other else NO_DETAILS
    first_token, broken, why = 0, "", None
    if kind is _CONSUME:
        if is_stream and found.frt is not None:
            first_token = _first_token(found.frt, adjusted)
        if found.stream_status is not None:
            broken = _broken(found.stream_status)
    elif kind is _ERROR:
        why = _category(found, adjusted)
    return Event(
        kind,
        created_at,
        channel_id,
        model,
        user_id,
        api_key_id,
        _USER if api_key_id != 0 else source(kind, token_name),
        quota,
        prompt,
        completion,
        _amount(found.cache_tokens, adjusted) if found.cache_tokens is not None else 0,
        duration * 1000 if flavour is _NEW_API else duration,
        first_token,
        broken,
        why,
        request_id if type(request_id) is str else "",
        tuple(adjusted) if adjusted else (),
    )


def _amount(value: object, adjusted: list[str]) -> int:
    """Give max(value, 0), and note what had to be adjusted."""
    if type(value) is int and 0 <= value < _END:  # at once, as nearly every one is
        return value
    number = _whole(value, adjusted)
    if number < 0:
        adjusted.append("negative")
        return 0
    return number


def _whole(value: object, adjusted: list[str]) -> int:
    try:
        return integer(value)
    except UnreadableError:
        adjusted.append("unreadable")
        return 0


def _details(other: object, adjusted: list[str]) -> Details:
    try:
        return strict_details(other)
    except STRICT_ERRORS:
        pass
    try:
        return details(other)
    except UnreadableError:
        adjusted.append("unreadable")
        return NO_DETAILS


def _model(name: object, adjusted: list[str]) -> str:
    text = name if isinstance(name, str) else "" if name is None else str(name)
    if len(text) > LONGEST_MODEL:
        adjusted.append("absurd")
        digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        return f"{text[:LONGEST_MODEL]}{digest}"
    return text


def _is_one_api_test(row: LogRow, flavour: Flavour) -> bool:
    """Tell One API's channel test from New API's failed attempt: both are type 5 (model/log.go)."""
    return flavour is Flavour.ONE_API or (
        not row.user_id and not row.token_id and row.other is None
    )


def _first_token(frt: object, adjusted: list[str]) -> int:
    """Read `frt`, milliseconds; -1000 means that no first token was seen.

    It is what New API relay/common/relay_info.go, v1.0.0-rc.24, begins with.
    """
    if type(frt) is int and 0 <= frt < _END:
        return frt
    if type(frt) is float and 0 < frt < INT64:
        return round(frt)
    return max(_whole(frt, adjusted), 0)


def _broken(status: object) -> str:
    if not isinstance(status, dict):
        return ""
    reason = status.get("end_reason")
    reason = reason if isinstance(reason, str) else ""
    if reason in NORMAL_ENDS:
        return CHUNK_ERROR if status.get("status") == "error" else ""
    return reason if reason in ABNORMAL_ENDS else "other"


def _category(found: Details, adjusted: list[str]) -> Category:
    status = _whole(found.status_code, adjusted)
    code = found.error_code
    return category(status, code if isinstance(code, str) else None)
