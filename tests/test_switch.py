"""Disabling a channel, and the final state of both tables, on each database and flavour."""

import json
import threading

import pytest
from sqlalchemy import column, select, table, text

from newapi.database import Database, DatabaseError, Fault
from newapi.dsn import parse_dsn
from newapi.schema import Flavour, Schema
from newapi.switch import NotVerifiedError, Outcome, Result
from newapi.switch_channel import ChannelSwitch
from tests.gateway_channels import add_channel, make_gateway, schema_of, tables
from tests.servers import MariaDB, Postgres

NOW = 1_800_000_000
REASON = "newapi-breaker 0a1b2c3d: rule budget"
CHANNELS = ChannelSwitch()


def disable(database: Database, number: int) -> Outcome:
    return CHANNELS.disable(database, schema_of(database), number, REASON, NOW)


def test_both_tables_are_written_and_no_other_channel(gateway_url: str) -> None:
    database = make_gateway(gateway_url)
    add_channel(database, 7, other_info='{"status_reason": "old", "kept": [1, "你好"]}')
    add_channel(database, 8)
    outcome = disable(database, 7)
    assert outcome.result is Result.DONE
    assert outcome.state is not None
    assert outcome.state.off
    assert outcome.state.by_breaker
    assert (outcome.state.name, outcome.state.abilities) == ("channel-7", 4)
    status, other_info, enabled = tables(database, 7)
    assert (status, enabled) == (2, [False] * 4)
    assert json.loads(other_info or "") == {
        "status_reason": REASON, "status_time": NOW, "kept": [1, "你好"],
    }  # fmt: skip
    assert tables(database, 8) == (1, None, [True] * 4)
    database.close()


def test_one_api_keeps_no_reason(gateway_url: str) -> None:
    database = make_gateway(gateway_url, Flavour.ONE_API)
    add_channel(database, 7)
    outcome = disable(database, 7)
    assert outcome.result is Result.DONE
    assert outcome.state is not None
    assert outcome.state.reason is None
    assert tables(database, 7) == (2, None, [False] * 4)
    assert disable(database, 7).result is Result.UNTOUCHED
    database.close()


def test_other_info_that_is_no_object_is_replaced(gateway_url: str) -> None:
    database = make_gateway(gateway_url)
    broken = (None, "", "   ", "null", "[1]", "{", '{"a": NaN}', '{"a": 1e999}', "[" * 100_000)
    for number, info in enumerate(broken, 1):
        add_channel(database, number, other_info=info)
    for number in range(1, len(broken) + 1):
        assert disable(database, number).result is Result.DONE
        ours = {"status_reason": REASON, "status_time": NOW}
        assert json.loads(tables(database, number).other_info or "") == ours
    database.close()


def test_a_channel_that_is_off_is_left_as_it_is(gateway_url: str) -> None:
    database = make_gateway(gateway_url)
    reasons = {2: "by hand", 3: "status_code=401", 4: REASON}
    for number, reason in reasons.items():
        info = json.dumps({"status_reason": reason, "status_time": 1})
        add_channel(database, number, status=min(number, 3), other_info=info)
        before = tables(database, number)
        outcome = disable(database, number)
        assert outcome.result is Result.UNTOUCHED
        assert outcome.state is not None
        assert (outcome.state.status, outcome.state.reason) == (min(number, 3), reason)
        assert outcome.state.by_breaker is (number == 4)
        assert tables(database, number) == before
    assert disable(database, 99) == Outcome(Result.NOT_FOUND, None)
    database.close()


