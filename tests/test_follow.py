"""Every committed row is counted once, whatever happens to the table and to the exporter."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from newapi.logs import LogTable
from tests.follower import NOON, Follower

Make = Callable[..., Follower]


@pytest.fixture
def make(gateway_url: str, tmp_path: Path) -> Iterator[Make]:
    made: list[Follower] = []

    def begin(**settings: Any) -> Follower:
        made.append(Follower(gateway_url, tmp_path / "state", **settings))
        return made[-1]

    yield begin
    for follower in made:
        follower.close()


def ids(*numbers: int) -> list[dict[str, int]]:
    return [{"id": number} for number in numbers]


def test_counting_begins_at_the_newest_row(make: Make) -> None:
    follower = make()
    follower.write(*ids(1, 2, 3))
    follower.poll()
    assert follower.sum() == 0
    follower.write(*ids(4, 5))
    follower.poll(2)
    assert follower.sum() == 2
    assert follower.sum("newapi_tokens_total") == 100


def test_a_row_that_becomes_visible_late_is_counted_once(make: Make) -> None:
    follower = make()
    follower.write(*ids(10))
    follower.poll()
    follower.write(*ids(12, 15))
    follower.poll(2)
    assert follower.sum() == 2
    for age, number in ((3, 14), (30, 11), (27, 13)):
        follower.now += age
        follower.write({"id": number})
        for _ in range(5):
            follower.poll(1)
    assert follower.sum() == 5
    follower.restart()
    follower.poll(100)
    assert follower.sum() == 5
    assert len(follower.ledger.gaps) == 0


@pytest.mark.parametrize("jump", [70, -3600])
def test_a_late_row_is_waited_for_whatever_the_clock_is_set_to(make: Make, jump: int) -> None:
    follower = make()
    follower.write(*ids(1))
    follower.poll()
    follower.write(*ids(3))
    follower.poll(2)
    follower.set_clock(jump)
    follower.poll(2)
    follower.write(*ids(2))
    for _ in range(10):
        follower.poll(3)
    assert follower.sum() == 2


def test_gaps_around_the_id_2_147_483_648_are_looked_for(make: Make) -> None:
    follower = make()
    edge = 2**31
    follower.write(*ids(edge - 5))
    follower.poll()
    follower.write(*ids(edge - 3, edge + 3))
    follower.poll(2)
    follower.write(*ids(edge - 4, edge + 1))
    follower.poll(5)
    assert follower.sum() == 4


def test_a_late_row_is_found_after_a_long_outage(make: Make) -> None:
    follower = make()
    follower.write(*ids(1))
    follower.poll()
    follower.write(*ids(3))
    follower.poll(2)
    follower.write(*ids(2))
    follower.restart()
    follower.poll(5000)
    assert follower.sum() == 2


def test_a_backlog_of_old_rows_is_read_with_its_late_ones(make: Make) -> None:
    follower = make()
    follower.write(*ids(1))
    follower.poll()
    old = NOON - 50_000
    follower.write({"id": 5, "created_at": old}, {"id": 7, "created_at": old})
    follower.poll(2)
    follower.write({"id": 6, "created_at": old})
    follower.poll(59)
    follower.poll(2)
    assert follower.sum() == 3
    follower.poll(2)
    assert len(follower.ledger.gaps) == 0


def test_ids_that_start_again_are_counted(make: Make) -> None:
    follower = make()
    follower.write(*ids(100))
    follower.poll()
    follower.write(*ids(101, 102, 103))
    follower.poll(2)
    follower.execute("DELETE FROM logs")
    follower.poll(2)
    follower.now += 2
    follower.write(*ids(1, 2))
    follower.poll()
    assert follower.sum() == 5
    follower.write(*ids(3))
    follower.poll(2)
    follower.poll(70)
    assert follower.sum() == 6


def test_ids_that_start_again_within_the_same_second(make: Make) -> None:
    follower = make()
    follower.write(*ids(100))
    follower.poll()
    follower.write(*ids(*range(101, 401)))
    follower.poll(2)
    follower.execute("DELETE FROM logs")
    slow = int(follower.now) - 5  # by another node's clock
    follower.write({"id": 1, "created_at": slow}, *ids(2, 3))
    follower.poll()
    assert follower.sum() == 303


def test_a_table_that_was_refilled_past_the_position_between_two_polls(make: Make) -> None:
    follower = make()
    follower.write(*ids(1))
    follower.poll()
    follower.write(*ids(2, 3))
    follower.poll(2)
    follower.execute("DELETE FROM logs")
    follower.now += 2
    follower.write(*ids(1, 2, 3, 4, 5))
    follower.poll()
    assert follower.sum() == 2 + 5


def test_a_primary_that_lost_its_last_rows_gives_their_ids_again(make: Make) -> None:
    follower = make()
    follower.write(*ids(1))
    follower.poll()
    follower.write(*ids(*range(2, 51)))
    follower.poll(2)
    follower.write(*ids(52))
    follower.poll(2)
    follower.write(*ids(51))  # late, out of a gap: it must not be counted again below
    follower.poll(2)
    assert follower.sum() == 51
    follower.execute("DELETE FROM logs WHERE id = 52")
    follower.now += 10
    follower.write(*ids(52, 53))
    follower.poll()
    assert follower.sum() == 53


def test_a_backup_from_before_everything_that_is_remembered(make: Make) -> None:
    follower = make()
    follower.write(*ids(*range(1, 101)), created_at=NOON - 5000)
    follower.poll()
    follower.write(*ids(*range(101, 601)))
    follower.poll(2)
    follower.execute("DELETE FROM logs WHERE id > 50")
    follower.poll(2)
    assert follower.sum() == 500
    follower.now += 10
    follower.write(*ids(51, 52))
    follower.poll()
    assert follower.sum() == 502


def test_a_replica_that_lags_by_more_than_is_remembered(make: Make) -> None:
    """Nothing is counted twice when it gets what was counted, and nothing is missed."""
    follower = make()
    follower.write({"id": 1, "created_at": NOON - 5000})
    follower.poll()
    follower.write(*ids(*range(2, 601), 602))
    follower.poll(2)
    seen = follower.status.counted_until
    follower.execute("CREATE TABLE ahead AS SELECT * FROM logs WHERE id > 300")
    follower.execute("DELETE FROM logs WHERE id > 300")
    follower.poll(2)
    follower.restart()
    follower.poll(70)  # longer than a gap is looked for
    assert follower.sum() == 600
    assert follower.status.counted_until == 0 < seen
    follower.execute("INSERT INTO logs SELECT * FROM ahead")
    follower.write(*ids(601, 603))
    follower.poll(2)
    follower.poll(2)
    assert follower.sum() == 602
    assert follower.status.counted_until == follower.now


def test_rows_deleted_behind_us_change_nothing(make: Make) -> None:
    follower = make()
    follower.write(*ids(1))
    follower.poll()
    follower.write(*ids(2, 3))
    follower.poll(2)
    since = follower.ledger.counting_since
    follower.execute("DELETE FROM logs WHERE id <= 3")
    follower.poll(2)
    follower.now += 5
    follower.write(*ids(4, 6))
    follower.poll()
    follower.write(*ids(5))
    follower.poll(3)
    assert follower.sum() == 5
    assert follower.ledger.counting_since == since


def test_what_may_have_been_missed_while_stopped_is_told(make: Make) -> None:
    follower = make()
    follower.write(*ids(1))
    follower.poll()
    since = follower.ledger.counting_since
    follower.restart()
    follower.poll(10)
    assert follower.ledger.counting_since == since
    follower.execute("DELETE FROM logs")
    follower.restart()
    follower.poll(10)
    assert follower.ledger.counting_since == follower.now
    assert since is not None
    assert since < follower.now


@pytest.mark.parametrize("odd", [4_102_444_800, 2**62])
def test_a_row_of_another_age_does_not_lead_back_to_the_beginning(make: Make, odd: int) -> None:
    follower = make()
    follower.write({"id": 1, "created_at": odd}, {"id": 2, "created_at": NOON - 5000})
    follower.poll()
    follower.write(*ids(*range(3, 903)))
    follower.poll(2)
    assert follower.sum() == 900
    follower.execute("CREATE TABLE ahead AS SELECT * FROM logs WHERE id > 400")
    follower.execute("DELETE FROM logs WHERE id > 400")
    follower.poll(2)
    follower.execute("INSERT INTO logs SELECT * FROM ahead")
    follower.write(*ids(903))
    follower.poll(2)
    assert follower.sum() == 901


def test_counting_goes_on_where_the_newest_row_of_the_start_was_of_another_age(make: Make) -> None:
    follower = make()
    follower.write({"id": 1, "created_at": 4_102_444_800})
    follower.poll()
    follower.write(*ids(*range(2, 400)))
    follower.poll(2)
    follower.execute("DELETE FROM logs")
    follower.write(*ids(1, 2, 3))
    follower.poll(2)
    assert follower.sum() == 398 + 3


def test_what_was_lost_beyond_what_is_remembered_is_told(make: Make) -> None:
    follower = make()
    follower.write({"id": 1, "created_at": NOON - 5000})
    follower.poll()
    since = follower.ledger.counting_since
    follower.write(*ids(*range(2, 1002)))
    follower.poll(2)
    follower.execute("DELETE FROM logs WHERE id > 500")
    follower.poll(2)
    assert follower.ledger.counting_since == since
    follower.write(*ids(501, 502), created_at=NOON + 60)
    follower.poll(60)
    assert follower.sum() == 1002
    assert follower.ledger.counting_since == follower.now


def test_a_first_look_that_fails_does_not_hide_what_may_have_been_missed(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = make()
    follower.write(*ids(1))
    follower.poll()
    follower.execute("DELETE FROM logs")
    follower.restart()

    def fails(*_: object) -> None:
        raise OperationalError("SELECT", {}, Exception("interrupted"))

    with monkeypatch.context() as patch:
        patch.setattr(LogTable, "after", fails)
        follower.poller.poll()
    follower.status.works("log")
    follower.poll(10)
    assert follower.ledger.counting_since == follower.now


def test_failed_requests_that_cannot_be_settled_keep_nothing_from_being_counted(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = make()
    follower.poll()
    follower.write({"type": 5, "request_id": "lost", "other": "{}"})
    follower.poll(2)

    def fails(*_: object) -> None:
        raise OperationalError("SELECT", {}, Exception("interrupted"))

    with monkeypatch.context() as patch:
        patch.setattr(LogTable, "succeeded", fails)
        for _ in range(3):
            follower.write({})
            follower.poll(1000)
            assert follower.status.counted_until == follower.now
    assert follower.sum() == 3
    assert follower.status.errors["settle"] == 3
    assert follower.sum("newapi_failed_requests_total") == 0
    follower.poll(100)
    assert follower.sum("newapi_failed_requests_total") == 1


def test_a_failure_of_tomorrow_is_settled_today(make: Make) -> None:
    follower = make()
    follower.poll()
    failed = {"type": 5, "request_id": "lost", "other": "{}", "created_at": 4_102_444_800}
    follower.write(failed)
    follower.poll(2)
    follower.poll(1000)
    assert follower.sum("newapi_failed_requests_total") == 1


def test_a_request_fails_when_none_of_its_attempts_succeeded(make: Make) -> None:
    follower = make()
    follower.poll()
    error = {"type": 5, "quota": 0, "prompt_tokens": 0, "completion_tokens": 0}
    follower.write(
        {**error, "request_id": "lost", "model_name": "a"},
        {**error, "request_id": "lost", "model_name": "a"},
        {**error, "request_id": "won"},
        {**error, "request_id": "slow"},
        {**error, "request_id": ""},
        {**error, "request_id": "test", "token_id": 0, "token_name": ""},
        {"request_id": "won"},
    )
    follower.poll(2)
    follower.restart()
    follower.poll(890)
    follower.write({"request_id": "slow"})
    assert follower.sum("newapi_failed_requests_total") == 0
    follower.poll(20)
    assert follower.values("newapi_failed_requests_total") == {("a",): 1}
    follower.poll(2000)
    assert follower.sum("newapi_failed_requests_total") == 1
    assert follower.ledger.pending() == []


def test_a_request_that_fails_on_two_pages_of_a_backlog_failed_once(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.pages.PAGE", 4)
    monkeypatch.setattr("exporter.pages.PIECE", 4)
    follower = make()
    follower.poll()
    began = int(follower.now)
    error = {"type": 5, "request_id": "lost", "other": "{}"}
    for seconds, row in ((0, error), (20, {}), (40, {}), (60, {}), (80, error), (3000, {})):
        follower.write({"created_at": began + seconds, **row})
    follower.poll(3600)
    assert follower.sum() == 4
    assert follower.sum("newapi_failed_requests_total") == 1


def test_a_new_series_shows_0_first_and_no_restart_brings_it_back(make: Make) -> None:
    follower = make(hold=20)
    follower.poll()
    follower.write({})
    follower.poll(2)
    assert follower.values("newapi_requests_total") == {(7, "gpt-4o", "user"): 0}
    follower.restart()
    follower.poll(25)  # nobody can have seen the 0 yet
    assert follower.sum() == 0
    follower.stock.read()  # from now on there are pages
    follower.poll(15)
    assert follower.sum() == 0
    follower.poll(5)
    assert follower.sum() == 1
    follower.write({}, {"channel_id": 8})
    follower.restart()
    follower.poll(2)
    assert follower.values("newapi_requests_total") == {
        (7, "gpt-4o", "user"): 2,
        (8, "gpt-4o", "user"): 0,
    }


def test_series_beyond_the_limit_are_folded_and_sums_stay_exact(make: Make) -> None:
    follower = make(limit=2)
    follower.poll()
    follower.write({}, {"channel_id": 8})
    follower.poll(2)
    follower.write({"channel_id": 9}, {"channel_id": 10, "token_name": "t"}, {"channel_id": 8})
    follower.poll(2)
    assert follower.values("newapi_requests_total") == {
        (7, "gpt-4o", "user"): 1,
        (8, "gpt-4o", "user"): 2,
        ("other", "other", "user"): 2,
    }
    durations = follower.values("newapi_request_duration_seconds_bucket")
    assert {labels[:2] for labels in durations} == {
        (7, "gpt-4o"), (8, "gpt-4o"), ("other", "other"),
    }  # fmt: skip
    assert sum(durations.values()) == 5
    assert follower.ledger.folded["newapi_requests_total"] == 2
    follower.restart()
    follower.write({"channel_id": 9})
    follower.poll(2)
    assert follower.values("newapi_requests_total")["other", "other", "user"] == 3


def test_who_is_new_in_the_log_table_is_looked_up_at_once(make: Make) -> None:
    """A rule with "*" covers only what the inventory has shown."""
    follower = make()
    follower.poll()
    follower.stock.read()
    read_at = follower.stock.read_at
    follower.add_channel(9, "New")
    follower.write({"channel_id": 9})
    follower.poll(2)
    follower.stock.read()
    assert follower.stock.read_at == read_at + 2
    assert follower.stock.inventory is not None
    assert [channel.id for channel in follower.stock.inventory.channels] == [9]
    follower.write({"channel_id": 9}, {"channel_id": 9})
    follower.poll(2)
    follower.stock.read()
    assert follower.stock.read_at == read_at + 2


def test_what_was_deleted_is_remembered_for_35_days(make: Make) -> None:
    follower = make()
    follower.add_channel(7, "Main")
    follower.add_channel(8, "Second")
    follower.poll()
    follower.write({}, {"channel_id": 8}, {"channel_id": 9})
    follower.poll(2)
    follower.stock.read()
    follower.execute("DELETE FROM channels WHERE id = 8")
    day = 86400
    for _ in range(34):
        follower.poll(day)
        follower.write({})
        follower.stock.read()
    follower.restart()
    assert follower.ledger.entities["channel", 8].info is not None
    assert {labels[0] for labels in follower.values("newapi_requests_total")} == {7, 8, 9}
    follower.poll(3 * day)
    follower.stock.read()
    assert ("channel", 8) not in follower.ledger.entities
    for metric in ("newapi_requests_total", "newapi_request_duration_seconds_bucket"):
        assert {labels[0] for labels in follower.values(metric)} == {7}
    follower.restart()
    assert {labels[0] for labels in follower.values("newapi_quota_total")} == {7}
    assert follower.sum("newapi_api_key_requests_total") == 37
