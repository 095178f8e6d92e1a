"""What the service and `newapi-breaker release` are both made of."""

from collections.abc import Callable, Mapping
from typing import Self

from breaker.fastpath import FastPath
from breaker.notice import follows
from breaker.record import Record
from breaker.release import Releases
from breaker.settings import GatewaySettings
from breaker.store import RecordError, Store
from breaker.switchboard import Switchboard
from breaker.teller import Teller
from newapi.database import Database
from newapi.switch import Kind, Switch
from service.settings import SettingError

STATEMENT_TIMEOUT = 2.0
"""Seconds at most: a trip is a connection (5 s at most) and a few statements by primary key, and
Alertmanager is to be answered within 8 s."""


class Parts:
    """The record, the gateway, and what lets go of what is held. A context manager closes them.

    Args:
        settings: as loaded.
        switches: one for each kind.
        clock: gives unix seconds.

    Raises:
        SettingError: the record cannot be opened.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        switches: Mapping[Kind, Switch],
        clock: Callable[[], float],
    ) -> None:
        try:
            self.store = Store(settings.breaker_state, writable=True)
        except RecordError as error:
            raise SettingError(f"BREAKER_STATE: {error}") from None
        self.record = Record(self.store)
        timeout = min(settings.db_statement_timeout, STATEMENT_TIMEOUT)
        self.database = Database(settings.database, statement_timeout=timeout, writable=True)
        self._language = settings.monitor_lang
        self.teller = Teller(self._told)
        fast_path: FastPath | None = None
        if settings.gateway_url and settings.gateway_token and settings.gateway_user_id:
            url, token = str(settings.gateway_url), settings.gateway_token
            fast_path = FastPath(url, token, settings.gateway_user_id)
        self.board = Switchboard(self.database, switches, fast_path, self.teller)
        self.releases = Releases(
            self.board,
            self.record,
            language=settings.monitor_lang,
            clock=clock,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what is open."""
        self.teller.close()
        self.database.close()
        self.store.close()

    def _told(self, trip_id: str, taken: bool) -> None:
        """Have the notice of a trip say how soon the gateway follows."""
        text = follows(Kind.CHANNEL, self._language, told=taken)
        self.record.annotate(trip_id, "follows", text)
