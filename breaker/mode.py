"""What the breaker may do: set by BREAKER_MODE, and by a file that works as kill switch."""

import logging
from enum import StrEnum
from pathlib import Path

log = logging.getLogger(__name__)


class Mode(StrEnum):
    """How far the breaker goes."""

    ENFORCE = "enforce"
    DRY_RUN = "dry-run"
    """Everything but the write, and messages say "would have"."""
    OFF = "off"
    """Alerts are recorded only; the gateway's database is not needed."""


class ModeSwitch:
    """The mode at this moment: that of the file where there is one, else the one set at start.

    Args:
        default: used while there is no file.
        file: holds nothing but a mode.
    """

    def __init__(self, default: Mode, file: Path) -> None:
        self._default = default
        self._file = file
        self._reported = False

    def __call__(self) -> Mode:
        """Read the mode. A file that cannot be understood means off: somebody wanted a change."""
        try:
            mode = Mode(self._file.read_text("utf-8").strip().lower())
        except FileNotFoundError:
            mode = self._default
        except (OSError, ValueError):
            if not self._reported:
                expected = ", ".join(Mode)
                log.error(  # noqa: TRY400  (a stack would say no more)
                    "%s holds no mode (%s): nothing is disabled", self._file, expected
                )
            self._reported = True
            return Mode.OFF
        self._reported = False
        return mode
