"""How far a backfill has come: what it needs to go on after it was interrupted.

It is kept in the notes of the state. The names of the newest blocks are noted together with it,
before these are moved to their place: a backfill that goes on moves them, if that was still to be
done, so that it makes no block twice and leaves none out.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from exporter.backfill.boundary import Boundary
from exporter.backfill.grid import Grid
from exporter.changes import Changes
from exporter.departed import Entity, Subject
from exporter.failed import Failure
from exporter.position import Position, Step
from exporter.state import State
from exporter.totals import Totals

_NOTE, _BLOCKS = "backfill", "backfill_blocks"


@dataclass(frozen=True)
class Progress:
    """A backfill up to one of its points."""

    grid: Grid
    out: Path
    """Prometheus's data folder, absolute."""
    instance: str
    """host:port, the label of all samples."""
    reached: int | None = None
    """The last point of the grid that is in a block; None before the first."""
    complete: bool = False
    """Whether the sample at the boundary is in a block too."""
    rows: int = 0
    samples: int = 0
    blocks: int = 0
    sums: Totals = field(default_factory=Totals)
    """What the last samples showed."""
    pending: tuple[Failure, ...] = ()
    """Failures that are yet to be settled."""
    used: dict[Subject, int] = field(default_factory=dict)
    """Unix seconds of the last use of channels, API keys and users."""

    def text(self) -> str:
        """Give it as JSON."""
        values = {
            "start": self.grid.start,
            "moment": self.grid.moment,
            "out": str(self.out),
            "instance": self.instance,
            "reached": self.reached,
            "complete": self.complete,
            "rows": self.rows,
            "samples": self.samples,
            "blocks": self.blocks,
            "sums": {metric: list(values.items()) for metric, values in self.sums.sums.items()},
            "pending": [(f.request_id, f.model, f.created_at) for f in self.pending],
            "used": [[*subject, moment] for subject, moment in self.used.items()],
        }
        return json.dumps(values, separators=(",", ":"))

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what text() gave."""
        saved = json.loads(text)
        grid = Grid(saved.pop("start"), saved.pop("moment"))
        sums = {
            metric: {tuple(labels): value for labels, value in values}
            for metric, values in saved.pop("sums").items()
        }
        return cls(
            grid=grid,
            out=Path(saved.pop("out")),
            sums=Totals(sums),
            pending=tuple(Failure(*failure) for failure in saved.pop("pending")),
            used={(kind, number): moment for kind, number, moment in saved.pop("used")},
            **saved,
        )


def load(state: State) -> Progress | None:
    """Give the backfill that was begun in this state and is not finished, if there is one."""
    text = state.noted(_NOTE)
    return Progress.read(text) if text else None


def newest_blocks(state: State) -> list[str]:
    """Give the names of the blocks that were noted last."""
    return json.loads(state.noted(_BLOCKS) or "[]")  # type: ignore[no-any-return]


def begin(state: State, progress: Progress, boundary: Boundary) -> None:
    """Save the boundary, which stays the same however often the backfill is interrupted.

    Raises:
        StateError: it cannot be saved.
    """
    step = Step(boundary.position, added=boundary.gaps)
    state.save(Changes(step, notes={_NOTE: progress.text(), _BLOCKS: "[]"}))


def save(state: State, position: Position, text: str, blocks: list[str]) -> None:
    """Save how far it has come, by Progress.text(), and the names of the blocks that end there.

    Raises:
        StateError: it cannot be saved.
    """
    state.save(Changes(Step(position), notes={_NOTE: text, _BLOCKS: json.dumps(blocks)}))


def finish(state: State, position: Position, progress: Progress) -> None:
    """Hand over to live reading: position and totals in one step.

    Raises:
        StateError: nothing of it was saved.
    """
    state.save(
        Changes(
            Step(position),
            sums=progress.sums.sums,
            failures=progress.pending,
            entities={s: Entity(None, float(moment)) for s, moment in progress.used.items()},
            notes={"counting_since": repr(float(progress.grid.start)), _NOTE: "", _BLOCKS: "[]"},
        )
    )
