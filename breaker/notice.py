"""What the breaker tells people: one alert for each outcome, in words of their language."""

from dataclasses import dataclass

from breaker.decision import (
    ACTIONS,
    Decision,
    Reason,
    Result,
    Trip,
    target_of,
)
from breaker.settings import Language
from breaker.texts import TEXTS, Texts
from breaker.webhook import TRIP, Alert
from newapi.switch import Kind

PREFIX = "NewAPIBreaker"
"""What the names of these alerts begin with, by which Alertmanager routes them."""

TRIPPED = f"{PREFIX}Tripped"
"""The one that inhibits the message of the rule that caused it."""

_ALERTNAMES = {
    Result.TRIPPED: TRIPPED,
    Result.WOULD_TRIP: f"{PREFIX}WouldTrip",
    Result.REFUSED: f"{PREFIX}Refused",
    Result.FAILED: f"{PREFIX}Failed",
    Result.RELEASED: f"{PREFIX}Released",
    Result.SET_AGAIN: f"{PREFIX}SetAgain",
}

_ALWAYS = {TRIPPED, f"{PREFIX}WouldTrip", f"{PREFIX}Released", f"{PREFIX}Test"}
"""What is told each time it happens; of the others once an hour is enough."""

_SILENT = {Reason.OFF, Reason.OTHER_TRIP, Reason.OVERRIDDEN}
"""Outcomes that nobody needs to hear of: somebody wanted it, or it was told already."""

_NAME, _WHY = 60, 500
"""Characters of a name and of a reason in a text: Telegram takes 4,096, Alertmanager cuts tags."""

_SIGNS = {"USD": "$", "CNY": "¥"}
_UNITS = {"token_usage": " tokens", "error_rate": "%", "request_spike": "%", "latency": " s"}


@dataclass(frozen=True)
class Notice:
    """An alert about an outcome, as Alertmanager shall get it."""

    labels: dict[str, str]
    annotations: dict[str, str]

    @property
    def subject(self) -> str:
        """The same for every notice of this outcome for this rule and target.

        After too many trips it is the same for all targets: there may be thousands.
        """
        crowd = self.annotations.get("reason") == Reason.TOO_MANY_TRIPS
        names = ("alertname", "rule") if crowd else ("alertname", "rule", "target")
        return "\n".join(self.labels.get(name, "") for name in names)

    @property
    def hourly(self) -> bool:
        """Whether once an hour is enough."""
        return self.labels["alertname"] not in _ALWAYS


def compose(
    alert: Alert,
    decision: Decision,
    name: str,
    language: Language,
    *,
    news: bool = False,
) -> Notice | None:
    """Put an outcome into words.

    Args:
        alert: what the rule said.
        decision: what it came to.
        name: of the channel or API key, empty where it is not known.
        language: of the texts.
        news: whether nobody was told yet of what otherwise needs no notice.

    Returns:
        The notice; None where nobody needs to hear of it.
    """
    result, reason = decision.result, decision.reason
    if result not in _ALERTNAMES or (reason in _SILENT and not news):
        return None
    texts = TEXTS[language]
    summary = texts.outcomes[result].format(
        what=_what(alert, name, texts),
        rule=_cut(alert.rule, _NAME),
        measure=_measure(alert, texts),
        why=_cut(_why(alert, decision, texts), _WHY),
    )
    kind = ACTIONS.get(alert.action, Kind.CHANNEL)
    tripped, again = result is Result.TRIPPED, result is Result.SET_AGAIN
    return Notice(
        labels=_labels(_ALERTNAMES[result], alert, decision.trip_id or "")
        | ({"severity": "critical"} if result is Result.FAILED else {}),
        annotations=_filled(
            summary=summary,
            name=name,
            value=alert.annotation("value"),
            threshold=alert.annotation("threshold"),
            reason=reason,
            undo=texts.undo[kind].format(number=_number_of(alert)) if tripped or again else "",
            follows=texts.follows[kind] if tripped else "",
            until=_until(alert, texts) if tripped else "",
        ),
    )


def still_serving(
    alert: Alert, trip: Trip, requests: int, seconds: int, language: Language
) -> Notice:
    """Say that a channel or API key that is off goes on getting requests.

    Args:
        alert: what the rule said.
        trip: what disabled it.
        requests: how many began later than `seconds` after it was disabled.
        seconds: since it was disabled.
        language: of the texts.
    """
    texts = TEXTS[language]
    kind = trip.target.kind
    summary = texts.still_serving.format(
        what=_what(alert, trip.name, texts), requests=requests, seconds=seconds
    )
    return Notice(
        labels=_labels(f"{PREFIX}StillServing", alert, trip.id) | {"severity": "critical"},
        annotations=_filled(summary=summary, name=trip.name, follows=texts.follows[kind]),
    )


