"""What stands in a log table without anybody's request: channel tests, payments, logins."""

import random
from collections.abc import Sequence

from demo.log import Entry, Format
from demo.newapi_log import NewApiLog
from demo.oneapi_log import OneApiLog
from demo.traffic import Conditions, Traffic
from demo.world import ADMIN_ROLE, ROOT_ROLE, Channel, User, World
from newapi.schema import Flavour

TOPUP_SHARE, ASIDE_SHARE = 0.001, 0.003
"""Parts of all rows that are payments, and logins or changes by an admin."""


def format_of(flavour: Flavour) -> Format:
    """Give the way in which a gateway writes its log table."""
    return NewApiLog() if flavour is Flavour.NEW_API else OneApiLog()


class Unasked:
    """Makes such rows for a world."""

    def __init__(self, world: World, traffic: Traffic) -> None:
        self._traffic = traffic
        self._format = format_of(world.flavour)
        self._users: Sequence[User] = world.users
        self._admins = [user for user in world.users if user.role >= ADMIN_ROLE] or world.users
        self._root = next((u for u in world.users if u.role == ROOT_ROLE), world.users[0])

    def test(
        self, rng: random.Random, channel: Channel, at: float, conditions: Conditions
    ) -> tuple[float, list[Entry]]:
        """Test a channel.

        Args:
            rng: source of randomness.
            channel: which.
            at: unix seconds at which the test ends.
            conditions: what is the matter with channels.

        Returns:
            The seconds that it took, and what is written to the log table.
        """
        attempt = self._traffic.test(rng, channel, conditions)
        return attempt.seconds, self._format.test(attempt, self._root, at, rng.getrandbits(160))

    def aside(self, rng: random.Random, channel: Channel, at: float) -> Entry:
        """Make a payment, a login or a change to a channel, at a moment (unix seconds)."""
        salt = rng.getrandbits(160)
        if rng.random() * (TOPUP_SHARE + ASIDE_SHARE) < TOPUP_SHARE:
            return self._format.topup(rng.choice(self._users), at, salt)
        return self._format.aside(rng.choice(self._admins), channel, at, salt)
