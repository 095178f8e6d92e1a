"""What the gateway's database is asked by a poll, as a real server counts it."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pymysql
import pytest

from newapi.logs import PIECE
from tests.bulk import fill
from tests.follower import NOON, Follower
from tests.servers import MariaDB

POOL = {"Com_admin_commands": 1, "Com_rollback": 1}
"""A ping before a connection is used, and a rollback after it."""

Asked = Callable[[Callable[[], object]], dict[str, int]]


@pytest.fixture
def asked(mariadb: MariaDB) -> Iterator[Asked]:
    """Gives what counts the statements that the server carries out meanwhile, by kind."""
    connection = pymysql.connect(host="127.0.0.1", port=mariadb.port, user="root")

    def count() -> Counter[str]:
        with connection.cursor() as cursor:
            cursor.execute("SHOW GLOBAL STATUS LIKE 'Com\\_%'")
            return Counter({name: int(value) for name, value in cursor.fetchall()})

    def ask(work: Callable[[], object]) -> dict[str, int]:
        before = count()
        work()
        return dict(count() - before - Counter(["Com_show_status"]))

    with connection:
        yield ask


@pytest.fixture
def follower(mariadb: MariaDB, tmp_path: Path) -> Iterator[Follower]:
    made = Follower(mariadb.create_database("asked"), tmp_path / "state")
    made.write({})
    made.poll()
    made.poll(2)  # has filled the present day
    yield made
    made.close()
    mariadb.drop_database("asked")


def test_a_poll_asks_once_and_again_for_each_thousand_rows(
    follower: Follower, asked: Asked
) -> None:
    first = 2
    for rows, selects in ((0, 1), (1, 1), (PIECE - 2, 1), (PIECE, 2), (5 * PIECE // 2, 3)):
        if rows:
            fill(follower.database, rows, start=NOON, first=first)
        first += rows
        found = asked(lambda: follower.poll(2))
        assert found == {**POOL, "Com_select": selects}, f"{rows} rows"
    assert follower.sum() == first - 2


def test_the_inventory_is_asked_for_every_15_seconds_and_costs_the_same_with_more_of_it(
    follower: Follower, asked: Asked
) -> None:
    follower.stock.read()

    def look(after: float) -> dict[str, int]:
        follower.now += after
        return asked(follower.stock.read)

    assert look(2) == {}
    few = look(15)
    for number in range(1, 301):
        follower.add_channel(number, f"channel {number}")
    assert look(15) == few
    assert follower.stock.inventory is not None
    assert len(follower.stock.inventory.channels) == 300
    # In two uses: the columns; channels, API keys, users, abilities, options.
    assert few == {name: 2 * uses for name, uses in POOL.items()} | {"Com_select": 6}