def test_of_two_at_once_one_disables(gateway_url: str) -> None:
    database = make_gateway(gateway_url)
    schema = schema_of(database)
    outcomes: list[tuple[str, Outcome]] = []
    for number in range(1, 6):
        add_channel(database, number)
        start = threading.Barrier(2)

        def race(name: str, number: int = number, start: threading.Barrier = start) -> None:
            own = Database(parse_dsn(gateway_url), statement_timeout=5, writable=True)
            start.wait()
            outcomes.append((name, CHANNELS.disable(own, schema, number, name, NOW)))
            own.close()

        threads = [threading.Thread(target=race, args=(name,)) for name in ("a", "b")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (first, one), (_, other) = sorted(
            outcomes[-2:], key=lambda o: o[1].result == Result.UNTOUCHED
        )
        assert (one.result, other.result) == (Result.DONE, Result.UNTOUCHED)
        assert other.state is not None
        assert other.state.reason == first
    database.close()


@pytest.mark.parametrize("gateway_url", ["mariadb", "postgres"], indirect=True)
def test_a_locked_row_is_not_waited_for(gateway_url: str) -> None:
    database = make_gateway(gateway_url)
    add_channel(database, 7)
    schema = schema_of(database)
    hasty = Database(parse_dsn(gateway_url), statement_timeout=0.3, writable=True)
    with database.begin() as connection:
        connection.execute(text("UPDATE channels SET name = 'edited' WHERE id = 7"))
        with pytest.raises(DatabaseError) as caught:
            CHANNELS.disable(hasty, schema, 7, REASON, NOW)
    assert caught.value.fault is Fault.TIMEOUT
    assert tables(database, 7) == (1, None, [True] * 4)
    hasty.close()
    database.close()


@pytest.mark.parametrize("gateway_url", ["mariadb"], indirect=True)
def test_a_write_does_not_wait_long_for_a_lock(gateway_url: str) -> None:
    """The server's default is 50 seconds, and MySQL limits the time of SELECT alone."""
    writable = Database(parse_dsn(gateway_url), statement_timeout=2, writable=True)
    with writable.begin() as connection:
        waits = connection.execute(text("SELECT @@innodb_lock_wait_timeout")).scalar()
    assert waits == 2
    writable.close()


def test_columns_that_are_missing_are_named(gateway_url: str) -> None:
    database = make_gateway(gateway_url)
    schema = schema_of(database)
    for name, absent in (("channels", "status"), ("abilities", "enabled")):
        columns = dict(schema.columns) | {name: schema.columns[name] - {absent}}
        with pytest.raises(DatabaseError, match=f"{name}.{absent} is missing or not granted"):
            CHANNELS.disable(database, Schema(columns, database.dialect), 7, REASON, NOW)
    database.close()


@pytest.mark.parametrize("gateway_url", ["mariadb", "postgres"], indirect=True)
def test_the_account_needs_no_more_than_the_columns_it_writes(
    gateway_url: str, request: pytest.FixtureRequest
) -> None:
    database = make_gateway(gateway_url)
    add_channel(database, 7, other_info="{}")
    name = str(parse_dsn(gateway_url).database)
    kind = request.node.callspec.params["gateway_url"]
    server: MariaDB | Postgres = request.getfixturevalue(kind)
    place = "@'127.0.0.1'" if kind == "mariadb" else ""
    where = f"`{name}`." if kind == "mariadb" else ""
    user = f"breaker_{name}"
    password = (
        "IDENTIFIED BY 'only-for-tests'" if kind == "mariadb" else "PASSWORD 'only-for-tests'"
    )
    server.execute(
        f"CREATE USER {user}{place} {password}",
        f"GRANT SELECT (id, name, status, other_info), UPDATE (status, other_info)"
        f" ON {where}channels TO {user}{place}",
        f"GRANT SELECT (channel_id, enabled), UPDATE (enabled) ON {where}abilities"
        f" TO {user}{place}",
        database=name,
    )
    url = parse_dsn(gateway_url).set(username=user, password="only-for-tests")
    own = Database(url, statement_timeout=5, writable=True)
    assert disable(own, 7).result is Result.DONE
    assert tables(database, 7)[::2] == (2, [False] * 4)
    with pytest.raises(DatabaseError) as caught, own.connect() as connection:
        connection.execute(select(column("key")).select_from(table("channels")))
    assert caught.value.fault is Fault.MISSING
    own.close()
    server.execute(f"DROP OWNED BY {user}" if kind == "postgres" else "DO 0", database=name)
    server.execute(f"DROP USER {user}{place}", database=name)
    database.close()


@pytest.mark.parametrize("gateway_url", ["sqlite"], indirect=True)
def test_a_write_that_did_not_help_is_an_error_of_its_own(gateway_url: str) -> None:
    database = make_gateway(gateway_url)
    add_channel(database, 7)
    with database.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER undo AFTER UPDATE ON abilities WHEN new.model = 'gpt-4o' AND"
            " new.enabled = 0 BEGIN UPDATE abilities SET enabled = 1 WHERE rowid = new.rowid; END"
        )
    with pytest.raises(NotVerifiedError) as caught:
        disable(database, 7)
    assert str(caught.value) == (
        "channel 7 is still in service: its status is 2, and 2 of its 4 abilities are enabled"
    )
    channel = CHANNELS.read(database, schema_of(database), 7)
    assert channel is not None
    assert not channel.off
    database.close()
