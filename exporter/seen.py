"""What was seen enabled, and since when each rule looks: "*" means those seen since then."""

import json
from collections.abc import Iterable, Mapping

from exporter.ledger import Ledger
from exporter.rules.rule import Rule
from newapi.inventory import Inventory

_NOTE = "seen"


class Seen:
    """Remembers, over restarts, when channels, models, API keys and users were last enabled.

    Only scopes that a rule with "*" looks at are followed. It is written when something is
    enabled or disabled, not at each look.

    Args:
        ledger: where it is kept.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        kept = json.loads(ledger.noted(_NOTE) or "{}")
        self._since: dict[str, float] = kept.get("since", {})
        """Unix time at which each rule was loaded, by what it looks at."""
        self._enabled: dict[str, dict[str, float | None]] = kept.get("enabled", {})
        """By scope and target the unix time at which it was last seen enabled; None: it is now."""
        self._changed = False
        self.generation = 0
        """How often rules were set."""

    def follow(self, rules: Iterable[Rule], now: float) -> None:
        """Set the rules; those that were there before go on."""
        followed = {_name(rule): self._since.get(_name(rule), now) for rule in rules if rule.each}
        scopes = {rule.scope for rule in rules if rule.each}
        self._changed |= followed != self._since
        self._since = followed
        self._enabled = {s: self._enabled.get(s, {}) for s in scopes}
        self.generation += 1

    def look(self, inventory: Inventory, now: float) -> None:
        """Note what is enabled at unix time `now`, and keep it.

        Raises:
            StateError: it cannot be saved; the next look tries again.
        """
        oldest = min(self._since.values(), default=now)
        for scope, known in self._enabled.items():
            found = dict.fromkeys(enabled(inventory, scope))
            gone = {target: now if at is None else at for target, at in known.items()}
            seen: dict[str, float | None] = {t: at for t, at in gone.items() if at >= oldest}
            self._enabled[scope] = seen | found
            self._changed |= self._enabled[scope] != known
        if self._changed and self._ledger.counting_since is not None:
            kept = {"since": self._since, "enabled": self._enabled}
            self._ledger.note({_NOTE: json.dumps(kept)})
            self._changed = False

    def covered(self, rule: Rule) -> Mapping[str, object]:
        """Give what a rule with "*" looks at, by target."""
        known, since = self._enabled.get(rule.scope, {}), self._since.get(_name(rule), 0.0)
        return {target: at for target, at in known.items() if at is None or at >= since}


def enabled(inventory: Inventory, scope: str) -> list[str]:
    """Give the targets of a scope that are enabled."""
    if scope == "channel":
        return [str(c.id) for c in inventory.channels if c.status == "enabled"]
    if scope == "api_key":
        return [str(k.id) for k in inventory.api_keys if k.status == "enabled"]
    if scope == "user":
        return [str(user.id) for user in inventory.users if user.status in {"", "enabled"}]
    return sorted({model for (model, _), n in inventory.enabled_channels.items() if n})


def _name(rule: Rule) -> str:
    return f"{rule.type}|{rule.scope}|{rule.name}"
