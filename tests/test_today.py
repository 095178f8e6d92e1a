"""The natural day: by the log row's own time, in a zone, also where clocks are changed."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.follower import Follower

Make = Callable[..., Follower]

TOKENS = "newapi_today_tokens"


@pytest.fixture
def make(gateway_url: str, tmp_path: Path) -> Iterator[Make]:
    made: list[Follower] = []

    def begin(moment: str, zone: str) -> Follower:
        follower = Follower(gateway_url, tmp_path / "state", zone=zone)
        follower.now = at(moment, zone)
        made.append(follower)
        return follower

    yield begin
    for follower in made:
        follower.close()


def at(moment: str, zone: str) -> float:
    return datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo(zone)).timestamp()


def tokens(follower: Follower) -> int:
    return sum(follower.ledger.today().get(TOKENS, {}).values())


def spread(follower: Follower, first: float, last: float, step: int) -> list[int]:
    """Write a row every `step` seconds from first to last; gives their times."""
    times = list(range(int(first), int(last) + 1, step))
    follower.write(*({"created_at": time} for time in times))
    return times


def test_started_in_the_middle_of_a_day_it_catches_up(make: Make) -> None:
    zone = "Asia/Shanghai"
    follower = make("2027-03-10T15:00", zone)
    midnight = at("2027-03-10", zone)
    times = spread(follower, midnight - 7200, follower.now, 600)
    today = [time for time in times if time >= midnight]
    follower.poll()
    while not follower.filler.today_complete:
        follower.poll(2)
    assert tokens(follower) == 50 * len(today)
    assert follower.sum() == 0  # the counters begin at the newest row
    follower.write({})
    follower.restart()
    follower.poll(2)
    assert tokens(follower) == 50 * (len(today) + 1)
    assert follower.filler.today_complete


@pytest.mark.parametrize(
    ("zone", "eve", "hours"),
    [
        ("Asia/Shanghai", "2027-03-09", 24),
        ("Europe/Berlin", "2027-03-27", 23),
        ("Europe/Berlin", "2027-10-30", 25),
        ("America/Sao_Paulo", "2027-02-10", 24),
    ],
)
def test_a_day_is_as_long_as_it_is(make: Make, zone: str, eve: str, hours: int) -> None:
    follower = make(f"{eve}T23:00", zone)
    follower.poll()
    midnight = at(eve, zone) + 86400
    times = [midnight + minute * 60 for minute in range(-60, hours * 60 + 60, 30)]
    for time in times:
        follower.now = time
        follower.write({})
        follower.poll()
        begin = midnight if midnight <= time < midnight + hours * 3600 else None
        if begin is not None:
            assert tokens(follower) == 50 * sum(begin <= t <= time for t in times)
    assert tokens(follower) == 50 * sum(t >= midnight + hours * 3600 for t in times)
    follower.ledger.expire()
    follower.restart()
    follower.poll()
    assert tokens(follower) == 50 * sum(t >= midnight + hours * 3600 for t in times)


def test_a_node_whose_clock_is_ahead_writes_into_tomorrow(make: Make) -> None:
    follower = make("2027-01-15T23:59:50", "UTC")
    follower.poll()
    follower.write({"created_at": int(follower.now) + 30}, {})
    follower.poll(2)
    assert tokens(follower) == 50
    follower.poll(60)
    assert tokens(follower) == 50
    follower.write({"created_at": int(follower.now) - 3600})
    follower.poll(2)
    assert tokens(follower) == 50


def test_another_zone_begins_the_day_anew(make: Make) -> None:
    follower = make("2027-01-15T12:00", "UTC")
    follower.poll()
    times = spread(follower, at("2027-01-15T14:00", "UTC") - 7200, follower.now, 600)
    assert times
    follower.poll(2)
    before = tokens(follower)
    follower.zone = ZoneInfo("Pacific/Auckland")  # where it is 01:00 of the next day
    follower.restart()
    for _ in range(3):
        follower.poll(2)
    midnight = at("2027-01-16", "Pacific/Auckland")
    assert tokens(follower) == 50 * sum(time >= midnight for time in times)
    assert before == 50 * len(times)


def test_series_of_a_day_are_limited_and_its_sums_stay_exact(tmp_path: Path) -> None:
    follower = Follower(f"sqlite:///{tmp_path}/one-api.db", tmp_path / "state", limit=2)
    follower.poll()
    for _ in range(2):
        follower.write(*({"model_name": f"m{n}", "token_id": n} for n in range(1, 9)))
        follower.poll(2)
        follower.restart()
        follower.poll(2)
    found = follower.ledger.today()
    assert {metric: len(sums) for metric, sums in found.items()} == {
        **dict.fromkeys(found, 3),
        **{metric: 1 for metric in found if metric.startswith("newapi_user_")},
    }
    assert found[TOKENS]["other", "other"] == 2 * 6 * 50
    assert tokens(follower) == 2 * 8 * 50
    follower.close()
