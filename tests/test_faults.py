"""What breaks around the programs while they run: what one sees, and that nothing is lost."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest
import requests
from sqlalchemy import create_engine, text

from demo.load import load
from newapi.dsn import parse_dsn
from tests.follower import NOON, Follower
from tests.gateway import gateway_at
from tests.gateway_channels import add_channel, tables
from tests.oracle import differences, newapi_sums
from tests.programs import Breaker, Exporter, Program
from tests.servers import MariaDB, Postgres
from tests.servers.process import wait_until
from tests.webhooks import raw_alert, webhook

TOKEN = "a-token-of-the-tests"


@contextmanager
def full_disk(program: Program) -> Iterator[None]:
    """Let no file of a running program grow, as on a disk that is full."""
    state = Path(program.settings[program.keeps])
    largest = max(path.stat().st_size for path in state.rglob("*") if path.is_file())
    # Each of its files has some room up to the size of the largest; its log is not among them.
    limits = resource.prlimit(program.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(program.pid, resource.RLIMIT_FSIZE, (largest, limits[1]))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # it was killed meanwhile
            resource.prlimit(program.pid, resource.RLIMIT_FSIZE, limits)


def caught_up(exporter: Exporter, dsn: str) -> None:
    """Wait until every counter is what SQL says."""
    expected = newapi_sums(dsn)
    wait_until(lambda: differences(exporter.metrics(), expected) == [], 30, "all is counted")


def post(breaker: Breaker) -> int:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    url = f"{breaker.url}/alerts"
    return requests.post(url, json=webhook(raw_alert()), headers=headers, timeout=15).status_code


def test_a_full_disk_under_the_exporter_loses_nothing(gateway_url: str) -> None:
    with (
        gateway_at(gateway_url),
        Exporter({"SQL_DSN": gateway_url, "POLL_INTERVAL": "1"}) as exporter,
    ):
        load(parse_dsn(gateway_url), rows=3000)
        caught_up(exporter, gateway_url)
        saved = exporter.metrics()["newapi_requests_total"]
        with full_disk(exporter):
            load(parse_dsn(gateway_url), rows=20_000)
            wait_until(lambda: "state: " in exporter.get("/-/ready").text, 30)
            shown = exporter.metrics()["newapi_requests_total"]
            assert all(shown[series] >= value for series, value in saved.items())
            exporter.stop(crash=True)
        exporter.start()
        caught_up(exporter, gateway_url)


def test_a_full_disk_under_the_breaker_is_told_and_trips_later(mariadb: MariaDB) -> None:
    dsn = mariadb.create_database("full_breaker")
    with (
        gateway_at(dsn) as database,
        Breaker({"SQL_DSN": dsn, "BREAKER_TOKEN": TOKEN}) as breaker,
    ):
        add_channel(database, 7)
        with full_disk(breaker):
            # Without a record nothing is done.
            assert [post(breaker) for _ in range(3)] == [503, 503, 503]
            assert tables(database, 7)[0] == 1
            said = wait_until(lambda: (a := breaker.get("/-/ready")).status_code == 503 and a.text)
            assert str(said).startswith("BREAKER_STATE: ")
            assert "record.sqlite: " in str(said)
        wait_until(lambda: post(breaker) == 200, 30)
        assert tables(database, 7)[0] == 2
        wait_until(lambda: breaker.get("/-/ready").ok)
        assert breaker.get("/metrics").ok
    mariadb.drop_database("full_breaker")


class ReadOnly(NamedTuple):
    """A gateway on a server that can be made to take reads only, as after a failover."""

    dsn: str
    root: str
    turn: Callable[[bool], None]


@pytest.fixture(params=["mariadb", "postgres"])
def read_only(request: pytest.FixtureRequest) -> Iterator[ReadOnly]:
    server: MariaDB | Postgres = request.getfixturevalue(request.param)
    root = server.create_database("read_only")
    dsn = root
    if isinstance(server, MariaDB):  # root may write all the same
        server.execute("CREATE USER writer", "GRANT ALL ON read_only.* TO writer")
        dsn = root.replace("root@", "writer@")

    def turn(on: bool) -> None:
        if isinstance(server, MariaDB):
            server.execute(f"SET GLOBAL read_only = {int(on)}")
            return
        server.execute(
            f"ALTER DATABASE read_only SET default_transaction_read_only = {'on' if on else 'off'}",
            # Sessions end, as in a failover.
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'read_only'",
        )

    yield ReadOnly(dsn, root, turn)
    turn(False)
    if isinstance(server, MariaDB):
        server.execute("DROP USER writer")
    server.drop_database("read_only")


def test_a_database_that_turns_read_only_is_told_and_trips_later(read_only: ReadOnly) -> None:
    settings = {"SQL_DSN": read_only.dsn, "BREAKER_TOKEN": TOKEN}
    with gateway_at(read_only.root) as database:
        add_channel(database, 7)
        with Breaker(settings) as breaker, Exporter({"SQL_DSN": read_only.dsn}) as exporter:
            read_only.turn(True)
            assert post(breaker) == 503
            said = wait_until(lambda: (a := breaker.get("/-/ready")).status_code == 503 and a.text)
            assert "read-only" in str(said)
            assert exporter.get("/-/ready").ok
            read_only.turn(False)
            wait_until(lambda: post(breaker) == 200, 20)
            wait_until(lambda: breaker.get("/-/ready").ok)
        assert tables(database, 7)[0] == 2


def test_a_breaker_that_starts_on_a_database_that_is_read_only_waits(read_only: ReadOnly) -> None:
    settings = {"SQL_DSN": read_only.dsn, "BREAKER_TOKEN": TOKEN}
    with gateway_at(read_only.root) as database:
        add_channel(database, 7)
        read_only.turn(True)
        with Breaker(settings, "/-/healthy") as breaker:
            wait_until(lambda: "read-only" in breaker.get("/-/ready").text)
            assert post(breaker) == 503
            read_only.turn(False)
            wait_until(lambda: breaker.get("/-/ready").ok)
            wait_until(lambda: post(breaker) == 200, 20)
        assert tables(database, 7)[0] == 2


@contextmanager
def slow(dsn: str, *tables: str) -> Iterator[None]:
    """Let no statement on some tables come to its end meanwhile.

    For a program this is a query of 30 s: it hears nothing until its own limit, 10 s by default,
    and shorter here, so that the same is seen in less time.
    """
    engine = create_engine(parse_dsn(dsn))
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            locks = f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE"
        else:
            locks = f"LOCK TABLES {', '.join(f'{table} WRITE' for table in tables)}"
        connection.execute(text(locks))
        yield
        if engine.dialect.name != "postgresql":
            connection.execute(text("UNLOCK TABLES"))
        connection.rollback()
    engine.dispose()


SERVERS = pytest.mark.parametrize("gateway_url", ["mariadb", "postgres"], indirect=True)


@SERVERS
def test_statements_that_take_too_long_are_ended_and_nothing_is_lost(gateway_url: str) -> None:
    settings = {"SQL_DSN": gateway_url, "POLL_INTERVAL": "1", "DB_STATEMENT_TIMEOUT": "1"}
    with gateway_at(gateway_url), Exporter(settings) as exporter:
        load(parse_dsn(gateway_url), rows=500)
        caught_up(exporter, gateway_url)
        before = exporter.metrics()["newapi_requests_total"]
        with slow(gateway_url, "logs"):
            wait_until(lambda: "log table: " in exporter.get("/-/ready").text, 30)
            assert exporter.metrics()["newapi_requests_total"] == before  # it waits for nobody
        load(parse_dsn(gateway_url), rows=500)
        caught_up(exporter, gateway_url)
        assert exporter.get("/-/ready").ok


@SERVERS
def test_a_slow_database_is_told_and_trips_later(gateway_url: str) -> None:
    settings = {"SQL_DSN": gateway_url, "BREAKER_TOKEN": TOKEN, "DB_STATEMENT_TIMEOUT": "1"}
    with gateway_at(gateway_url) as database, Breaker(settings) as breaker:
        add_channel(database, 7)
        with slow(gateway_url, "channels", "abilities"):
            assert post(breaker) == 503
            said = wait_until(
                lambda: (a := breaker.get("/-/ready")).status_code == 503 and a.text, 20
            )
            assert str(parse_dsn(gateway_url).database) in str(said)
        assert tables(database, 7)[0] == 1
        wait_until(lambda: post(breaker) == 200, 20)
        wait_until(lambda: breaker.get("/-/ready").ok)
        assert tables(database, 7)[0] == 2


@pytest.mark.parametrize("jump", [3600, -3600])
def test_a_clock_that_jumps_an_hour_loses_and_doubles_nothing(tmp_path: Path, jump: int) -> None:
    (tmp_path / "one-api.db").touch()
    follower = Follower(f"sqlite:///{tmp_path}/one-api.db", tmp_path / "state")
    follower.poller.poll()
    for step in range(6):
        follower.now += 2
        follower.set_clock(jump if step == 2 else -jump if step == 4 else 0)
        follower.write({"created_at": NOON + 2 * step}, {"created_at": NOON + 2 * step})
        follower.poller.poll()
    counted = follower.ledger.sums()["newapi_requests_total"]
    assert sum(counted.values()) == 12
    assert follower.status.reasons() in ([], [
        "the inventory is being read for the first time since the start"
    ])  # fmt: skip
    follower.state.close()
