"""Balances, added up in memory and written every few seconds, as the gateway's batches are."""

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import Connection, text

from demo.catalog import QUOTA_PER_USD
from demo.exchange import Charge

BATCH_UPDATE_INTERVAL = 5.0
"""Seconds, the gateway's default with BATCH_UPDATE_ENABLED (its docker-compose sets it)."""

_STATEMENTS = {
    "keys": "UPDATE tokens SET remain_quota = remain_quota - :left,"
    " used_quota = used_quota + :quota, accessed_time = :at WHERE id = :id",
    "users": "UPDATE users SET quota = quota - :left + :credit, used_quota = used_quota + :quota,"
    " request_count = request_count + :requests WHERE id = :id",
    "channels": "UPDATE channels SET used_quota = used_quota + :quota WHERE id = :id",
    "balances": "UPDATE channels SET balance = balance - :usd, balance_updated_time = :at"
    " WHERE id = :id AND balance > 0",
}


class Ledger:
    """What has been charged and not been written yet."""

    def __init__(self) -> None:
        self._keys: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        self._users: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
        self._channels: dict[int, int] = defaultdict(int)
        self._spent: dict[int, int] = defaultdict(int)

    def add(self, charge: Charge) -> None:
        """Take a charge; the playground's has no key (0), a top-up neither key nor channel."""
        user = self._users[charge.user_id]
        user[0] += charge.quota
        user[1] += charge.requests if charge.quota else 0
        user[2] += charge.credit
        if charge.key_id:
            key = self._keys[charge.key_id]
            key[0] += charge.quota
            key[1] = max(key[1], charge.at)
        if charge.channel_id:
            self._channels[charge.channel_id] += charge.quota
            self._spent[charge.channel_id] += charge.quota

    def add_all(self, charges: Iterable[Charge | None]) -> None:
        """Take charges, and skip what is none."""
        for charge in charges:
            if charge is not None:
                self.add(charge)

    def write(self, connection: Connection, *, past: bool = False) -> None:
        """Add the charges to the rows of keys, users and channels, and forget them.

        Args:
            connection: in a transaction of the caller's.
            past: they are history: what keys and users have left was told after them, and
                stays as it is.
        """
        changes = {
            "keys": [
                {"id": id_, "quota": quota, "left": 0 if past else quota, "at": at}
                for id_, (quota, at) in sorted(self._keys.items())
            ],
            "users": [
                {
                    "id": id_,
                    "quota": quota,
                    "left": 0 if past else quota,
                    "requests": requests,
                    "credit": 0 if past else credit,
                }
                for id_, (quota, requests, credit) in sorted(self._users.items())
            ],
            "channels": [
                {"id": id_, "quota": quota} for id_, quota in sorted(self._channels.items())
            ],
        }
        for name, rows in changes.items():
            if rows:
                connection.execute(text(_STATEMENTS[name]), rows)
        self._keys.clear()
        self._users.clear()
        self._channels.clear()

    def write_balances(self, connection: Connection, at: float) -> None:
        """Take what channels cost from their balance, where the provider tells one.

        Args:
            connection: in a transaction of the caller's.
            at: unix seconds, the time of the update.
        """
        rows = [
            {"id": id_, "usd": quota / QUOTA_PER_USD, "at": int(at)}
            for id_, quota in sorted(self._spent.items())
        ]
        if rows:
            connection.execute(text(_STATEMENTS["balances"]), rows)
        self._spent.clear()
