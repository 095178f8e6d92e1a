"""Alerts: what fires, what came of it, how near each rule is, and what the breaker did."""

from grafana_foundation_sdk.builders import statushistory, table
from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from grafana import alerting, measures, style, words
from grafana.dashboard import add, frame
from grafana.language import Language, Say
from grafana.panels import Card, strips
from grafana.queries import over_time
from grafana.style import BAD, GOOD, PLAIN, WARNING
from grafana.tables import Column, comparison

NAME = "alerts"

SILENCES = "/alerting/silences?alertmanager=Alertmanager"
"""Grafana's own page, on the provisioned Alertmanager."""

_SHOWN = (
    "rule", "alertname", "severity", "scope", "target", "name", "action", "result", "reason",
    "message",
)  # fmt: skip
_RECENT = "newapi_notification_timestamp_seconds > time() - $__range_s"


def build(language: Language) -> Dashboard:
    """Make the dashboard in a language."""
    say = language.say
    about = "What fires, what came of it, how near each rule is, and what the breaker did."
    links = [(say("Silences"), SILENCES)]
    board = frame(NAME, language, "Alerts", about, links=links)
    add(board, alerting.firing_count(say, width=8), alerting.breaker(say, width=16))
    add(board, alerting.firing(say, width=11), alerting.held(say, width=6), _decisions(say))
    add(board, _timeline(say), row=say("History"))
    add(board, _history(say))
    return add(board, _rules(say), _near(say), row=say("Rules"))


def _decisions(say: Say) -> table.Panel:
    about = (
        "What the breaker decided in this period, by result and reason; what was only recorded "
        "or came again is left out."
    )
    card = Card(say("Decisions"), say(about), width=7, height=8, unit="none",
                nothing=say("It was not asked to act"))  # fmt: skip
    counter = f"newapi_breaker_decisions_total{{{measures.ACTED}}}"
    decided = f"sum by (result, reason) (increase({counter}[$__range])) > 0"
    keys = [
        Column(say("Result"), "result", "", style.as_word(alerting.results(say), 120)),
        Column(say("Reason"), "reason", "", style.as_word(_reasons(say), 150)),
    ]
    times = Column(say("Times"), decided, "none", [DynamicConfigValue("decimals", 0)])
    return comparison(card, keys, [times], sort=say("Times"))


def _reasons(say: Say) -> dict[str, tuple[str, str]]:
    return words.plain(say, words.REASONS)


def _timeline(say: Say) -> statushistory.Panel:
    about = "When each alert was firing."
    card = Card(say("Alerts over time"), say(about), width=24, height=10, unit="none",
                nothing=say("No alert was firing"))  # fmt: skip
    fired = measures.fired(("alertname", "rule", "target"))
    panel = strips(card, over_time(fired, "{{alertname}} {{rule}} {{target}}"))
    texts = {"1": (say("Firing"), BAD)}
    return panel.mappings([style.words(texts)]).thresholds(style.thresholds(PLAIN, (1, BAD)))


def _history(say: Say) -> table.Panel:
    about = (
        "The alerts that arrived at the breaker in this period, with or without an action: the "
        "last 200. Value and threshold are in the rule's own unit. A long message is cut; "
        "newapi-breaker history shows it whole."
    )
    nothing = say("No alert arrived")
    card = Card(say("What arrived"), say(about), width=24, height=14, unit="short",
                nothing=nothing)  # fmt: skip
    labels = ", ".join(_SHOWN)
    info = "newapi_notification_info"
    when = f"({_RECENT}) * on (instance, id) group_left ({labels}) {info}"
    listed = f"max by (instance, id, {labels}) ({when})"

    def of(metric: str) -> str:
        return f"max by (instance, id) ({metric} and on (instance, id) ({_RECENT}))"

    keys = [
        Column(say("Severity"), "severity", "", style.as_word(alerting.severities(say), 80)),
        Column(say("Alert"), "alertname", "", [style.width(140)]),
        Column(say("Rule"), "rule"),
        Column(say("Target"), "target", "", [style.width(90)]),
        Column(say("Name"), "name", "", [style.width(120)]),
        Column(say("Action"), "action", "", style.as_word(_actions(say), 115)),
        Column(say("Result"), "result", "", style.as_word(alerting.results(say), 115)),
        Column(say("Reason"), "reason", "", style.as_word(_reasons(say), 120)),
        Column(say("Message"), "message", "", [style.width(200)]),
    ]
    values = [
        Column(say("When"), f"{listed} * 1000", "dateTimeAsIso", [style.width(165)]),
        Column(say("Value"), of("newapi_notification_value")),
        Column(say("Threshold"), of("newapi_notification_threshold")),
    ]
    hidden = ("instance", "id", "scope")
    return comparison(card, keys, values, sort=say("When"), hidden=hidden)


