"""Which API keys the gateway refuses: what it looks at before it takes a request."""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import Connection, text

from demo.world import ENABLED, EXHAUSTED, EXPIRED


class Refusals(NamedTuple):
    """Keys and users that are refused, by id.

    Args:
        keys: the status that the gateway writes when such a key is used, since expiry and
            exhaustion are noticed only then (model/token.go ValidateUserToken); 0 = none.
        users: without quota, or disabled.
    """

    keys: Mapping[int, int] = {}
    users: frozenset[int] = frozenset()

    def has(self, key_id: int, user_id: int) -> bool:
        """Tell whether a request is refused; key 0 is the playground."""
        return key_id in self.keys or user_id in self.users


def read(connection: Connection, now: float) -> Refusals:
    """Look up who is refused at a moment (unix seconds)."""
    keys = connection.execute(
        text(
            "SELECT id, status, expired_time FROM tokens WHERE status <> :enabled"
            " OR (expired_time <> -1 AND expired_time < :now)"
            " OR (remain_quota <= 0 AND NOT unlimited_quota)"
        ),
        {"enabled": ENABLED, "now": int(now)},
    )
    users = connection.execute(
        text("SELECT id FROM users WHERE quota <= 0 OR status <> :enabled"), {"enabled": ENABLED}
    )
    found = {}
    for key_id, status, expires in keys:
        found[key_id] = 0
        if status == ENABLED:
            found[key_id] = EXPIRED if expires != -1 and expires < now else EXHAUSTED
    return Refusals(found, frozenset(users.scalars()))


def mark(connection: Connection, key_id: int, status: int) -> None:
    """Write the status of a key that was found expired or exhausted."""
    connection.execute(
        text("UPDATE tokens SET status = :status WHERE id = :id AND status = :enabled"),
        {"status": status, "id": key_id, "enabled": ENABLED},
    )
