"""The gateway as the breaker touches it: its database, and its own API where it is told too."""

import logging
from collections.abc import Mapping

from breaker.decision import Target
from breaker.fastpath import FastPath, FastPathError
from newapi.database import Database, DatabaseError, Fault
from newapi.options import read_options
from newapi.schema import Schema, inspect
from newapi.switch import DISABLED_BY_HAND, ENABLED, Kind, Outcome, Result, State, Switch
from newapi.switch_channel import ChannelSwitch
from newapi.switch_key import ApiKeySwitch

log = logging.getLogger(__name__)


def default_switches() -> dict[Kind, Switch]:
    """Give the switch of each kind."""
    return {Kind.CHANNEL: ChannelSwitch(), Kind.API_KEY: ApiKeySwitch()}


class Switchboard:
    """Switches channels and API keys; see newapi.switch.Switch for what each method raises.

    Args:
        database: the gateway's, opened writable.
        switches: one for each kind.
        fast_path: tells the gateway what was written; None where it is not to be told.
    """

    def __init__(
        self, database: Database, switches: Mapping[Kind, Switch], fast_path: FastPath | None
    ) -> None:
        self.database = database
        self._switches = switches
        self._fast_path = fast_path

    def schema(self) -> Schema:
        """Look up the columns that this account sees."""
        with self.database.connect() as connection:
            return inspect(connection)

    def read(self, target: Target) -> State | None:
        """Look at a target; None where there is none."""
        return self._switches[target.kind].read(self.database, self.schema(), target.number)

    def sole(self, target: Target) -> list[tuple[str, str]]:
        """Give each (group, model) that nothing but the target serves."""
        return self._switches[target.kind].sole(self.database, self.schema(), target.number)

    def disable(self, target: Target, reason: str, now: int) -> Outcome:
        """Disable a target that is enabled."""
        return self._switches[target.kind].disable(
            self.database, self.schema(), target.number, reason, now
        )

    def set_again(self, target: Target, seen: State, reason: str, now: int) -> Outcome:
        """Disable a target that was put back into service."""
        return self._switches[target.kind].set_again(
            self.database, self.schema(), target.number, seen, reason, now
        )

    def release(self, target: Target, mark: str, reason: str, now: int) -> Outcome:
        """Enable a target that is off by us."""
        outcome = self._switches[target.kind].release(
            self.database, self.schema(), target.number, mark, reason, now
        )
        if outcome.result is Result.DONE:
            self.tell(target, ENABLED)
        return outcome

    def tell(self, target: Target, status: int = DISABLED_BY_HAND) -> bool | None:
        """Tell the gateway what was written to its database.

        Returns:
            Whether it took it; None where it is not to be told: no GATEWAY_URL, an API key, or
            One API, whose API does not touch what it keeps in memory (model/channel.go
            UpdateChannelStatusById).
        """
        if self._fast_path is None or target.kind is not Kind.CHANNEL:
            return None
        try:
            if not self.schema().has("channels", "other_info"):  # One API, or an old New API
                return None
            self._fast_path.tell(target.number, status)
        except (FastPathError, DatabaseError) as error:
            log.warning("GATEWAY_URL: channel %d: %s", target.number, error)
            return False
        return True

    def tests_enable(self) -> bool:
        """Tell whether the gateway enables channels by itself whose test succeeds.

        False where a grant hides this: in doubt a person did it.
        """
        try:
            with self.database.connect() as connection:
                options = read_options(connection, inspect(connection))
            return options.enabled("AutomaticEnableChannelEnabled")
        except DatabaseError as error:
            if error.fault is Fault.MISSING:
                return False
            raise
