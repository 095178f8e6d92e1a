"""What dashboards show, in PromQL: each measure is defined here once."""

from grafana.metrics import (
    CACHED_TOKENS,
    ERRORS,
    QUOTA,
    REFUNDED,
    REQUESTS,
    TOKENS,
    Counter,
    Thing,
)
from grafana.promql import Window, each, growth, named, or_zero, total

NO_TESTS = 'source!="test"'
FAILURES = f'{NO_TESTS}, category!="client"'
"""Failed attempts that count: what the caller did wrong says nothing about a channel."""

FIRING = 'alertname=~"NewAPI.+", alertname!="NewAPIMonitorWatchdog", purpose!="trip"'
"""Alerts for people: the trip alerts are the same conditions once more, for the breaker."""

HELD = "max by (kind, id) (newapi_breaker_held) > 0"
"""What a breaker holds."""

_ENABLED_CHANNELS = total("max by (model, group) (newapi_model_enabled_channels)", ("model",))


def tokens(window: Window, by: tuple[str, ...] = (), where: str = "") -> str:
    """LLM tokens."""
    return growth(TOKENS, window, by, where)


def cached_tokens(window: Window) -> str:
    """Prompt tokens served from cache."""
    return growth(CACHED_TOKENS, window)


def requests(window: Window, by: tuple[str, ...] = ()) -> str:
    """Completed requests, channel tests excluded."""
    return growth(REQUESTS, window, by, NO_TESTS)


def failures(window: Window, by: tuple[str, ...] = ()) -> str:
    """Failed attempts that count."""
    return growth(ERRORS, window, by, FAILURES)


def attempts(window: Window, by: tuple[str, ...] = ()) -> str:
    """Completed requests and failed attempts that count."""
    # A union, not a sum: where one of the two has no series, the other still counts.
    return total(f"{each(REQUESTS, window, NO_TESTS)} or {each(ERRORS, window, FAILURES)}", by)


def success(window: Window, by: tuple[str, ...] = ()) -> str:
    """Share of attempts that succeeded; nothing without traffic or where failures are unknown."""
    return _where_failures_are_known(_ratio(window, by))


def models_where(condition: str, window: Window) -> str:
    """How many models have a success rate that meets a condition."""
    count = or_zero(f"count({_ratio(window, ('model',))} {condition})")
    return _where_failures_are_known(f"({count})")


def idle_models(window: Window) -> str:
    """How many models could be served, but nobody asked for them."""
    asked = f"{attempts(window, ('model',))} > 0"
    return or_zero(f"count({_ENABLED_CHANNELS} > 0 unless on (model) {asked})")


def models_without_channel() -> str:
    """How many models have no enabled channel left."""
    return or_zero(f"count({_ENABLED_CHANNELS} == 0)")


def active(label: str, window: Window) -> str:
    """How many channels or models completed a request."""
    return f"sum({requests(window, (label,))} > bool 0)"


def spent(window: Window, by: tuple[str, ...] = ()) -> str:
    """Quota charged less quota given back."""
    charged, back = growth(QUOTA, window, by), growth(REFUNDED, window, by)
    return f"({charged} - {back} or {charged})"


def cost(window: Window, by: tuple[str, ...] = ()) -> str:
    """Quota charged less quota given back, as money."""
    return money(spent(window, by))


def cost_of(quota: Counter, window: Window) -> str:
    """Quota charged as money, by what the counter counts by."""
    return money(growth(quota, window, quota.labels))


def money(quota: str) -> str:
    """Turn quota into the currency that the gateway shows, at today's rate.

    As the gateway does with what is past; history that was read from the log table has no rates
    of its own.
    """
    per_usd, rate = (
        f"on () group_left () max({metric} @ end())"
        for metric in ("newapi_quota_per_usd", "newapi_display_currency_per_usd")
    )
    return f"{quota} / {per_usd} * {rate}"


def channels_with(status: str) -> str:
    """How many channels have a status."""
    return f'sum(max by (channel_id) (newapi_channel_status{{status="{status}"}}))'


def firing(by: tuple[str, ...]) -> str:
    """The alerts that are firing."""
    return f'max by ({", ".join(by)}) (ALERTS{{alertstate="firing", {FIRING}}})'


def firing_since(by: tuple[str, ...]) -> str:
    """Since when alerts are firing, in unix milliseconds."""
    since = f"max by ({', '.join(by)}) (ALERTS_FOR_STATE{{{FIRING}}})"
    return f"{since} * 1000 and {firing(by)}"


def held(kind: str, thing: Thing) -> str:
    """The things of a kind that a breaker holds, with their names."""
    ids = f'max by (kind, id) (newapi_breaker_held{{kind="{kind}"}}) > 0'
    labelled = f'label_replace({ids}, "{thing.id}", "$1", "id", "(.+)")'
    return f"max by (kind, id, name) ({named(labelled, thing)})"


def acted_on() -> str:
    """What alerts of this period came to that asked the breaker to act: when, in unix milliseconds.

    Not from the breaker's counters: those begin with the first decision, which no increase() sees.
    """
    info = 'newapi_notification_info{result!~"recorded|repeated"}'
    labels = "result, rule, target, name"
    when = f"newapi_notification_timestamp_seconds * on (instance, id) group_left ({labels}) {info}"
    return f"max by ({labels}) ({when} > time() - $__range_s) * 1000"


def _ratio(window: Window, by: tuple[str, ...]) -> str:
    done = f"{each(REQUESTS, window, NO_TESTS)} or {each(ERRORS, window, FAILURES)} * 0"
    return f"{total(done, by)} / ({attempts(window, by)} > 0)"


def _where_failures_are_known(expr: str) -> str:
    # A gateway that logs no failures would otherwise seem never to fail. One API cannot; New API
    # does not unless told to, which only shows in that none was ever seen.
    cannot = f'max(newapi_metric_unavailable{{metric="{ERRORS.name}"}})'
    return f"{expr} unless on () ({cannot} or max(newapi_error_log_seen) == 0)"
