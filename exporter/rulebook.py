"""The rules in force: alerts.yml as it is now, or its last good copy where it is broken."""

import logging
from pathlib import Path

from exporter.rules import Rule, RulesError, load_rules, read_rules
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
        self._text: str | None = None
        self._begun = False

    def refresh(self) -> bool:
        """Read the file if it has changed; tells whether the rules are others now."""
        text = self._read()
        if self._begun and text == self._text:
            return False
        first, self._begun, self._text = not self._begun, True, text
        before = self.rules
        try:
            self.rules = load_rules(self.path)
        except RulesError as error:
            self.good = False
            self._status.errors["rules"] += 1
            if first:
                self.rules = self._last_good()
            log.warning("%s; the last good rules stay in force (%d)", error, len(self.rules))
        else:
            self.good = True
            self._keep(text)
            log.info("%d alert rules in %s", len(self.rules), self.path)
        return first or self.rules != before

    def _read(self) -> str | None:
        try:
            return self.path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None

    def _last_good(self) -> tuple[Rule, ...]:
        try:
            return read_rules(self._copy.read_text(encoding="utf-8"), str(self._copy))
        except (OSError, RulesError):
            return ()

    def _keep(self, text: str | None) -> None:
        try:
            self._copy.write_text(text or "", encoding="utf-8")
        except OSError as error:
            log.warning("%s: no copy of the rules is kept: %s", self._copy, error.strerror)
