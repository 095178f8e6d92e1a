"""What a log row adds to the windows of alert rules, by measure."""

from collections.abc import Mapping

from newapi.errors import Category
from newapi.events import Event
from newapi.rows import LogType, Source

TOKENS = "tokens"
"""LLM tokens of completed requests, prompt and completion."""
QUOTA = "quota"
"""Quota charged for completed requests."""
REQUESTS = "requests"
"""Completed requests, channel tests excluded."""
ERRORS = "errors"
"""Failed attempts without category client, channel tests excluded."""
FAILURES = "failures"
"""Failed attempts of every category, channel tests excluded."""
MILLISECONDS = "milliseconds"
"""Duration of completed requests, channel tests excluded."""
DURATIONS = "durations"
"""The same requests by duration: one measure for each bucket, named by its lower bound."""


def gains(event: Event) -> dict[str, int]:
    """Give what a row adds to each measure; nothing where it adds 0."""
    if event.type is LogType.CONSUME:
        found = {TOKENS: event.prompt + event.completion, QUOTA: event.quota}
        if event.source is not Source.TEST:
            bucket = str(lower_bound(event.duration_ms))
            found |= {REQUESTS: 1, MILLISECONDS: event.duration_ms, bucket: 1}
    elif event.type is LogType.ERROR and event.source is not Source.TEST:
        found = {FAILURES: 1, ERRORS: int(event.category is not Category.CLIENT)}
    else:
        return {}
    return {measure: amount for measure, amount in found.items() if amount}


def is_duration(measure: str) -> bool:
    """Tell whether a measure is one of DURATIONS."""
    return measure.isdigit()


def lower_bound(milliseconds: int) -> int:
    """Give the lower bound of the bucket that a duration falls into: its first two digits.

    So a duration is at or above a threshold of two digits where its bucket is, and whole seconds,
    which is what New API logs, are kept as they are up to 100. Below a second a bucket is 10 ms
    wide.
    """
    if milliseconds < 1000:
        return milliseconds // 10 * 10
    unit = int(10 ** (len(str(milliseconds)) - 2))
    return milliseconds // unit * unit


def quantile(use: Mapping[str, int], part: float) -> float | None:
    """Give the shortest duration, in seconds, that so great a part of the requests did not pass.

    It is given as the lower bound of its bucket; None where there were no requests.
    """
    counts = sorted([(int(measure), n) for measure, n in use.items() if is_duration(measure)])
    # The part in hundredths: 0.95 * 20 is a little more than 19 otherwise.
    wanted = -(-round(part * 100) * sum(n for _, n in counts) // 100)
    seen = 0
    for milliseconds, n in counts:
        seen += n
        if seen >= wanted:
            return milliseconds / 1000
    return None
