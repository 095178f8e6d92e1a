"""The running gateway obeys its database just as a real one does, in both of its modes."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import URL

from demo import incidents, schema
from demo.gateway import Gateway, Habits
from demo.incidents import Incident, Kind
from demo.load import prepare
from demo.log import CONSUME, ERROR
from demo.routing import Candidate, Mode, Routes
from newapi.database import Database
from newapi.schema import Flavour

NOW = 1_790_000_000.0
SYNC = 5.0


class Place:
    """A gateway on a SQLite file, and its time."""

    def __init__(self, path: Path, flavour: Flavour, **habits: Any) -> None:
        self.control = path.parent / "control"
        self.path = path
        url = URL.create("sqlite", database=str(path))
        schema.create(url, flavour)
        self.database = Database(url, writable=True)
        self.now = NOW
        self.world = prepare(self.database, 1, NOW)
        habits = {"rate": 40.0, "steady": True, "sync_frequency": SYNC, "test_interval": 0} | habits
        self.gateway = Gateway(
            self.database,
            self.world,
            Habits(control=self.control, **habits),
            random.Random(1),
            NOW,
        )

    def pass_time(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now = min(until, self.now + 1)
            self.gateway.step(self.now)

    def write(self, statement: str) -> None:
        with self.database.begin() as connection:
            connection.execute(text(statement))

    def read(self, statement: str) -> list[Any]:
        with self.database.connect() as connection:
            return list(connection.execute(text(statement)).fetchall())

    def value(self, statement: str) -> Any:
        return self.read(statement)[0][0]

    def started(self, where: str) -> list[float]:
        """Give when the requests that match started, as their ids say."""
        found = self.read(f"SELECT request_id FROM logs WHERE {where} AND request_id <> ''")
        return [
            datetime.strptime(row[0][:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()
            for row in found
        ]


Open = Callable[..., Place]


@pytest.fixture
def place() -> Iterator[Open]:
    opened: list[Place] = []
    # A commit a row waits for the disk: thousands of them take minutes on a busy one.
    shared = Path("/dev/shm")
    memory = shared if shared.is_dir() else None
    with TemporaryDirectory(dir=memory) as folder:

        def open_place(flavour: Flavour = Flavour.NEW_API, **habits: Any) -> Place:
            opened.append(Place(Path(folder) / "one-api.db", flavour, **habits))
            return opened[-1]

        yield open_place
        for one in opened:
            one.database.close()


CHANNEL_OFF = "UPDATE channels SET status = 2 WHERE id = 3"
ABILITIES_OFF = "UPDATE abilities SET enabled = 0 WHERE channel_id = 3"


@pytest.mark.parametrize(
    ("mode", "obeyed", "ignored"),
    [
        (Mode.DATABASE, ABILITIES_OFF, CHANNEL_OFF),
        (Mode.CACHE, CHANNEL_OFF, ABILITIES_OFF),
    ],
)
def test_a_disabled_channel_gets_no_new_requests(
    place: Open, mode: Mode, obeyed: str, ignored: str
) -> None:
    here = place(mode=mode)
    here.pass_time(20)
    here.write(ignored)
    here.pass_time(20)
    assert max(here.started("channel_id = 3")) > NOW + 20 + SYNC
    here.write(obeyed)
    disabled = here.now
    here.pass_time(60)
    last = max(here.started("channel_id = 3"))
    assert last <= disabled + (SYNC if mode is Mode.CACHE else 0)
    assert max(here.started("channel_id = 1")) > disabled + 30  # others go on
    # What ran then was written when it ended: open streams go on.
    assert here.value("SELECT max(created_at) FROM logs WHERE channel_id = 3") > disabled


def test_the_cache_is_as_late_as_its_interval(place: Open) -> None:
    here = place(mode=Mode.CACHE, sync_frequency=30.0)
    here.pass_time(5)
    here.write(CHANNEL_OFF)
    here.pass_time(60)
    assert NOW + 20 < max(here.started("channel_id = 3")) <= NOW + 31


@pytest.mark.parametrize("mode", list(Mode))
def test_a_disabled_key_is_refused(place: Open, mode: Mode) -> None:
    here = place(mode=mode)
    here.pass_time(15)
    here.write("UPDATE tokens SET status = 2 WHERE id = 2")
    disabled = here.now
    here.pass_time(40)
    assert max(here.started("token_id = 2")) <= disabled + (SYNC if mode is Mode.CACHE else 0)
    assert here.gateway.counted["refused"] > 0


def test_expired_and_exhausted_keys_are_marked_when_they_are_used(place: Open) -> None:
    here = place(mode=Mode.DATABASE)
    here.write(f"UPDATE tokens SET expired_time = {int(NOW) - 5} WHERE id = 2")
    here.write("UPDATE tokens SET remain_quota = 0, unlimited_quota = 0 WHERE id = 3")
    here.pass_time(10)
    assert here.read("SELECT status FROM tokens WHERE id IN (2, 3) ORDER BY id") == [(3,), (4,)]
    assert not here.started("token_id IN (2, 3)")


def test_a_runaway_key_is_stopped_by_its_channels_status_in_any_mode(place: Open) -> None:
    here = place(mode=Mode.CACHE, sync_frequency=1000.0)
    incidents.start(here.control, Incident(Kind.RUNAWAY_KEY))
    here.pass_time(30)
    tokens = "SELECT sum(prompt_tokens) FROM logs WHERE token_id = 1 AND channel_id = 1"
    assert here.value(tokens) > 5_000_000
    here.write("UPDATE channels SET status = 2 WHERE id = 1")
    disabled = here.now
    here.pass_time(30)
    big = "prompt_tokens > 60000 AND token_id = 1"
    assert max(here.started(big)) <= disabled
    assert incidents.stop(here.control, Kind.RUNAWAY_KEY) == 1


def test_incidents_show_in_the_rows(place: Open) -> None:
    here = place(mode=Mode.DATABASE)
    incidents.start(here.control, Incident(Kind.DEAD, channel=3, until=NOW + 30))
    incidents.start(here.control, Incident(Kind.SLOW, channel=8))
    incidents.start(here.control, Incident(Kind.ERROR_BURST, channel=5))
    here.pass_time(60)
    during = f"created_at <= {int(NOW) + 30}"
    assert not here.started(f"channel_id = 3 AND type = {CONSUME} AND {during}")
    assert here.started(f"channel_id = 3 AND type = {CONSUME} AND NOT {during}")
    refused = f"channel_id = 3 AND type = {ERROR} AND content LIKE '%connection refused'"
    assert len(here.started(refused)) > 50
    errors, good = (
        len(here.started(f"channel_id = 5 AND type = {kind}")) for kind in (ERROR, CONSUME)
    )
    assert errors > 4 * good
    mean = "SELECT avg(use_time) FROM logs WHERE type = 2 AND channel_id = "
    assert here.value(f"{mean} 8") > 3 * here.value(f"{mean} 6")


def test_nothing_is_written_where_no_channel_is_left(place: Open) -> None:
    here = place(mode=Mode.DATABASE)
    here.write("UPDATE abilities SET enabled = 0")
    here.pass_time(20)
    assert not here.read("SELECT id FROM logs WHERE type IN (2, 5)")
    assert here.gateway.counted["no channel"] > 100


def test_balances_follow_the_rows(place: Open) -> None:
    here = place()
    here.pass_time(120)
    here.gateway.flush()
    charged = (
        "(SELECT coalesce(sum(CASE type WHEN 6 THEN -quota ELSE quota END), 0) FROM logs"
        " WHERE type IN (2, 6) AND {0}_id = {1}.id AND token_name <> '模型测试')"
    )
    for table, name in (("channels", "channel"), ("tokens", "token"), ("users", "user")):
        wrong = here.read(
            f"SELECT id FROM {table} WHERE used_quota <> {charged.format(name, table)}"
        )
        assert not wrong
    used = here.read("SELECT remain_quota, used_quota, accessed_time FROM tokens WHERE id = 2")[0]
    assert used[0] + used[1] == here.world.key[2].remaining
    assert used[2] > NOW
    assert here.value("SELECT sum(request_count) FROM users") > 1000


def test_channels_are_tested(place: Open) -> None:
    here = place(test_interval=20.0)
    here.pass_time(60)
    tests = here.read(
        "SELECT channel_id, count(*) FROM logs WHERE token_name = '模型测试' GROUP BY 1"
    )
    assert len(tests) == 11  # all but the disabled one
    assert here.value("SELECT min(test_time) FROM channels WHERE status = 1") > NOW
    assert here.value("SELECT balance FROM channels WHERE id = 8") < 412.37


def test_a_one_api_gateway_runs_as_well(place: Open) -> None:
    here = place(Flavour.ONE_API, test_interval=20.0)
    here.pass_time(60)
    assert {row[0] for row in here.read("SELECT DISTINCT type FROM logs")} >= {2, 5}
    assert here.value("SELECT max(elapsed_time) FROM logs") > 1000


def test_a_database_that_is_away_costs_rows_and_nothing_else(place: Open) -> None:
    here = place()
    here.pass_time(20)
    aside = here.path.with_suffix(".away")
    here.path.rename(aside)
    here.pass_time(10)
    lost = here.gateway.counted["lost"]
    aside.rename(here.path)
    before = here.value("SELECT count(*) FROM logs")
    here.pass_time(20)
    assert lost > 0
    assert here.value("SELECT count(*) FROM logs") > before
    assert here.gateway.counted["lost"] == lost


def test_a_broken_control_file_is_left_alone(place: Open) -> None:
    here = place()
    here.control.mkdir()
    (here.control / "dead.json").write_text("{")
    here.pass_time(5)
    assert here.gateway.written.total() > 0


def test_priority_goes_before_weight() -> None:
    routes = Routes(
        [
            Candidate("default", "m", 1, 10, 0),
            Candidate("default", "m", 2, 10, 30),
            Candidate("default", "m", 3, 5, 100),
        ]
    )
    rng = random.Random(1)
    first = [routes.pick(rng, "default", "m", 0) for _ in range(1000)]
    assert set(first) == {1, 2}
    assert 150 < first.count(1) < 250  # 10 of 50
    assert {routes.pick(rng, "default", "m", retry) for retry in (1, 2, 3)} == {3}
    assert routes.pick(rng, "vip", "m", 0) is None
    assert routes.serves("default", "m") == (1, 2, 3)
