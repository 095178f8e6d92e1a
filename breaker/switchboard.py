"""The gateway as the breaker touches it: its database, and its own API where it is told too."""

import logging
from collections.abc import Mapping
from functools import partial

from breaker.decision import Target
from breaker.fastpath import FastPath, FastPathError
from breaker.teller import Teller
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
        teller: has it do so in the background.
    """

    def __init__(
        self,
        database: Database,
        switches: Mapping[Kind, Switch],
        fast_path: FastPath | None,
        teller: Teller,
    ) -> None:
        self.database = database
        self._switches = switches
        self._fast_path = fast_path
        self._teller = teller

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

    def tell(
        self, target: Target, status: int = DISABLED_BY_HAND, *, trip_id: str | None = None
    ) -> None:
        """Have the gateway told, soon, what was written to its database.

        Not where there is no GATEWAY_URL, or for an API key, or One API, whose API does not touch
        what it keeps in memory (model/channel.go UpdateChannelStatusById).

        Args:
            target: what was written.
            status: what its status was made.
            trip_id: of the trip whose notice shall say whether the gateway took it.
        """
        if self._fast_path is not None and target.kind is Kind.CHANNEL:
            call = partial(self._call, self._fast_path, target, status)
            self._teller.add(call, trip_id)

    def _call(self, fast_path: FastPath, target: Target, status: int) -> bool | None:
        """Tell the gateway; gives whether it took it, None where it is not to be told."""
        try:
            schema = self.schema()
            if not schema.has("channels", "other_info"):  # One API, or an old New API
                return None
            state = self._switches[target.kind].read(self.database, schema, target.number)
            if state is None or state.status != status:
                return None  # the call writes too: what somebody changed since is not to be undone
            fast_path.tell(target.number, status)
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
