"""Filling windows from the log table: beside the counting, interrupted, begun anew."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from exporter.fill import REST
from exporter.spans import Day, Rolling
from exporter.windows import Window
from newapi.logs import LogTable
from tests.follower import NOON, Follower
from tests.oracle import used_between

MONTH = Window("channel", ("*",), Rolling(30 * 86400))
WEEK = Window("channel", ("*",), Rolling(7 * 86400))
HOUR = Window("channel", ("*",), Rolling(3600))
QUARTER = Window("channel", ("*",), Rolling(900))


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[Follower]:
    follower = Follower(f"sqlite:///{tmp_path}/one-api.db", tmp_path / "state")
    yield follower
    follower.close()


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """One query of a fill in each poll."""
    monkeypatch.setattr("exporter.poll.FILL_FOR", 0)


def shown(follower: Follower, window: Window = MONTH) -> int:
    used = follower.ledger.used(window).now
    return sum(amounts.get("tokens", 0) for amounts in used.values())


def by_sql(follower: Follower, window: Window = MONTH) -> int:
    used = used_between(follower.database, "gateway", window.first(follower.now), 1e12)
    return sum(each.tokens for each in used.values())


def history(follower: Follower, days: int = 40, **values: Any) -> None:
    follower.write(*({"created_at": NOON - 86400 * day} for day in range(days)), **values)


def test_a_rule_that_is_added_looks_thirty_days_back(follower: Follower) -> None:
    history(follower)
    follower.poll()
    for _ in range(5):
        follower.write({})
        follower.poll(2)
    follower.poller.follow([MONTH])
    follower.write({})
    follower.poll(2)
    assert follower.filler.complete(MONTH)
    assert shown(follower) == by_sql(follower) == 50 * 36


@pytest.mark.usefixtures("slowly")
def test_rows_come_while_it_is_filled_and_it_is_killed_in_the_middle(follower: Follower) -> None:
    history(follower)
    follower.poll()
    follower.windows = [MONTH, WEEK]
    follower.poller.follow(follower.windows)
    parts = []
    for step in range(200):
        follower.write({})
        follower.poll(1)
        assert shown(follower) <= by_sql(follower)
        parts.append(follower.filler.filled(MONTH))
        if step == 6:
            assert 0 < parts[-1] < 1
            follower.restart()
        elif not follower.filler.busy:
            break
    assert parts[-1] == 1 > parts[5]
    assert parts[7] < parts[5]  # what was not finished begins anew
    assert shown(follower) == by_sql(follower)
    assert shown(follower, WEEK) == by_sql(follower, WEEK)


@pytest.mark.usefixtures("slowly")
def test_a_rule_that_is_added_or_goes_lets_the_fill_of_others_go_on(follower: Follower) -> None:
    history(follower)
    follower.poller.follow([WEEK])
    while not follower.filler.complete(WEEK):
        follower.poll(1)
    follower.poller.follow([WEEK, MONTH])
    for _ in range(6):
        follower.poll(1)
    reached = follower.filler.filled(MONTH)
    assert 0 < reached < 1
    follower.poller.follow([MONTH])
    follower.poll(1)
    assert follower.filler.filled(MONTH) >= reached
    while follower.filler.busy:
        follower.poll(1)
    assert shown(follower) == by_sql(follower)


@pytest.mark.usefixtures("slowly")
def test_a_short_window_does_not_wait_for_a_long_one(follower: Follower) -> None:
    history(follower)
    follower.poller.follow([MONTH, QUARTER])
    follower.poll(1)
    follower.poll(1)
    assert follower.filler.complete(QUARTER)
    assert shown(follower, QUARTER) == by_sql(follower, QUARTER)
    for _ in range(4):
        follower.poll(1)
    reached = follower.filler.filled(MONTH)
    assert 0 < reached < 1
    follower.poller.follow([MONTH, QUARTER, HOUR])
    for _ in range(3):
        follower.poll(1)
    assert follower.filler.complete(HOUR)  # added later, and complete sooner
    assert reached <= follower.filler.filled(MONTH) < 1
    while follower.filler.busy:
        follower.poll(1)
    for window in (MONTH, QUARTER, HOUR):
        assert shown(follower, window) == by_sql(follower, window)


def test_what_was_counted_for_a_whole_period_needs_no_fill(
    follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower.poll()
    monkeypatch.setattr(LogTable, "since", _fails)
    follower.poller.follow([MONTH, QUARTER])
    for _ in range(970 // 10):
        follower.write({})
        follower.poll(10)
    assert follower.filler.complete(QUARTER)
    assert not follower.filler.complete(MONTH)
    assert shown(follower, QUARTER) == by_sql(follower, QUARTER) > 0


def _fails(*_: object) -> None:
    raise OperationalError("SELECT", {}, Exception("interrupted"))


@pytest.mark.parametrize("jump", [3600, -3600, 86400, -86400, 3 * 86400])
def test_a_clock_that_jumps_and_is_set_right_loses_nothing(follower: Follower, jump: int) -> None:
    """Gateway and exporter have a clock each; it is the exporter's that is wrong for a while."""
    history(follower, days=3)
    day = Window("channel", ("*",), Day(follower.zone))
    follower.windows = [HOUR, day]
    follower.poller.follow(follower.windows)
    follower.poll()
    for _ in range(3):
        follower.write({})
        follower.poll(2)
    follower.set_clock(jump)
    for _ in range(5):
        follower.write({"created_at": int(follower.now) - jump})
        follower.poll(2)
        follower.ledger.expire()
    follower.set_clock(-jump)
    for _ in range(3):
        follower.write({})
        follower.poll(2)
    assert shown(follower, HOUR) == by_sql(follower, HOUR) == 50 * (1 + 3 + 5 + 3)
    assert shown(follower, day) == by_sql(follower, day)
    assert follower.filler.today_complete
    assert sum(follower.ledger.today()["newapi_today_requests"].values()) == 12


