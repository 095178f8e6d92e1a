"""One thread in which whatever may touch the gateway's database takes turns."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Worker(ThreadPoolExecutor):
    """An executor of one thread that can tell how long it has been at one thing."""

    def __init__(self) -> None:
        super().__init__(max_workers=1, thread_name_prefix="trips")
        self._begun: float | None = None

    def submit(self, work: Callable[P, R], /, *args: P.args, **more: P.kwargs) -> Future[R]:
        """Have something done after all that was submitted before."""

        def run() -> Any:
            self._begun = time.monotonic()
            try:
                return work(*args, **more)
            finally:
                self._begun = None

        return super().submit(run)

    def busy_for(self) -> float:
        """Give the seconds for which it has been at what it does now, 0 where it does nothing."""
        begun = self._begun
        return time.monotonic() - begun if begun is not None else 0.0
