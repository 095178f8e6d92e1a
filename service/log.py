"""Logging of both programs: one line an event, to standard error."""

import logging
import time


def configure(level: str) -> None:
    """Send log lines of this level and above to standard error, with UTC times."""
    formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s")
    formatter.datefmt = "%Y-%m-%dT%H:%M:%S"
    formatter.converter = time.gmtime
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("waitress").setLevel(logging.ERROR)
    logging.getLogger("urllib3").setLevel(logging.WARNING)


class OncePerMinute:
    """Lets a message through at most once a minute, so that an outage does not fill the disk."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._said: dict[str, float] = {}

    def warning(self, message: str, now: float) -> None:
        """Log the message unless the same one was logged within 60 s of `now` (seconds)."""
        self._said = {m: t for m, t in self._said.items() if abs(now - t) < 60}
        if message not in self._said:
            self._said[message] = now
            self._log.warning(message)
