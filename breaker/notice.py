"""What the breaker tells people: one alert for each outcome, in words of their language."""

from dataclasses import dataclass

from breaker.decision import Decision, Reason, Result
from breaker.settings import Language
from breaker.texts import TEXTS, Texts
from breaker.webhook import Alert

_ALERTNAMES = {
    Result.TRIPPED: "NewAPIBreakerTripped",
    Result.WOULD_TRIP: "NewAPIBreakerTripped",
    Result.REFUSED: "NewAPIBreakerRefused",
    Result.FAILED: "NewAPIBreakerFailed",
}

_SILENT = {Reason.OFF, Reason.OTHER_BREAKER}
"""Refusals that nobody needs to hear of: it was switched off on purpose, or is done already."""

_UNITS = {"token_usage": " tokens", "error_rate": "%", "request_spike": "%", "latency": " s"}


@dataclass(frozen=True)
class Notice:
    """An alert about an outcome, as Alertmanager shall get it."""

    labels: dict[str, str]
    annotations: dict[str, str]

    @property
    def subject(self) -> str:
        """The same for every notice of this outcome for this rule and target."""
        return "\n".join(self.labels.get(name, "") for name in ("alertname", "rule", "target"))

    @property
    def hourly(self) -> bool:
        """Whether once an hour is enough: nothing was done."""
        return self.labels["alertname"] != _ALERTNAMES[Result.TRIPPED]


def compose(alert: Alert, decision: Decision, name: str, language: Language) -> Notice | None:
    """Put an outcome into words.

    Args:
        alert: what the rule said.
        decision: what it came to.
        name: of the channel, empty where it is not known.
        language: of the texts.

    Returns:
        The notice; None where nobody needs to hear of it.
    """
    result, reason = decision.result, decision.reason
    if result not in _ALERTNAMES or reason in _SILENT:
        return None
    texts = TEXTS[language]
    summary = texts.outcomes[result].format(
        channel=_channel(alert, name),
        rule=alert.rule,
        measure=_measure(alert, texts),
        why=_why(alert, decision, texts),
    )
    return Notice(
        labels=_filled(
            alertname=_ALERTNAMES[result],
            rule=alert.rule,
            type=alert.label("type"),
            target=alert.target,
            channel_id=alert.label("channel_id"),
            trip_id=decision.trip_id or "",
            severity="critical" if result is Result.FAILED else alert.label("severity"),
        ),
        annotations=_filled(
            summary=summary,
            name=name,
            value=alert.annotation("value"),
            threshold=alert.annotation("threshold"),
            reason=reason,
            undo=texts.undo if result is Result.TRIPPED else "",
            follows=texts.follows if result is Result.TRIPPED else "",
        ),
    )


def explain(alert: Alert) -> str:
    """Say in a few words of English why a channel was disabled, for the gateway's own record."""
    return f"rule {alert.rule}{_measure(alert, TEXTS['en'])}"


def _channel(alert: Alert, name: str) -> str:
    number = alert.label("channel_id") or alert.target
    return f"{name} (#{number})" if name else f"#{number}"


def _measure(alert: Alert, texts: Texts) -> str:
    if alert.value is None or alert.threshold is None:
        return ""
    unit = _UNITS.get(alert.label("type"), "")
    return texts.measure.format(
        value=_number(alert.value) + unit,
        threshold=_number(alert.threshold) + unit,
        period=alert.label("period") or "-",
    )


def _why(alert: Alert, decision: Decision, texts: Texts) -> str:
    why = texts.whys.get(decision.reason, "").format(action=alert.action)
    if why and decision.detail:
        return f"{why} ({decision.detail})"
    return why or decision.detail


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.6g}"


def _filled(**texts: str) -> dict[str, str]:
    """Leave out what is empty: to Alertmanager an empty label is none."""
    return {name: text for name, text in texts.items() if text}
