"""What rows add up to: from numbers told by hand to the samples that a page must show."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.programs import Samples

_DURATIONS = (1, 2, 3, 5, 8, 13, 20, 30, 60, 120, 300)
_FIRST_TOKENS = (0.25, 0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60)


@dataclass(frozen=True)
class Counts:
    """What one row adds. The defaults are those of an ordinary row."""

    kind: str = "request"
    """request, error, refund; '' = nothing at all."""
    model: str = "m"
    channel: int | None = None
    """None: the one that the test gives each row."""
    key: int = 11
    user: int = 3
    source: str = "user"
    quota: int = 1500
    prompt: int = 100
    completion: int = 20
    cached: int = 60
    seconds: int = 4
    first_ms: int | None = 350
    broken: str = ""
    category: str = ""
    failed: bool = False
    """Whether the whole request is known to have failed."""


def samples(counted: Iterable[Counts], adjusted: Iterable[str]) -> Samples:
    """Add up what rows add.

    Args:
        counted: by row.
        adjusted: the reasons of all rows, each as often as it applies.
    """
    sums = _Sums()
    for reason in adjusted:
        sums.add("newapi_rows_adjusted_total", 1, reason=reason)
    for one in counted:
        if one.kind == "refund":
            sums.add(
                "newapi_quota_refunded_total", one.quota, channel_id=one.channel, model=one.model
            )
        elif one.kind == "error":
            sums.error(one)
        elif one.kind == "request":
            sums.request(one)
    return sums.samples()


class _Sums:
    def __init__(self) -> None:
        self._sums: dict[str, dict[frozenset[tuple[str, str]], float]] = {}

    def samples(self) -> Samples:
        return {
            name: {series: float(value) for series, value in values.items()}
            for name, values in self._sums.items()
        }

    def add(self, name: str, amount: float, **labels: object) -> None:
        series = frozenset((label, str(value)) for label, value in labels.items())
        values = self._sums.setdefault(name, {})
        values[series] = values.get(series, 0) + amount

    def error(self, one: Counts) -> None:
        self.add(
            "newapi_request_errors_total", 1, channel_id=one.channel, model=one.model,
            source=one.source, category=one.category,
        )  # fmt: skip
        self.add("newapi_api_key_errors_total", 1, api_key_id=one.key)
        self.add("newapi_user_errors_total", 1, user_id=one.user)
        if one.failed:
            self.add("newapi_failed_requests_total", 1, model=one.model)

    def request(self, one: Counts) -> None:
        where = {"channel_id": one.channel, "model": one.model}
        self.add("newapi_requests_total", 1, **where, source=one.source)
        self.add("newapi_cached_tokens_total", one.cached, **where)
        self._used("newapi", one, **where)
        for name, owner in (("api_key", one.key), ("user", one.user)):
            labels = {f"{name}_id": owner}
            self.add(f"newapi_{name}_requests_total", 1, **labels)
            self._used(f"newapi_{name}", one, **labels)
        if one.broken:
            self.add("newapi_broken_streams_total", 1, **where, reason=one.broken)
        if one.source == "test":
            return
        self._observe("newapi_request_duration_seconds", one.seconds, _DURATIONS, where)
        if one.first_ms is not None:
            first = one.first_ms / 1000
            self._observe("newapi_time_to_first_token_seconds", first, _FIRST_TOKENS, where)

    def _used(self, prefix: str, one: Counts, **labels: object) -> None:
        self.add(f"{prefix}_quota_total", one.quota, **labels)
        self.add(f"{prefix}_tokens_total", one.prompt, **labels, direction="prompt")
        self.add(f"{prefix}_tokens_total", one.completion, **labels, direction="completion")

    def _observe(
        self, name: str, seconds: float, bounds: Iterable[float], where: Mapping[str, object]
    ) -> None:
        self.add(f"{name}_count", 1, **where)
        self.add(f"{name}_sum", seconds, **where)
        self.add(f"{name}_bucket", 1, **where, le="+Inf")
        for bound in bounds:
            self.add(f"{name}_bucket", int(seconds <= bound), **where, le=float(bound))
