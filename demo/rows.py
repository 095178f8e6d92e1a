"""The columns of the log table that each gateway writes; the database gives the id."""

from typing import NamedTuple


class NewApiRow(NamedTuple):
    """A row of New API (model/log.go, v1.0.0-rc.24); channel_name is never written."""

    user_id: int
    created_at: int
    type: int
    content: str = ""
    username: str = ""
    token_name: str = ""
    model_name: str = ""
    quota: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    use_time: int = 0
    is_stream: bool = False
    channel_id: int = 0
    token_id: int = 0
    group: str = ""
    ip: str = ""
    request_id: str = ""
    upstream_request_id: str = ""
    other: str = ""


class OneApiRow(NamedTuple):
    """A row of One API (model/log.go)."""

    user_id: int
    created_at: int
    type: int
    content: str = ""
    username: str = ""
    token_name: str = ""
    model_name: str = ""
    quota: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    channel_id: int = 0
    request_id: str = ""
    elapsed_time: int = 0
    is_stream: bool = False
    system_prompt_reset: bool = False


Row = NewApiRow | OneApiRow
