"""Whether the gateway's database can be written: looked at now and then, told by /-/ready."""

import logging
from collections.abc import Callable

from breaker.mode import Mode
from newapi.database import Database, DatabaseError
from newapi.schema import inspect
from newapi.switch import require_columns
from service.log import OncePerMinute

log = logging.getLogger(__name__)


class Health:
    """The state of the gateway's database when it was last looked at.

    Args:
        database: the gateway's.
        mode: gives the mode at this moment; off needs no database.
        clock: gives unix seconds.
    """

    def __init__(
        self, database: Database, mode: Callable[[], Mode], clock: Callable[[], float]
    ) -> None:
        self._database = database
        self._mode = mode
        self._clock = clock
        self._troubles = OncePerMinute(log)
        self._trouble: str | None = f"{database.name}: not looked at yet"

    def check(self) -> None:
        """Look at the database, and log once a minute what is wrong."""
        if self._mode() is Mode.OFF:
            return
        try:
            with self._database.connect() as connection:
                require_columns(inspect(connection))
        except DatabaseError as error:
            text = str(error)
            self._trouble = (
                text if text.startswith(self._database.name) else f"{self._database.name}: {text}"
            )
            self._troubles.warning(self._trouble, self._clock())
        else:
            if self._trouble is not None:
                log.info("%s: found", self._database.name)
            self._trouble = None

    def reasons(self) -> list[str]:
        """Give what keeps the breaker from disabling anything, nothing when it is ready."""
        if self._trouble is None or self._mode() is Mode.OFF:
            return []
        return [self._trouble]