def trial(language: Language) -> Notice:
    """Give the notice that newapi-breaker test-notification sends."""
    return Notice(
        labels={"alertname": f"{PREFIX}Test", "severity": "info"},
        annotations={"summary": TEXTS[language].test},
    )


def follows(kind: Kind, language: Language, *, told: bool) -> str:
    """Say how soon the gateway follows that took the call to GATEWAY_URL, or did not."""
    texts = TEXTS[language]
    return texts.told if told else f"{texts.follows[kind]} {texts.not_told}"


def explain(alert: Alert) -> str:
    """Say in a few words of English why something was disabled, for the gateway's own record."""
    return f"rule {alert.rule}{_measure(alert, TEXTS['en'])}"


def read_cause(trip: Trip) -> Alert:
    """Give the alert that a trip came of, as far as the record knows it."""
    if trip.cause:
        return Alert.model_validate_json(trip.cause)
    kind, number = trip.target  # a trip that an older version recorded
    labels = {"purpose": TRIP, "rule": trip.rule, "target": str(number), f"{kind}_id": str(number)}
    labels["action"] = f"disable_{kind}"
    return Alert.model_validate(
        {"status": "firing", "labels": labels, "startsAt": "1970-01-01T00:00:00Z"}
    )


def _labels(alertname: str, alert: Alert, trip_id: str) -> dict[str, str]:
    return _filled(
        alertname=alertname,
        rule=alert.rule,
        type=alert.label("type"),
        scope=alert.label("scope"),
        target=alert.target,
        channel_id=alert.label("channel_id"),
        api_key_id=alert.label("api_key_id"),
        trip_id=trip_id,
        severity=alert.label("severity"),
    )


def _number_of(alert: Alert) -> str:
    target = target_of(alert)
    labels = alert.label("channel_id") or alert.label("api_key_id") or alert.target
    return str(target.number) if target is not None else labels


def _what(alert: Alert, name: str, texts: Texts) -> str:
    kind = ACTIONS.get(alert.action, Kind.CHANNEL)
    number = _cut(_number_of(alert), _NAME)
    return f"{texts.kinds[kind]} " + (f"{_cut(name, _NAME)} (#{number})" if name else f"#{number}")


def _measure(alert: Alert, texts: Texts) -> str:
    kind, period = alert.label("type"), alert.label("period")
    if alert.value is None or alert.threshold is None or kind == "channel_down":
        return ""
    unit = _UNITS.get(kind, "")
    value, threshold = _number(alert.value) + unit, _number(alert.threshold) + unit
    if kind in {"cost", "quota_low"}:
        value, threshold = _money(alert.value, alert), _money(alert.threshold, alert)
    words = texts.measure if period else texts.left
    return words.format(
        value=_cut(value, _NAME), threshold=_cut(threshold, _NAME), period=_period(period, texts)
    )


def _money(value: float, alert: Alert) -> str:
    """Give an amount in the rule's currency, and more digits of what is less than a cent."""
    sign, amount = "-" if value < 0 else "", abs(value)
    text = f"{amount:.6f}".rstrip("0") if 1e-6 <= amount < 0.01 else f"{amount:,.2f}"
    return f"{sign}{_SIGNS.get(alert.label('currency'), '$')}{text}"


def _period(period: str, texts: Texts) -> str:
    start, dots, end = period.replace("T", " ").partition("..")
    last, today, since, between = texts.periods
    words = (between if end else since) if dots else today if period == "today" else last
    return words.format(start=start, end=end)


def _why(alert: Alert, decision: Decision, texts: Texts) -> str:
    why = texts.whys.get(decision.reason, "").format(action=alert.action)
    if why and decision.detail and decision.result is not Result.SET_AGAIN:
        return f"{why} ({decision.detail})"
    return why or decision.detail


def _until(alert: Alert, texts: Texts) -> str:
    if alert.release_after is None:
        return ""
    return texts.until.format(minutes=_number(alert.release_after / 60))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.6g}"


def _filled(**texts: str) -> dict[str, str]:
    """Leave out what is empty: to Alertmanager an empty label is none."""
    return {name: text for name, text in texts.items() if text}
