"""What a person sees of a backfill: a bar on a terminal, a line now and then elsewhere."""

import logging
import sys
import time
from types import TracebackType
from typing import Any, Self

import click

from exporter.backfill.progress import Progress

log = logging.getLogger(__name__)

EVERY = 10.0
"""Seconds between two lines."""


class Display:
    """Shows how far a backfill is, as a context manager.

    Args:
        progress: how far it is at the beginning.
    """

    def __init__(self, progress: Progress) -> None:
        grid = progress.grid
        self._from = progress.reached or grid.start
        self._length = max(int(grid.moment) - self._from, 1)
        self._told = time.monotonic()
        self._at = self._from
        self._bar: Any = None
        if sys.stderr.isatty():
            self._bar = click.progressbar(
                length=self._length, label="reading the past", file=sys.stderr, show_pos=False,
                item_show_func=lambda rows: f"{rows:,} rows" if rows is not None else None,
                update_min_steps=self._length // 500 or 1,
            )  # fmt: skip

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.__exit__(kind, error, traceback)

    def report(self, moment: float, progress: Progress) -> None:
        """Show that everything up to a moment (unix seconds) has been read."""
        if self._bar is not None:
            self._bar.update(int(moment) - self._at, progress.rows)
            self._at = int(moment)
        elif time.monotonic() - self._told >= EVERY:
            self._told = time.monotonic()
            share = (moment - progress.grid.start) / (progress.grid.moment - progress.grid.start)
            log.info("read up to %s: %.0f %%, %d rows", utc(moment), share * 100, progress.rows)


def utc(moment: float) -> str:
    """Write a moment in unix seconds for people."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(moment))
