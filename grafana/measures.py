"""What dashboards show, in PromQL: each measure is defined here once.

Measures of a window are for instant queries; those that end in _steps draw graphs.
"""

from grafana.counters import Chosen, chosen_steps, each, growth, recorded, steps
from grafana.metrics import (
    COUNTING_SINCE,
    ERRORS,
    FAILURES,
    NO_TESTS,
    QUOTA,
    REFUNDED,
    REQUESTS,
    TOKENS,
    Counter,
    Thing,
)
from grafana.promql import RANGE, WHOLE, Window, both, gauge, named, or_zero, total

FIRING = 'alertname=~"NewAPI.+", alertname!="NewAPIMonitorWatchdog", purpose!="trip"'
"""Alerts for people: the trip alerts are the same conditions once more, for the breaker."""

HELD = "max by (kind, id) (newapi_breaker_held) > 0"
"""What a breaker holds."""

_ENABLED_CHANNELS = total("max by (model, group) (newapi_model_enabled_channels)", ("model",))


def tokens(window: Window, by: tuple[str, ...] = (), where: str = "") -> str:
    """LLM tokens."""
    return growth(TOKENS, window, by, where)


def requests(window: Window, by: tuple[str, ...] = (), where: str = "", chosen: Chosen = ()) -> str:
    """Completed requests, channel tests excluded."""
    return growth(REQUESTS, window, by, both(where, NO_TESTS), chosen)


def failures(window: Window, by: tuple[str, ...] = (), where: str = "") -> str:
    """Failed attempts that count."""
    return growth(FAILURES, window, by, both(where, FAILURES.recorded_where))


def attempts(window: Window, by: tuple[str, ...] = (), where: str = "", chosen: Chosen = ()) -> str:
    """Completed requests and failed attempts that count."""
    return _both(_done(window, where, by, chosen), _failed(window, where, by, chosen), by)


def success(window: Window, by: tuple[str, ...] = (), where: str = "", chosen: Chosen = ()) -> str:
    """Share of attempts that succeeded; nothing without traffic or where failures are unknown."""
    return where_failures_are_known(_ratio(window, by, where, chosen))


def error_rate(
    window: Window, by: tuple[str, ...] = (), where: str = "", chosen: Chosen = ()
) -> str:
    """Share of attempts that failed; nothing without traffic or where failures are unknown."""
    return where_failures_are_known(f"1 - {_ratio(window, by, where, chosen)}")


NO_TRAFFIC = -1
"""Stands for a success rate where there were no attempts."""


def model_status_steps(where: str = "") -> str:
    """Share of attempts of each model that succeeded, from point to point.

    NO_TRAFFIC for models that a channel can serve, or that were asked for in the range.
    """
    by = ("model",)
    done = steps(REQUESTS, "model", by, where)
    failed = steps(FAILURES, "model", by, where)
    # Both unions read each of the two once: a graph takes as long as it reads samples.
    rate = f"1 - ({failed} or {done} * 0) / ({_both(done, failed, by)} > 0)"
    served = f"max by (model) (newapi_model_enabled_channels{{{where}}} @ end()) > 0"
    asked = f"{requests(WHOLE, by, where)} > 0"
    idle = f"({served} or {asked}) * 0 + {NO_TRAFFIC}"
    return where_failures_are_known(f"({rate} or {idle})")


def models_where(condition: str, window: Window) -> str:
    """How many models have a success rate that meets a condition."""
    count = or_zero(f"count({_ratio(window, ('model',))} {condition})")
    return where_failures_are_known(f"({count})")


def idle_models(window: Window) -> str:
    """How many models could be served, but nobody asked for them."""
    asked = f"{attempts(window, ('model',))} > 0"
    return or_zero(f"count({_ENABLED_CHANNELS} > 0 unless on (model) {asked})")


def models_without_channel() -> str:
    """How many models have no enabled channel left."""
    return or_zero(f"count({_ENABLED_CHANNELS} == 0)")


def enabled_channels(where: str = "") -> str:
    """How many channels can serve each model; the group that has most."""
    return gauge("newapi_model_enabled_channels", ("model",), where)


def active(label: str, window: Window) -> str:
    """How many channels or models completed a request."""
    return f"sum({requests(window, (label,))} > bool 0)"


def spent(window: Window, by: tuple[str, ...] = (), where: str = "") -> str:
    """Quota charged less quota given back."""
    charged, back = growth(QUOTA, window, by, where), growth(REFUNDED, window, by, where)
    return f"({charged} - {back} or {charged})"


def spent_steps(chosen: Chosen) -> str:
    """Quota charged less quota given back, from point to point, of what variables choose."""
    charged, back = (chosen_steps(counter, chosen) for counter in (QUOTA, REFUNDED))
    return f"({charged} - {back} or {charged})"


def cost(window: Window, by: tuple[str, ...] = (), where: str = "") -> str:
    """Quota charged less quota given back, as money."""
    return money(spent(window, by, where))


def cost_of(quota: Counter, window: Window) -> str:
    """Quota charged as money, by what the counter counts by."""
    return money(growth(quota, window, quota.labels))


def money(quota: str) -> str:
    """Turn quota into the currency that the gateway shows, at today's rate.

    As the gateway does with what is past; history that was read from the log table has no rates
    of its own.
    """
    return f"{quota} / {_constant('newapi_quota_per_usd')} * {_RATE}"


