"""The rules in force: alerts.yml as it is now, or its last good copy where it is broken."""

import logging
from pathlib import Path
from zoneinfo import ZoneInfo

from exporter.rules.file import NO_RULES, RuleFile, RulesError, read_rules, read_text
from exporter.rules.rule import Rule
from exporter.status import OwnFault, Status

log = logging.getLogger(__name__)

_Seen = tuple[str | None, str]
"""A file's text, None where there is none, and why it could not be read."""


class Rulebook:
    """Follows a file of rules.

    What is read counts once it was read twice in a row: an editor may be writing the file, or have
    removed it in order to put another in its place. At the start it counts at once.

    Args:
        path: the file; it may be missing, then there are no rules.
        copy: where the last good text is kept; a file that is removed leaves it as it is.
        status: what is told when the file is broken.
        zone: of days and hours where the file names none.
    """

    def __init__(self, path: Path, copy: Path, status: Status, zone: ZoneInfo) -> None:
        self.path = path
        self.problem = ""
        """The mistake in the file, one line; '' where the last reading found none."""
        self._file = NO_RULES
        self._default = zone
        self._copy = copy
        self._status = status
        self._seen: _Seen | None = None
        """What was read last."""
        self._counts: _Seen | None = None
        """What was read and counts."""

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in force."""
        return self._file.rules

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of their days and hours."""
        return self._file.zone(self._default)

    @property
    def good(self) -> bool:
        """Whether the last reading found no mistake."""
        return not self.problem

    def refresh(self) -> bool:
        """Read the file if it has changed; tells whether the rules are others now."""
        first, before, seen = self._counts is None, self._seen, self._read()
        self._seen = seen
        if seen == self._counts or (seen != before and not first):
            return False
        self._counts = seen
        was = self._file
        text, problem = seen
        if not problem:
            found, problem = _understood(text or "", self.path)
            self._file = found or was
        self.problem = problem
        if problem:
            self._status.errors[OwnFault.RULES] += 1
            if first:
                self._file = self._last_good()
            log.warning("%s; the last good rules stay in force (%d)", problem, len(self.rules))
        elif text is None:
            log.warning("%s: there is no such file, so there are no alert rules", self.path)
        else:
            self._keep(text)
            log.info("%d alert rules in %s", len(self.rules), self.path)
        return first or self._file != was

    def _read(self) -> _Seen:
        try:
            return read_text(self.path), ""
        except RulesError as error:
            return None, str(error)

    def _last_good(self) -> RuleFile:
        try:
            text = read_text(self._copy) or ""
        except RulesError:
            return NO_RULES
        return _understood(text, self._copy)[0] or NO_RULES

    def _keep(self, text: str) -> None:
        written = self._copy.with_suffix(".new")
        try:
            written.write_text(text, encoding="utf-8", newline="")
            written.replace(self._copy)
        except OSError as error:
            log.warning("%s: no copy of the rules is kept: %s", self._copy, error.strerror)


def _understood(text: str, path: Path) -> tuple[RuleFile | None, str]:
    """Read rules; gives None and the mistake where there is one, be it ours.

    Whatever reading them meets, the rules in force stay so, and nothing else stops.
    """
    try:
        return read_rules(text, str(path)), ""
    except RulesError as error:
        return None, str(error)
    except Exception as error:
        log.exception("alert rules cannot be read")
        return None, f"{path}: it cannot be read, {type(error).__name__}: see log"
