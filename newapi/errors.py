"""The closed set of error categories, and the one table that sorts failed attempts into it."""

from enum import StrEnum


class Category(StrEnum):
    """Why an attempt failed. `client` is the caller's fault and counts in no error rate."""

    CLIENT = "client"
    AUTH = "auth"
    RATE_LIMIT = "rate_limit"
    UPSTREAM = "upstream"
    TIMEOUT = "timeout"
    NETWORK = "network"
    NO_KEY = "no_key"
    OTHER = "other"


# New API's own constants (types/error.go, v1.0.0-rc.24). They go before the status code, since an
# internal error of the gateway says 500 whatever its cause.
BY_CODE = {
    "channel:no_available_key": Category.NO_KEY,
    "channel:invalid_key": Category.AUTH,
    "channel:response_time_exceeded": Category.TIMEOUT,
    "do_request_failed": Category.NETWORK,
    "read_response_body_failed": Category.NETWORK,
    "bad_response": Category.UPSTREAM,
    "bad_response_body": Category.UPSTREAM,
    "empty_response": Category.UPSTREAM,
    "aws_invoke_error": Category.UPSTREAM,
    "invalid_request": Category.CLIENT,
    "sensitive_words_detected": Category.CLIENT,
    "violation_fee.grok.csam": Category.CLIENT,
    "read_request_body_failed": Category.CLIENT,
    "convert_request_failed": Category.CLIENT,
    "bad_request_body": Category.CLIENT,
    "access_denied": Category.CLIENT,
    "prompt_blocked": Category.CLIENT,
    "insufficient_user_quota": Category.CLIENT,
    "pre_consume_token_quota_failed": Category.CLIENT,
    "model_price_error": Category.OTHER,
    "invalid_api_type": Category.OTHER,
    "json_marshal_failed": Category.OTHER,
    "get_channel_failed": Category.OTHER,
    "gen_relay_info_failed": Category.OTHER,
    "count_token_failed": Category.OTHER,
    "channel:param_override_invalid": Category.OTHER,
    "channel:header_override_invalid": Category.OTHER,
    "channel:model_mapped_error": Category.OTHER,
    "channel:aws_client_error": Category.OTHER,
    "query_data_error": Category.OTHER,
    "update_data_error": Category.OTHER,
}

# What upstreams say in `code` where the status alone would mislead.
BY_UPSTREAM_CODE = {
    "invalid_api_key": Category.AUTH,
    "insufficient_quota": Category.RATE_LIMIT,
    "rate_limit_exceeded": Category.RATE_LIMIT,
}

BY_STATUS = {
    401: Category.AUTH,
    402: Category.AUTH,
    403: Category.AUTH,
    408: Category.TIMEOUT,
    429: Category.RATE_LIMIT,
    499: Category.CLIENT,
    504: Category.TIMEOUT,
    524: Category.TIMEOUT,
    529: Category.RATE_LIMIT,
}


def category(status_code: int | None, error_code: str | None) -> Category:
    """Sort a failed attempt by what its log row says.

    Args:
        status_code: HTTP status after the channel's mapping (New API service.ResetStatusCode).
        error_code: a constant of New API, or whatever the upstream put into `code`.
    """
    code = (error_code or "").strip().lower()
    known = BY_CODE.get(code) or BY_UPSTREAM_CODE.get(code)
    if known is not None:
        return known
    status = status_code or 0
    by_status = BY_STATUS.get(status)
    if by_status is not None:
        return by_status
    if 400 <= status < 500:
        return Category.CLIENT
    if 500 <= status < 600:
        return Category.UPSTREAM
    return Category.OTHER
