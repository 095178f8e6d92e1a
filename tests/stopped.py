"""What a channel that was switched off looks like in the gateway's tables, wherever they are."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tests.servers.process import wait_until

Ask = Callable[[str], Sequence[Sequence[Any]]]
"""Gives the rows of a SELECT on the gateway's database."""

QUIET = 3
"""Seconds in which others make requests, and a channel none."""


def enabled(ask: Ask) -> list[int]:
    """Give the channels that are in service."""
    return [int(row[0]) for row in ask("SELECT id FROM channels WHERE status = 1")]


def stopped(ask: Ask, channel: int, rule: str, others: Iterable[int], timeout: float) -> None:
    """Wait until a channel is off, and hold the gateway to it: as its own switch leaves it.

    Args:
        ask: the gateway's database.
        channel: which one.
        rule: what the reason has to name.
        others: channels that have to stay in service.
        timeout: seconds until the channel has to be off.
    """
    wait_until(lambda: _state(ask, channel) == (2, 0), timeout, "the channel is off")
    last = wait_until(lambda: _quiet_since(ask, channel), 30, "no more requests")
    info = ask(f"SELECT other_info FROM channels WHERE id = {channel}")[0][0]
    reason = str(json.loads(info or "{}")["status_reason"])
    assert "newapi-breaker" in reason
    assert rule in reason
    still = set(enabled(ask))
    assert {other for other in others if other != channel} <= still
    wait_until(lambda: _newest(ask) > last, 30, "the others serve on")


def _state(ask: Ask, channel: int) -> tuple[int, int]:
    """Give the status of a channel, and how many of its abilities are enabled."""
    status = ask(f"SELECT status FROM channels WHERE id = {channel}")
    on = ask(f"SELECT COUNT(*) FROM abilities WHERE channel_id = {channel} AND enabled")
    return int(status[0][0]), int(on[0][0])


def _quiet_since(ask: Ask, channel: int) -> int:
    """Give the time of a channel's last request, once others came some seconds after it."""
    last = int(ask(f"SELECT MAX(created_at) FROM logs WHERE channel_id = {channel}")[0][0] or 0)
    return last if _newest(ask) - last >= QUIET else 0


def _newest(ask: Ask) -> int:
    return int(ask("SELECT MAX(created_at) FROM logs")[0][0] or 0)
