"""Only what is saved is shown: numbers stand still where saving fails, and survive a kill."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter.spans import Rolling
from exporter.windows import Window
from tests.follower import NOON, Follower


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[Follower]:
    window = Window("channel", ("*",), Rolling(300))
    follower = Follower(f"sqlite:///{tmp_path}/one-api.db", tmp_path / "state", windows=[window])
    yield follower
    follower.close()


def leave_room(follower: Follower, pages: int) -> None:
    """Let the state's file grow by so many pages, as on a disk that is nearly full."""
    (count,) = follower.state._db.execute("PRAGMA page_count").fetchone()
    follower.state._db.execute(f"PRAGMA max_page_count = {count + pages}")


def shown(follower: Follower) -> tuple[Any, ...]:
    window = follower.windows[0]
    ledger = follower.ledger
    return ledger.sums(), ledger.used(window), ledger.today(), ledger.position, len(ledger.gaps)


@pytest.mark.parametrize("killed", [False, True])
def test_where_saving_fails_the_numbers_stand_still_and_then_nothing_is_missing(
    follower: Follower, killed: bool
) -> None:
    follower.write({"id": 1})
    follower.poll()
    follower.write({"id": 2})
    follower.poll(2)
    before = shown(follower)
    assert follower.sum() == 1

    leave_room(follower, pages=8)
    follower.write(*({"id": n, "model_name": f"m{n}", "channel_id": n} for n in range(4, 1004)))
    follower.now += 2
    for _ in range(3):
        follower.poller.poll()
        assert follower.status.reasons() == [
            f"state: {follower.folder}/state.db: database or disk is full"
        ]
        assert shown(follower) == before
    assert follower.status.errors["state"] == 3
    assert follower.status.counted_until == NOON + 2

    if killed:
        follower.restart()
        assert follower.ledger.sums() == before[0]
        assert follower.ledger.position == before[3]
    leave_room(follower, 1_000_000)
    follower.poll()
    assert follower.sum() == 1001
    # Windows and days hold also what was used before counting began.
    used = follower.ledger.used(follower.windows[0]).now
    assert sum(amounts["tokens"] for amounts in used.values()) == 1002 * 50
    assert sum(follower.ledger.today()["newapi_today_requests"].values()) == 1002
    follower.restart()
    follower.poll()
    assert follower.sum() == 1001


def test_rules_that_came_while_the_state_was_full_are_followed_once_it_is_not(
    follower: Follower,
) -> None:
    follower.write({"id": 1})
    follower.poll()
    follower.write({"id": 2, "model_name": "o3"})
    follower.poll(2)
    window = Window("model", ("o3",), Rolling(3600))
    leave_room(follower, pages=8)
    follower.poller.follow([window])
    follower.write(*({"id": n, "model_name": f"m{n}"} for n in range(3, 1003)))
    follower.poller.poll()
    assert "state" in follower.status.troubles
    assert not follower.filler.complete(window)
    leave_room(follower, 1_000_000)
    follower.poll(2)
    assert follower.filler.complete(window)
    assert follower.ledger.used(window).now == {"o3": {"tokens": 50}}


def test_what_was_counted_before_a_kill_is_there_after_it(follower: Follower) -> None:
    follower.write({"id": 1})
    follower.poll()
    follower.write({"id": 2}, {"id": 4, "type": 5, "request_id": "r", "other": "{}"})
    follower.poll(2)
    follower.write({"id": 5}, {"id": 7})
    follower.poll(2)
    before = shown(follower)
    assert follower.sum() == 3
    follower.restart()
    assert shown(follower) == before
    assert [failure.request_id for failure in follower.ledger.pending()] == ["r"]


def test_rows_that_came_while_nobody_counted_are_in_their_windows_too(follower: Follower) -> None:
    follower.write({"id": 1})
    follower.poll()
    follower.write({"id": 2})
    follower.poll(2)
    follower.write({"id": 3}, {"id": 4})
    follower.restart()
    follower.poll(20)
    assert follower.sum() == 3
    assert follower.ledger.used(follower.windows[0]).now == {"7": {"tokens": 4 * 50}}
    follower.poll(2)
    assert follower.ledger.used(follower.windows[0]).now == {"7": {"tokens": 4 * 50}}
