"""Alertmanager's webhook, version 4 (notify/webhook/webhook.go, template/template.go): what we use.

Fields that are not named here are accepted, since newer versions add some.
"""

import hashlib
import math
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

TRIP = "trip"
"""The label `purpose` of alerts that ask the breaker to act."""

_LONGEST = 1000
"""Characters that are kept of a label or annotation; an operator's own texts are far shorter."""


class WebhookError(ValueError):
    """A body that is no webhook of Alertmanager; its text is one line."""


class Alert(BaseModel):
    """One alert of a webhook, with the labels and annotations of our rules by name."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts_at: AwareDatetime = Field(alias="startsAt")
    fingerprint: str = Field("", max_length=64)

    def label(self, name: str) -> str:
        """Give a label, empty where it is missing."""
        return self.labels.get(name, "")[:_LONGEST]

    def annotation(self, name: str) -> str:
        """Give an annotation, empty where it is missing."""
        return self.annotations.get(name, "")[:_LONGEST]

    @property
    def firing(self) -> bool:
        """Whether the condition holds; it has ended otherwise."""
        return self.status == "firing"

    @property
    def for_breaker(self) -> bool:
        """Whether the breaker shall act on it, rather than record it."""
        return self.label("purpose") == TRIP

    @property
    def rule(self) -> str:
        """The name of the rule in alerts.yml."""
        return self.label("rule")

    @property
    def target(self) -> str:
        """What the rule looked at; one incident is a rule and a target."""
        return self.label("target")

    @property
    def action(self) -> str:
        """What the rule asks for, as disable_channel; empty where it only tells."""
        return self.label("action")

    @property
    def name(self) -> str:
        """What people call the target, empty where Prometheus found no name."""
        name = self.annotation("name")
        return "" if name.startswith("<error expanding template") else name

    def number(self, name: str) -> int | None:
        """Give a label that holds an id, as channel_id; None where it is missing or no id."""
        return _whole(self.label(name))

    @property
    def release_after(self) -> int | None:
        """Seconds after which the breaker lets go by itself; None for never."""
        return _whole(self.label("release_after"))

    @property
    def override_for(self) -> int | None:
        """Seconds for which a person's release counts; None for until the alert has ended."""
        return _whole(self.label("override_for"))

    @property
    def value(self) -> float | None:
        """What was measured, in the unit of the rule's type."""
        return _number(self.annotation("value"))

    @property
    def threshold(self) -> float | None:
        """What the value passed, in its unit."""
        return _number(self.annotation("threshold"))

    @property
    def evaluated_at(self) -> float | None:
        """When Prometheus looked, unix seconds."""
        return _number(self.annotation("evaluated_at"))

    @property
    def key(self) -> str:
        """The same for every delivery of one alert: Alertmanager's fingerprint of its labels."""
        if self.fingerprint:
            return self.fingerprint
        return hashlib.sha256(repr(sorted(self.labels.items())).encode()).hexdigest()[:16]


class Webhook(BaseModel):
    """What Alertmanager posts: the alerts of one group."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    version: Literal["4"]
    alerts: list[Alert]


def parse(body: bytes) -> Webhook:
    """Read a body.

    Raises:
        WebhookError: it is no webhook of version 4.
    """
    try:
        return Webhook.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        line = f"not a webhook of Alertmanager (version 4): {where}: {first['msg']}"
        raise WebhookError(" ".join(line.split())) from None


def _whole(text: str) -> int | None:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        return None
    return int(text) or None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