def _actions(say: Say) -> dict[str, tuple[str, str]]:
    return {
        "notify": (say("Notify"), PLAIN),
        "disable_channel": (say("Disable channel"), WARNING),
        "disable_api_key": (say("Disable API key"), WARNING),
    }


def _rules(say: Say) -> table.Panel:
    about = (
        "Every rule in force: how often it told in this period, as far as the last 200 reach, and "
        "when last. The threshold is in the unit of what it is compared with."
    )
    nothing = say("There is no rule: alerts.yml is empty")
    card = Card(say("Rules in force"), say(about), width=12, height=14, unit="short",
                nothing=nothing)  # fmt: skip
    told = 'newapi_notification_info{alertname!~".+Trip"}'
    when = f"({_RECENT}) and on (instance, id) {told}"
    # Of a rule that was removed, something is shown or told for a while.
    in_force = "on (rule) max by (rule) (newapi_alert_rule)"
    by_rule = f"(({when}) * on (instance, id) group_left (rule) {told} and {in_force})"
    active = f"max by (rule) (newapi_alert_rule_active and {in_force})"
    yes = {"0": (say("No"), style.IDLE), "1": (say("Yes"), GOOD)}
    keys = [Column(say("Rule"), "rule")]
    values = [
        Column(say("Active"), active, "none", style.as_word(yes, 80)),
        Column(say("Threshold"), "max by (rule) (newapi_alert_rule)"),
        Column(
            say("Times"), f"max by (rule) (count by (rule, instance) ({by_rule}))", "none",
            [style.width(80)],
        ),
        Column(say("Last"), f"max by (rule) ({by_rule}) * 1000", "dateTimeFromNow"),
    ]  # fmt: skip
    return comparison(card, keys, values)


def _near(say: Say) -> table.Panel:
    about = (
        "The 50 targets that are nearest to the threshold of an active rule: from 100 % on it "
        "fires, and a quota of which nothing is left is at 200 %. Too few requests for the rule "
        "are left out. Of rules over all API keys or users, only those above half of it."
    )
    nothing = say("No target has a value yet")
    card = Card(say("How near"), say(about), width=12, height=14, unit="percentunit",
                nothing=nothing)  # fmt: skip
    keys = [Column(say("Rule"), "rule"), Column(say("Target"), "target")]
    part = f"topk(50, {' or '.join(_parts())})"
    shade = style.cell(PLAIN, (0.8, WARNING), (1, BAD))
    title = say("Of the threshold")
    return comparison(card, keys, [Column(title, part, "percentunit", shade)], sort=title)


def _parts() -> list[str]:
    """Give, type by type, which part of its threshold each target has reached.

    By the conditions of prometheus/rules: 1 or more where a rule fires, nothing where none would.
    """

    def of(name: str) -> str:
        return f"max by (rule, target) (newapi_rule_{name})"

    def most(name: str) -> str:  # what is projected is never less than what was used
        return f"max by (rule, target) (newapi_rule_projected or newapi_rule_{name})"

    def threshold(kind: str) -> str:
        active = f'newapi_alert_rule{{type="{kind}"}} > 0 and newapi_alert_rule_active == 1'
        return f"on (rule) group_left () max by (rule) ({active})"

    enough = "on (rule) group_left () max by (rule) (newapi_alert_rule_min_requests)"
    attempts = f"({of('errors')} + {of('requests')} >= {enough})"
    sampled = f"({of('requests')} >= {enough})"
    more = f"({sampled} / ({of('requests_before')} >= {enough}) - 1)"
    left = f"{of('remaining')} / {threshold('quota_low')}"
    held = 'max by (id) (newapi_breaker_held{kind="channel"}) == 1'
    held = f'label_replace({held}, "channel_id", "$1", "id", "(.+)")'
    down = f"max by (rule, target) (clamp_max(newapi_rule_down unless on (channel_id) {held}, 1))"
    return [
        f"{most('tokens')} / {threshold('token_usage')}",
        f"{most('quota')} / {threshold('cost')}",
        f"100 * {of('errors')} / {attempts} / {threshold('error_rate')}",
        f"({of('seconds')} and on (rule, target) {sampled}) / {threshold('latency')}",
        f"100 * {more} / {threshold('request_spike')}",
        f"1 / ({left} > 1)",
        f"2 - ({left} <= 1)",
        f"{down} / {threshold('channel_down')}",
    ]
