"""The rules in force: alerts.yml as it is now, or its last good copy where it is broken."""

import logging
from pathlib import Path

from exporter.rules import Rule, RulesError, read_rules, read_text
from exporter.status import Status

log = logging.getLogger(__name__)


class Rulebook:
    """Follows a file of rules.

    Args:
        path: the file; it may be missing, then there are no rules.
        copy: where the last good text is kept.
        status: what is told when the file is broken.
    """

    def __init__(self, path: Path, copy: Path, status: Status) -> None:
        self.path = path
        self.rules: tuple[Rule, ...] = ()
        self.good = True
        """Whether the last reading found no mistake."""
        self._copy = copy
        self._status = status
        self._seen: tuple[str | None, str] | None = None
        """The text that was read last, and why it could not be read."""

    def refresh(self) -> bool:
        """Read the file if it has changed; tells whether the rules are others now."""
        text, problem = self._read()
        if self._seen == (text, problem):
            return False
        first, self._seen = self._seen is None, (text, problem)
        before = self.rules
        if not problem:
            try:
                self.rules = read_rules(text or "", str(self.path))
            except RulesError as error:
                problem = str(error)
        self.good = not problem
        if problem:
            self._status.errors["rules"] += 1
            if first:
                self.rules = self._last_good()
            log.warning("%s; the last good rules stay in force (%d)", problem, len(self.rules))
        else:
            self._keep(text)
            log.info("%d alert rules in %s", len(self.rules), self.path)
        return first or self.rules != before

    def _read(self) -> tuple[str | None, str]:
        try:
            return read_text(self.path), ""
        except RulesError as error:
            return None, str(error)

    def _last_good(self) -> tuple[Rule, ...]:
        try:
            return read_rules(read_text(self._copy) or "", str(self._copy))
        except RulesError:
            return ()

    def _keep(self, text: str | None) -> None:
        written = self._copy.with_suffix(".new")
        try:
            written.write_text(text or "", encoding="utf-8")
            written.replace(self._copy)
        except OSError as error:
            log.warning("%s: no copy of the rules is kept: %s", self._copy, error.strerror)
