"""What a gateway writes to its log table: rows, when they are due, whose balance they change."""

from collections.abc import Sequence
from functools import lru_cache
from time import gmtime, strftime
from typing import NamedTuple, Protocol

from demo.exchange import Attempt, Charge, Exchange
from demo.rows import Row
from demo.world import Channel, User

TOPUP, CONSUME, MANAGE, SYSTEM, ERROR, REFUND, LOGIN = 1, 2, 3, 4, 5, 6, 7
"""logs.type of New API (model/log.go); ERROR means a channel test in One API."""

TEST = "模型测试"
"""token_name and content of New API's channel tests."""


class Entry(NamedTuple):
    """A row of the log table.

    Args:
        at: unix seconds at which it is written.
        type: logs.type.
        row: its values, in the order of the format's columns.
        charge: what it means for balances, if anything.
    """

    at: float
    type: int
    row: Row
    charge: Charge | None = None


class Format(Protocol):
    """How one of the gateways writes its log table."""

    @property
    def columns(self) -> Sequence[str]:
        """The columns that are written, in the order of a row's values."""

    def exchange(self, exchange: Exchange, started: float) -> list[Entry]:
        """Write a request that started at a moment (unix seconds), in the order of time."""

    def test(self, attempt: Attempt, tester: User, at: float, salt: int) -> list[Entry]:
        """Write a channel test that ended at a moment."""

    def topup(self, user: User, at: float, salt: int) -> Entry:
        """Write that a user paid."""

    def aside(self, user: User, channel: Channel, at: float, salt: int) -> Entry:
        """Write what is neither a request nor money: a login, an admin's change."""


@lru_cache(maxsize=64)
def _second(second: int) -> str:
    return strftime("%Y%m%d%H%M%S", gmtime(second))


def request_id(started: float, salt: int) -> str:
    """Make a request's id: UTC time with nanoseconds, 16 characters (New API common/utils.go).

    Args:
        started: unix seconds.
        salt: random bits, the lowest 64 are used.
    """
    second = int(started)
    return f"{_second(second)}{int((started - second) * 1e9):09d}{salt & (1 << 64) - 1:016x}"