def from_usd(dollars: str) -> str:
    """Turn US dollars into the currency that the gateway shows."""
    return f"{dollars} * {_RATE}"


def paid_per_million(by: tuple[str, ...]) -> str:
    """What a million tokens cost in the range, prompt and completion, after discounts and cache."""
    return f"{cost(RANGE, by)} / on ({', '.join(by)}) ({tokens(RANGE, by)} > 0) * 1000000"


def channels_with(status: str) -> str:
    """How many channels have a status."""
    return f'sum(max by (channel_id) (newapi_channel_status{{status="{status}"}}))'


def api_keys_with(status: str) -> str:
    """How many API keys have a status."""
    return f'sum(max by (api_key_id) (newapi_api_key_status{{status="{status}"}}))'


def lasts(remaining: str, used: str) -> str:
    """How many seconds what is left lasts at the pace of the range; nothing where none is used.

    At the pace of what was counted of the range, where counting began within it; of all of it where
    the totals are older and never fell, even if rows may have been missed meanwhile.
    """
    counted = f"clamp_max(time() - min({COUNTING_SINCE}), $__range_s)"
    seconds = f"(max({recorded(RANGE)}) * 0 + $__range_s or on () {counted})"
    return f"{remaining} / ({used} > 0) * on () group_left () {seconds}"


def limited_keys(where: str = "") -> str:
    """What API keys with a limit have left, in quota units."""
    left = gauge("newapi_api_key_remaining_quota", ("api_key_id",), where)
    unlimited = gauge("newapi_api_key_unlimited", ("api_key_id",), where)
    return f"({left} unless {unlimited} == 1)"


def firing(by: tuple[str, ...]) -> str:
    """The alerts that are firing."""
    return f'max by ({", ".join(by)}) (ALERTS{{alertstate="firing", {FIRING}}})'


def fired(by: tuple[str, ...]) -> str:
    """The alerts that were firing, if only for a while, in each step of a graph."""
    at_all = f'max_over_time(ALERTS{{alertstate="firing", {FIRING}}}[$__interval])'
    return f"max by ({', '.join(by)}) ({at_all})"


def firing_since(by: tuple[str, ...]) -> str:
    """Since when alerts are firing, in unix milliseconds."""
    since = f"max by ({', '.join(by)}) (ALERTS_FOR_STATE{{{FIRING}}})"
    return f"{since} * 1000 and {firing(by)}"


def held(kind: str, thing: Thing) -> str:
    """The things of a kind that a breaker holds, with their names."""
    ids = f'max by (kind, id) (newapi_breaker_held{{kind="{kind}"}}) > 0'
    labelled = f'label_replace({ids}, "{thing.id}", "$1", "id", "(.+)")'
    return f"max by (kind, id, name) ({named(labelled, thing)})"


def notifications(value: str, labels: tuple[str, ...], where: str = "") -> str:
    """What arrived at the breaker in this range, by labels: the largest value of each.

    Two breakers number what arrives each by itself.
    """
    listed = ", ".join(labels)
    info = f"newapi_notification_info{{{where}}}"
    when = "newapi_notification_timestamp_seconds > time() - $__range_s"
    given = f"({value} and on (instance, id) {when})"
    joined = f"{given} * on (instance, id) group_left ({listed}) {info}"
    return f"max by ({listed}) ({joined})"


def acted_on() -> str:
    """What alerts of this period came to that asked the breaker to act: when, in unix milliseconds.

    Not from the breaker's counters: those know neither rule nor target.
    """
    labels = ("result", "rule", "target", "name")
    when = "newapi_notification_timestamp_seconds"
    return f"{notifications(when, labels, ACTED)} * 1000"


ACTED = 'result!~"recorded|repeated"'
"""What asked the breaker to act, and was not the same again."""

_RATE = "on () group_left () max(newapi_display_currency_per_usd @ end())"


def where_failures_are_known(expr: str) -> str:
    """Give nothing where the gateway logs no failures: it would otherwise seem never to fail.

    One API cannot; New API does not unless told to, which only shows in that none was ever seen.
    """
    cannot = f'max(newapi_metric_unavailable{{metric="{ERRORS.name}"}})'
    return f"{expr} unless on () ({cannot} or max(newapi_error_log_seen) == 0)"


def _ratio(window: Window, by: tuple[str, ...], where: str = "", chosen: Chosen = ()) -> str:
    done, failed = _done(window, where, by, chosen), _failed(window, where, by, chosen)
    succeeded = total(f"{done} or {failed} * 0", by)
    return f"{succeeded} / ({attempts(window, by, where, chosen)} > 0)"


def _both(done: str, failed: str, by: tuple[str, ...]) -> str:
    """Add what failed to what was done, by a union: where one has no series the other counts."""
    return total(f'{done} or label_replace({failed}, "failed", "yes", "", "")', by)


def _done(window: Window, where: str, by: tuple[str, ...], chosen: Chosen) -> str:
    return each(REQUESTS, window, both(where, NO_TESTS), by, chosen)


def _failed(window: Window, where: str, by: tuple[str, ...], chosen: Chosen) -> str:
    return each(FAILURES, window, both(where, FAILURES.recorded_where), by, chosen)


def _constant(metric: str) -> str:
    return f"on () group_left () max({metric} @ end())"
