"""What a log row says, read once and tolerantly: whole numbers, closed label values, no SQL."""

from hashlib import sha256
from typing import Any, NamedTuple

from newapi.errors import Category, category
from newapi.rows import INT64, LogRow, LogType, Source, UnreadableError, details, integer, source
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


class Event(NamedTuple):
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
    """What a request's failed attempts and its success share; '' where it is not known."""
    adjusted: tuple[str, ...]
    """A reason for each value that could not be counted as it stood."""


class _Reader:
    """Reads the values of one row and notes what had to be adjusted."""

    def __init__(self) -> None:
        self.adjusted: list[str] = []

    def amount(self, value: object) -> int:
        """Give max(value, 0)."""
        if type(value) is int and 0 <= value < INT64:
            return value
        number = self.whole(value)
        if number < 0:
            self.adjusted.append("negative")
            return 0
        return number

    def whole(self, value: object) -> int:
        try:
            return integer(value)
        except UnreadableError:
            self.adjusted.append("unreadable")
            return 0

    def details(self, other: object) -> dict[str, Any]:
        try:
            return details(other)
        except UnreadableError:
            self.adjusted.append("unreadable")
            return {}

    def model(self, name: object) -> str:
        text = name if isinstance(name, str) else "" if name is None else str(name)
        if len(text) > LONGEST_MODEL:
            self.adjusted.append("absurd")
            digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
            return f"{text[:LONGEST_MODEL]}{digest}"
        return text


def read_event(row: LogRow, flavour: Flavour) -> Event | None:
    """Read a log row; None where it records no request, failed attempt or refund.

    A value that is no number counts as 0 and a negative one too; `adjusted` says so.
    """
    kind = _KINDS.get(row.type)
    if kind is None or (kind is _ERROR and _is_one_api_test(row, flavour)):
        return None
    reader = _Reader()
    api_key_id = reader.whole(row.token_id)
    other = reader.details(row.other)
    duration = reader.amount(row.duration) * (1000 if flavour is Flavour.NEW_API else 1)
    first_token, broken = 0, ""
    if kind is _CONSUME and other:
        if row.is_stream:
            first_token = _first_token(reader, other.get("frt"))
        broken = _broken(other.get("stream_status"))
    return Event(
        type=kind,
        created_at=reader.whole(row.created_at),
        channel_id=reader.whole(row.channel_id),
        model=reader.model(row.model_name),
        user_id=reader.whole(row.user_id),
        api_key_id=api_key_id,
        source=source(kind, api_key_id, row.token_name),
        quota=reader.amount(row.quota),
        prompt=reader.amount(row.prompt_tokens),
        completion=reader.amount(row.completion_tokens),
        cached=reader.amount(other.get("cache_tokens")) if other else 0,
        duration_ms=duration,
        first_token_ms=first_token,
        broken=broken,
        category=_category(reader, other) if kind is _ERROR else None,
        request_id=row.request_id if isinstance(row.request_id, str) else "",
        adjusted=tuple(reader.adjusted),
    )


def _is_one_api_test(row: LogRow, flavour: Flavour) -> bool:
    """Tell One API's channel test from New API's failed attempt: both are type 5 (newapi.md 2)."""
    return flavour is Flavour.ONE_API or (
        not row.user_id and not row.token_id and row.other is None
    )


def _first_token(reader: _Reader, frt: object) -> int:
    """Read `frt`, milliseconds; -1000 means that no first token was seen (newapi.md 4.1)."""
    if type(frt) is float and 0 < frt < INT64:
        return round(frt)
    return max(reader.whole(frt), 0)


def _broken(status: object) -> str:
    if not isinstance(status, dict):
        return ""
    reason = status.get("end_reason")
    reason = reason if isinstance(reason, str) else ""
    if reason in NORMAL_ENDS:
        return CHUNK_ERROR if status.get("status") == "error" else ""
    return reason if reason in ABNORMAL_ENDS else "other"


def _category(reader: _Reader, other: dict[str, Any]) -> Category:
    status = reader.whole(other.get("status_code"))
    code = other.get("error_code")
    return category(status, code if isinstance(code, str) else None)
