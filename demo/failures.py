"""Failed attempts: what upstreams and the gateway itself say, in every category of error."""

import random
from dataclasses import dataclass
from itertools import accumulate

from demo.chance import pick


@dataclass(frozen=True, slots=True)
class Failure:
    """One way in which an attempt fails.

    Args:
        status_code: HTTP status, after the channel's mapping.
        error_code: New API's constant, or what the upstream put into `code`.
        error_type: new_api_error, openai_error, claude_error, gemini_error, upstream_error.
        message: the text behind "status_code=NNN, " in the log row.
        seconds: how long the attempt took, about.
        retried: whether the gateway tries another channel (controller/relay.go shouldRetry:
            not after 400, 408, 504, 524 and what is marked as not to be tried again).
        share: how often it happens, relative to the others.
    """

    status_code: int
    error_code: str
    error_type: str
    message: str
    seconds: float
    retried: bool
    share: float


FAILURES = (
    # client
    Failure(
        400, "context_length_exceeded", "openai_error",
        "This model's maximum context length is 128000 tokens.", 0.4, False, 10,
    ),
    Failure(
        400, "invalid_request_error", "claude_error",
        "messages.1.content: field required", 0.3, False, 8,
    ),
    Failure(400, "prompt_blocked", "gemini_error", "request blocked by safety", 0.8, False, 3),
    Failure(500, "convert_request_failed", "new_api_error", "unsupported role", 0, False, 2),
    Failure(404, "model_not_found", "openai_error", "The model does not exist.", 0.2, True, 2),
    # auth
    Failure(401, "invalid_api_key", "openai_error", "Incorrect API key provided.", 0.2, True, 3),
    Failure(403, "permission_error", "claude_error", "Your account is restricted.", 0.2, True, 1),
    # rate_limit
    Failure(429, "rate_limit_exceeded", "openai_error", "Rate limit reached.", 0.3, True, 14),
    Failure(429, "insufficient_quota", "openai_error", "You exceeded your quota.", 0.2, True, 4),
    Failure(529, "overloaded_error", "claude_error", "Overloaded", 0.6, True, 6),
    # upstream
    Failure(502, "bad_response_status_code", "openai_error", "bad gateway", 1.5, True, 10),
    Failure(503, "unknown_error", "upstream_error", "service unavailable", 2, True, 9),
    Failure(500, "server_error", "openai_error", "The server had an error.", 4, True, 7),
    Failure(500, "empty_response", "new_api_error", "empty response", 6, True, 2),
    # timeout
    Failure(504, "bad_response_status_code", "openai_error", "gateway timeout", 60, False, 3),
    Failure(524, "bad_response_status_code", "openai_error", "a timeout occurred", 100, False, 2),
    Failure(408, "1234", "openai_error", "request timeout", 30, False, 1),
    # network
    Failure(500, "do_request_failed", "new_api_error", "do request failed", 5, True, 6),
    Failure(500, "read_response_body_failed", "new_api_error", "unexpected EOF", 9, True, 2),
    # no_key
    Failure(500, "channel:no_available_key", "new_api_error", "no enabled keys", 0, True, 2),
    # other
    Failure(500, "channel:model_mapped_error", "new_api_error", "model mapping cycle", 0, True, 1),
    Failure(500, "json_marshal_failed", "new_api_error", "unsupported value: NaN", 0, False, 1),
)  # fmt: skip

BURST = tuple(f for f in FAILURES if f.status_code in {429, 502, 503, 529})
"""What an upstream in trouble answers."""

DEAD = (
    Failure(
        500, "do_request_failed", "new_api_error",
        "do request failed: dial tcp 192.0.2.1:443: connect: connection refused", 0, True, 1,
    ),
)  # fmt: skip
"""What comes of an upstream that is not there."""

_CUMULATIVE = tuple(accumulate(f.share for f in FAILURES))


def draw(rng: random.Random, pool: tuple[Failure, ...] = FAILURES) -> Failure:
    """Pick a failure by its share."""
    if pool is FAILURES:
        return pick(rng, pool, _CUMULATIVE)
    return rng.choices(pool, [f.share for f in pool])[0]