def test_a_query_that_fails_keeps_nothing_from_being_counted(
    follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    history(follower)
    follower.poll()
    asked: list[int] = []

    def fails(_table: LogTable, _connection: object, start: int, end: int, *_: object) -> None:
        asked.append(end - start)
        raise OperationalError("SELECT", {}, Exception("interrupted"))

    follower.poller.follow([MONTH])
    with monkeypatch.context() as patch:
        patch.setattr(LogTable, "since", fails)
        for n in range(1, REST + 2):
            follower.write({})
            follower.poll(2)
            assert follower.sum() == n
            assert follower.status.counted_until == follower.now
    assert len(asked) == 3  # it rests in between
    assert asked == sorted(set(asked), reverse=True)  # and asks for less each time
    assert follower.status.errors["fill"] == len(asked)
    assert not follower.filler.complete(MONTH)
    follower.poll(REST)
    while follower.filler.busy:
        follower.poll(2)
    assert shown(follower) == by_sql(follower)


@pytest.mark.usefixtures("slowly")
@pytest.mark.parametrize("kept", [0, 20])
def test_ids_that_start_again_while_it_is_filled_double_nothing(
    follower: Follower, kept: int
) -> None:
    """SQLite gives ids anew once the newest rows are deleted; so does a backup that is restored."""
    history(follower)
    follower.poll()
    follower.write({})
    follower.poller.follow([MONTH])
    for _ in range(6):
        follower.poll(1)
    assert 0 < follower.filler.filled(MONTH) < 1
    follower.execute(f"DELETE FROM logs WHERE id > {kept}")
    for _ in range(60):
        follower.write({"created_at": int(follower.now) + 1}, {"created_at": NOON - 3600})
        follower.poll(2)
        assert shown(follower) <= by_sql(follower)
    while follower.filler.busy:
        follower.poll(2)
    assert shown(follower) <= by_sql(follower)
    assert shown(follower) >= by_sql(follower) - 50 * kept


def test_a_full_page_is_asked_for_again_in_smaller_pieces(
    follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.fill.LIMIT", 7)
    follower.write(*({"created_at": NOON - 9000 + second // 20} for second in range(400)))
    follower.poll()
    follower.poller.follow([MONTH])
    for _ in range(50):
        follower.poll(2)
    assert follower.filler.complete(MONTH)
    assert shown(follower) == by_sql(follower) == 400 * 50
