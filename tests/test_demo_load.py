"""Tables, inventory and bulk rows on every kind of database."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from demo import incidents, inventory, schema, world
from demo.incidents import Incident, Kind
from demo.load import load, prepare
from demo.world import Sizes
from newapi.database import Database, DatabaseError
from newapi.dsn import parse_dsn
from newapi.schema import TABLES, Flavour, inspect

NOW = 1_790_000_000.0
DAY = 86400

CHARGED = """
SELECT coalesce(sum(CASE type WHEN 6 THEN -quota ELSE quota END), 0) FROM logs
WHERE type IN (2, 6) AND token_name <> '模型测试'
"""


def ask(dsn: str, statement: str) -> list[Any]:
    database = Database(parse_dsn(dsn))
    try:
        with database.connect() as connection:
            return list(connection.execute(text(statement)).fetchall())
    finally:
        database.close()


@pytest.mark.parametrize("flavour", list(Flavour))
def test_load_inserts_what_it_says(gateway_url: str, flavour: Flavour) -> None:
    url = parse_dsn(gateway_url)
    schema.create(url, flavour)
    counted = load(url, rows=1500, start=NOW - DAY, end=NOW, batch=400)
    assert counted.total() == 1500
    found = ask(gateway_url, "SELECT type, count(*) FROM logs GROUP BY type")
    assert Counter(dict(map(tuple, found))) == counted
    times = ask(gateway_url, "SELECT min(created_at), max(created_at) FROM logs")[0]
    assert NOW - DAY <= times[0] < NOW - 0.8 * DAY
    assert NOW - 0.1 * DAY < times[1] <= NOW
    for table in ("channels", "tokens", "users"):
        used = ask(gateway_url, f"SELECT sum(used_quota) FROM {table}")[0][0]
        if table != "tokens":  # the playground has no key
            assert used == ask(gateway_url, CHARGED)[0][0]
        else:
            assert used > 0


def test_history_leaves_what_is_left(gateway_url: str) -> None:
    url = parse_dsn(gateway_url)
    schema.create(url)
    load(url, rows=300, start=NOW - DAY, end=NOW)
    before = world.build(Flavour.NEW_API, 1, NOW)
    left = ask(gateway_url, "SELECT remain_quota FROM tokens ORDER BY id")
    assert [row[0] for row in left] == [key.remaining for key in before.keys]
    load(url, rows=300, rate=10_000)
    after = ask(gateway_url, "SELECT sum(remain_quota) FROM tokens")[0][0]
    assert after < sum(key.remaining for key in before.keys)


def test_an_inventory_is_read_back_as_it_was_written(gateway_url: str) -> None:
    url = parse_dsn(gateway_url)
    schema.create(url)
    database = Database(url, writable=True)
    wanted = world.build(Flavour.NEW_API, 5, NOW, Sizes(30, 100, 20))
    with database.begin() as connection:
        inventory.install(connection, wanted, NOW)
    with database.connect() as connection:
        assert inventory.read(connection) == wanted
        assert set(inspect(connection).columns) == set(TABLES)
        # The next channel, key and user that somebody makes get ids of their own.
        if database.dialect == "postgresql":
            assert connection.execute(text("SELECT nextval('tokens_id_seq')")).scalar() == 101
    assert prepare(database, 1, NOW) == wanted
    database.close()


def test_writers_at_the_same_time(gateway_url: str) -> None:
    url = parse_dsn(gateway_url)
    schema.create(url)
    counted = load(url, rows=2000, writers=3, batch=100, linger=0.02, start=NOW - DAY, end=NOW)
    found = ask(gateway_url, "SELECT count(*), count(DISTINCT id) FROM logs")[0]
    assert tuple(found) == (2000, 2000)
    assert counted.total() == 2000


def test_a_rate_is_kept(tmp_path: Path) -> None:
    url = parse_dsn(f"sqlite:///{tmp_path / 'one-api.db'}")
    schema.create(url)
    ticks = iter(range(10_000))
    load(url, rows=500, rate=100_000, clock=lambda: NOW + next(ticks) * 0.01)
    times = ask(f"sqlite:///{tmp_path / 'one-api.db'}", "SELECT DISTINCT created_at FROM logs")
    assert all(NOW <= row[0] <= NOW + 100 for row in times)


def test_the_same_seed_gives_the_same_table(tmp_path: Path) -> None:
    dumps = []
    for name in ("a.db", "b.db"):
        url = parse_dsn(f"sqlite:///{tmp_path / name}")
        schema.create(url)
        load(url, rows=500, seed=3, start=NOW - DAY, end=NOW, batch=50 if name == "a.db" else 500)
        dumps.append(ask(f"sqlite:///{tmp_path / name}", "SELECT * FROM logs ORDER BY id"))
    assert dumps[0] == dumps[1]


def test_tables_are_made_in_an_empty_database_alone(gateway_url: str) -> None:
    url = parse_dsn(gateway_url)
    schema.create(url, Flavour.ONE_API)
    with pytest.raises(DatabaseError, match="not empty, it has abilities"):
        schema.create(url, Flavour.ONE_API)


def test_load_needs_tables(gateway_url: str) -> None:
    with pytest.raises(DatabaseError, match="missing or not granted"):
        load(parse_dsn(gateway_url), rows=1)


def test_a_row_that_is_refused_is_told(tmp_path: Path) -> None:
    dsn = f"sqlite:///{tmp_path / 'one-api.db'}"
    schema.create(parse_dsn(dsn))
    database = Database(parse_dsn(dsn), writable=True)
    with database.begin() as connection:
        connection.execute(text("ALTER TABLE logs RENAME COLUMN ip TO address"))
    database.close()
    with pytest.raises(DatabaseError, match="no column named ip"):
        load(parse_dsn(dsn), rows=10)


def test_incidents_are_read_back_until_they_end(tmp_path: Path) -> None:
    assert incidents.read(tmp_path / "none", NOW) == []
    dead = Incident(Kind.DEAD, channel=3, until=NOW + 10)
    runaway = Incident(Kind.RUNAWAY_KEY, tokens_per_minute=5)
    incidents.start(tmp_path, dead)
    incidents.start(tmp_path, runaway)
    assert incidents.read(tmp_path, NOW) == [dead, runaway]
    assert incidents.read(tmp_path, NOW + 10) == [runaway]
    assert incidents.stop(tmp_path, Kind.RUNAWAY_KEY) == 1
    assert incidents.read(tmp_path, NOW) == [dead]
    (tmp_path / "x.json").write_text('{"kind": "flood"}')
    with pytest.raises(ValueError, match=r"x\.json: not an incident"):
        incidents.read(tmp_path, NOW)


def test_an_incident_finds_its_target() -> None:
    place = world.build(Flavour.NEW_API, 1, NOW)
    runaway = incidents.target(place, Incident(Kind.RUNAWAY_KEY))
    assert (runaway.channel, runaway.key) == (1, world.PINNED_KEY)
    assert incidents.target(place, Incident(Kind.DEAD, channel=5)).channel == 5
    assert incidents.target(place, Incident(Kind.DEAD)).key is None
    assert incidents.costliest(place.channel[1]).name == "gpt-4o"
    for wrong in (Incident(Kind.SLOW, channel=99), Incident(Kind.RUNAWAY_KEY, key=99)):
        with pytest.raises(ValueError, match=r"there is no .* 99"):
            incidents.target(place, wrong)
