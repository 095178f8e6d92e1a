"""The metrics that dashboards draw: names and labels, as the exporter and the breaker show them."""

from dataclasses import dataclass

_CHANNEL_MODEL = ("channel_id", "model")
_RECORDED = ("gateway", "channel", "model")


@dataclass(frozen=True)
class Counter:
    """A counter and all of its labels but those of the scrape (instance, job)."""

    name: str
    labels: tuple[str, ...]
    kinds: tuple[str, ...] = ()
    """The labels that its recorded totals keep beside those of the level."""
    recorded_where: str = ""
    """What its recorded totals leave out, as label matchers."""
    levels: tuple[str, ...] = ()
    """Of LEVELS: those that its totals are recorded by, the one with fewest series first."""
    recorded_as: str = ""
    """What its totals are called, where that is not its name."""

    def recorded(self, level: str) -> str:
        """Give the name of its recorded totals: prometheus/rules/recorded_totals.yml."""
        return f"{level}:{self.recorded_as or self.name.removesuffix('_total')}:total"


@dataclass(frozen=True)
class Histogram:
    """A histogram in seconds; `labels` are without `le`."""

    name: str
    labels: tuple[str, ...]

    @property
    def buckets(self) -> Counter:
        """Its cumulative buckets."""
        labels = (*self.labels, "le")
        return Counter(f"{self.name}_bucket", labels, ("le",), levels=_RECORDED)

    @property
    def sum(self) -> Counter:
        """Their sum, in seconds."""
        return Counter(f"{self.name}_sum", self.labels, levels=_RECORDED)


@dataclass(frozen=True)
class Thing:
    """What has an id in every metric, and a name only in its _info metric."""

    id: str
    """Label of the id."""
    info: str
    """The metric that knows the names."""
    names: tuple[str, ...] = ("name",)
    """Labels of `info` that people know the thing by."""

    @property
    def legend(self) -> str:
        """Legend of a series that was joined with the names; the id tells namesakes apart."""
        shown = " / ".join(f"{{{{{name}}}}}" for name in self.names)
        return f"{shown} #{{{{{self.id}}}}}"


NO_TESTS = 'source!="test"'

LEVELS: dict[str, tuple[str, ...]] = {
    "gateway": (),
    "channel": ("channel_id",),
    "model": ("model",),
    "channel_model": _CHANNEL_MODEL,
}
"""What totals are recorded by, and the labels of each level."""

REQUESTS = Counter("newapi_requests_total", (*_CHANNEL_MODEL, "source"), (), NO_TESTS, _RECORDED)
ERRORS = Counter(
    "newapi_request_errors_total",
    (*_CHANNEL_MODEL, "source", "category"),
    ("category",),
    NO_TESTS,
    (*_RECORDED, "channel_model"),
)
FAILURES = Counter(
    ERRORS.name, ERRORS.labels, (), f'{NO_TESTS}, category!="client"', _RECORDED, "newapi_errors"
)
"""Failed attempts that count: what the caller did wrong says nothing about a channel."""
TOKENS = Counter(
    "newapi_tokens_total", (*_CHANNEL_MODEL, "direction"), ("direction",), levels=_RECORDED
)
CACHED_TOKENS = Counter("newapi_cached_tokens_total", _CHANNEL_MODEL, levels=_RECORDED)
QUOTA = Counter("newapi_quota_total", _CHANNEL_MODEL, levels=_RECORDED)
REFUNDED = Counter("newapi_quota_refunded_total", _CHANNEL_MODEL, levels=_RECORDED)
BROKEN_STREAMS = Counter("newapi_broken_streams_total", (*_CHANNEL_MODEL, "reason"))
FAILED_REQUESTS = Counter("newapi_failed_requests_total", ("model",))
API_KEY_REQUESTS = Counter("newapi_api_key_requests_total", ("api_key_id",))
API_KEY_ERRORS = Counter("newapi_api_key_errors_total", ("api_key_id",))
API_KEY_TOKENS = Counter("newapi_api_key_tokens_total", ("api_key_id", "direction"))
API_KEY_QUOTA = Counter("newapi_api_key_quota_total", ("api_key_id",))
USER_REQUESTS = Counter("newapi_user_requests_total", ("user_id",))
USER_ERRORS = Counter("newapi_user_errors_total", ("user_id",))
USER_TOKENS = Counter("newapi_user_tokens_total", ("user_id", "direction"))
USER_QUOTA = Counter("newapi_user_quota_total", ("user_id",))

DURATION = Histogram("newapi_request_duration_seconds", _CHANNEL_MODEL)
FIRST_TOKEN = Histogram("newapi_time_to_first_token_seconds", _CHANNEL_MODEL)

CHANNEL = Thing("channel_id", "newapi_channel_info")
API_KEY = Thing("api_key_id", "newapi_api_key_info", ("username", "name"))
USER = Thing("user_id", "newapi_user_info")

COUNTED_UNTIL = "newapi_counted_until_timestamp_seconds"
COUNTING_SINCE = "newapi_counting_since_timestamp_seconds"

COUNTED_CHANNELS = "{}:newapi_channels:counted"
"""By level, the channels whose counters are in its recorded totals."""
