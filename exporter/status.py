"""How the exporter itself is doing, for readiness, the page at / and its own metrics."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from newapi.schema import Schema


class OwnFault(StrEnum):
    """What goes wrong in the exporter itself, or in what it does beside counting."""

    STATE = "state"
    RULES = "rules"
    FILL = "fill"
    SETTLE = "settle"


@dataclass
class Status:
    """Written by the background jobs, read by requests; each field by itself is of one moment."""

    caught_up: bool = False
    """Whether the first reading of the log table has reached its end."""
    inventory_tried: bool = False
    """Whether the inventory was read, or failed to be, once the log table was caught up with."""
    troubles: dict[str, str] = field(default_factory=dict)
    """By part of the program, one line on what keeps it from working now."""
    errors: Counter[str] = field(default_factory=Counter)
    """Failures since start by kind."""
    counted_until: float = 0.0
    """Unix seconds; every row that was visible then is counted."""
    last_poll: float = 0.0
    poll_seconds: float = 0.0
    rows_read: int = 0
    newest_created_at: int = 0
    """Unix seconds of the newest row that was read."""
    lag_rows: int = 0
    logs: Schema | None = None
    """Columns of the log table's database; known once caught_up."""

    def failed(self, part: str, kind: str, message: str) -> None:
        """Note that a part failed."""
        self.errors[kind] += 1
        self.troubles[part] = message

    def works(self, part: str) -> None:
        """Note that a part works again."""
        self.troubles.pop(part, None)

    @property
    def can_tell(self) -> bool:
        """Whether there is something to scrape.

        A page without the inventory would end the alerts that rest on it, just for the moment
        between two readings of a start.
        """
        return self.caught_up and self.inventory_tried

    def reasons(self) -> list[str]:
        """Give the reasons why the exporter is not ready, one line each."""
        reasons = list(self.troubles.values())
        if not self.can_tell and not reasons:
            part = "inventory" if self.caught_up else "log table"
            reasons.append(f"the {part} is being read for the first time since the start")
        return reasons
