"""What the breaker refuses to disable although it could."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from breaker.decision import Reason, Target
from breaker.webhook import Alert
from newapi.switch import Kind, State

HOUR = 3600

_SPENDING = {"token_usage", "cost"}
"""Types of rules that may take the last channel, and whose alerts do not age: money that was
spent stays spent. Every other type, also one that is not known, tells about the health of now."""


@dataclass(frozen=True)
class Protected:
    """What is never touched, by id or name."""

    channels: Collection[str] = ()
    api_keys: Collection[str] = ()
    groups: Collection[str] = ()

    def by_kind(self, kind: Kind) -> Collection[str]:
        """Give the ids and names of one kind."""
        return self.channels if kind is Kind.CHANNEL else self.api_keys


@dataclass(frozen=True)
class Guards:
    """The limits that an operator sets."""

    protected: Protected
    trips_per_hour: int
    alert_age: float
    """Seconds after which an alert about health is too old."""

    def refuse(
        self,
        alert: Alert,
        target: Target,
        state: State,
        *,
        trips: int,
        sole: Sequence[tuple[str, str]],
        now: float,
    ) -> tuple[Reason, str] | None:
        """Tell why something must not be disabled.

        Args:
            alert: what asks for it.
            target: what it asks for.
            state: as found.
            trips: of the last hour.
            sole: each (group, model) that nothing else serves; may be empty for spending rules.
            now: unix seconds.

        Returns:
            The reason and a detail, in words of no language; None where nothing speaks against it.
        """
        if detail := self._protected(target, state):
            return Reason.PROTECTED, detail
        if about_health(alert):
            if detail := self._too_old(alert, now):
                return Reason.STALE, detail
            if sole:
                return Reason.LAST_CHANNEL, last_of(sole)
        if trips >= self.trips_per_hour:
            return Reason.TOO_MANY_TRIPS, f"BREAKER_MAX_TRIPS_PER_HOUR={self.trips_per_hour}"
        return None

    def _protected(self, target: Target, state: State) -> str:
        channel = target.kind is Kind.CHANNEL
        variable = "BREAKER_PROTECTED_CHANNELS" if channel else "BREAKER_PROTECTED_API_KEYS"
        known = self.protected.by_kind(target.kind)
        if str(target.number) in known or (state.name and state.name in known):
            return variable
        if not state.named and not all(name.isdigit() for name in known):
            return f"{variable}, name ?"  # a grant hides the column: it may be one of these
        if self.protected.groups:
            if state.groups is None:  # the same of these
                return "BREAKER_PROTECTED_GROUPS, group ?"
            for group in state.groups:
                if group in self.protected.groups:
                    return f"BREAKER_PROTECTED_GROUPS, {group}"
        return ""

    def _too_old(self, alert: Alert, now: float) -> str:
        if alert.evaluated_at is None:
            return "evaluated_at ?"
        age = now - alert.evaluated_at
        return f"{age:.0f} s > {self.alert_age:.0f} s" if abs(age) > self.alert_age else ""


def last_of(sole: Sequence[tuple[str, str]]) -> str:
    """Name what nothing else serves: the first group and model, and how many more."""
    group, model = sole[0]
    return f"{group} / {model}" + (f" + {len(sole) - 1}" if len(sole) > 1 else "")


def about_health(alert: Alert) -> bool:
    """Tell whether an alert is about the health of now rather than about money that was spent."""
    return alert.label("type") not in _SPENDING
