"""Jobs that a program repeats in the background, one after the other, in one thread."""

import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from schedule import Scheduler

log = logging.getLogger(__name__)


SLOW = 60
"""Seconds after which a job that is still running is a reason not to be ready."""


class Jobs:
    """Repeats jobs until it is stopped; a job that fails is logged and tried again next time."""

    def __init__(self) -> None:
        # The scheduler goes by local time, which jumps an hour twice a year; UTC does not.
        os.environ["TZ"] = "UTC"
        time.tzset()
        self._scheduler = Scheduler()
        self._stop = threading.Event()
        self._failed: dict[str, str] = {}
        self._running: tuple[str, float] | None = None
        """The job that is running now, and since when by time.monotonic()."""
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def every(self, seconds: float, job: Callable[[], object]) -> None:
        """Run a job at once, in the order of these calls, and again `seconds` after each end."""
        name = getattr(job, "__name__", repr(job))

        def run() -> None:
            self._running = name, time.monotonic()
            try:
                job()
            except Exception as error:
                log.exception("a background job failed")
                self._failed[name] = f"{name}: failed unexpectedly, {type(error).__name__}: see log"
            else:
                self._failed.pop(name, None)
            self._running = None

        whole = max(round(seconds), 1)
        repeated = self._scheduler.every(whole).seconds.do(run)
        repeated.next_run = datetime.now()  # noqa: DTZ005  (what the scheduler compares with)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def reasons(self) -> list[str]:
        """Name the jobs whose last run failed or does not end, one line each, for readiness."""
        reasons, running = list(self._failed.values()), self._running
        if running is not None and (seconds := time.monotonic() - running[1]) > SLOW:
            reasons.append(f"{running[0]}: has been running for {seconds:.0f} s")
        return reasons

    def stop(self, seconds: float = 10) -> None:
        """End after the job that is running now; waits for it at most so long."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._follow_clock()
            self._scheduler.run_pending()
            self._stop.wait(min(max(self._scheduler.idle_seconds or 0.05, 0.01), 1))

    def _follow_clock(self) -> None:
        """Run at once what lies further ahead than its interval: the clock was set back."""
        now = datetime.now()  # noqa: DTZ005
        for job in self._scheduler.jobs:
            if job.next_run is not None and job.next_run - now > timedelta(seconds=job.interval):
                job.next_run = now
