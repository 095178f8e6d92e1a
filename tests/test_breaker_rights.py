"""At start: the statements that may be run are printed, and the account's right to run them."""

import logging
from collections.abc import Iterator

import pytest
from sqlalchemy import event

from newapi.database import Database
from newapi.dsn import parse_dsn
from newapi.schema import Flavour
from tests.breaker import SQLITE, Bench, Make, benches
from tests.gateway import run
from tests.gateway_channels import add_channel, add_key, key_status, make_gateway, tables
from tests.servers import MariaDB, Postgres
from tests.webhooks import KEY, raw_alert

make = pytest.fixture(benches)

CHANNELS = {
    "channels": ("id, name, status, other_info", "status, other_info"),
    "abilities": ("channel_id, enabled", "enabled"),
}
KEYS = {"tokens": ("id, name, status", "status")}


class Account:
    """An account on the server of a gateway, which may read and update columns that are granted."""

    def __init__(self, server: MariaDB | Postgres, dsn: str) -> None:
        self._server = server
        self._name = str(parse_dsn(dsn).database)
        self._mysql = isinstance(server, MariaDB)
        self._user = f"b_{self._name}" + ("@'127.0.0.1'" if self._mysql else "")
        password = "IDENTIFIED BY 'only-for-tests'" if self._mysql else "PASSWORD 'only-for-tests'"
        self._run(f"CREATE USER {self._user} {password}")
        scheme = "mysql" if self._mysql else "postgresql"
        user = f"b_{self._name}:only-for-tests"
        self.dsn = f"{scheme}://{user}@127.0.0.1:{server.port}/{self._name}"

    def grant(self, tables: dict[str, tuple[str, str]]) -> None:
        """Grant SELECT and UPDATE on columns, by table."""
        for table, (reads, writes) in tables.items():
            rights = f"SELECT ({reads}), UPDATE ({writes})" if writes else f"SELECT ({reads})"
            self._run(f"GRANT {rights} ON {self._place(table)} TO {self._user}")

    def close(self) -> None:
        if not self._mysql:
            self._run(f"DROP OWNED BY {self._user}")
        self._run(f"DROP USER {self._user}")

    def _place(self, table: str) -> str:
        return f"`{self._name}`.{table}" if self._mysql else table

    def _run(self, statement: str) -> None:
        self._server.execute(statement, database=self._name)


SERVERS = pytest.mark.parametrize("gateway_url", ["mariadb", "postgres"], indirect=True)


@pytest.fixture
def gateway(gateway_url: str) -> Iterator[Database]:
    database = make_gateway(gateway_url)
    add_channel(database, 7)
    add_key(database, 3)
    yield database
    database.close()


@pytest.fixture
def account(
    gateway: Database, gateway_url: str, request: pytest.FixtureRequest
) -> Iterator[Account]:
    assert gateway.dialect != "sqlite"
    kind = request.node.callspec.params["gateway_url"]
    made = Account(request.getfixturevalue(kind), gateway_url)
    yield made
    made.close()


def ready(bench: Bench) -> str:
    bench.breaker.health.check()
    return bench.client.get("/-/ready").text


def test_the_exact_statements_are_printed(
    gateway: Database, gateway_url: str, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger().setLevel(logging.ERROR)  # whatever LOG_LEVEL says
    bench = make(gateway_url)
    for _ in range(3):
        assert ready(bench) == "ready\n"
    lines = [r.getMessage() for r in caplog.records if "may run" in r.getMessage()]
    # Beside a trip, nothing was written, and nothing else is run when there is one.
    assert tables(gateway, 7)[0] == 1
    statements = [line.partition(": may run: ")[2] for line in lines]
    assert [statement.split()[:2] for statement in statements] == [
        ["UPDATE", "channels"], ["UPDATE", "channels"], ["UPDATE", "abilities"],
        ["UPDATE", "tokens"],
    ]  # fmt: skip
    seen: list[str] = []
    watch(bench.breaker.database, seen)
    bench.post(raw_alert(), raw_alert(KEY))
    assert [tables(gateway, 7)[0], key_status(gateway, 3)] == [2, 2]
    assert sorted(seen) == sorted(statements)


def watch(database: Database, seen: list[str]) -> None:
    """Note each statement that is no SELECT."""

    @event.listens_for(database._writes, "before_cursor_execute")
    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.lstrip().upper().startswith("SELECT"):
            seen.append(" ".join(statement.split()))


@SERVERS
def test_least_rights_are_enough(
    gateway: Database, account: Account, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    account.grant(CHANNELS | KEYS)
    bench = make(account.dsn)
    assert ready(bench) == "ready\n"
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []
    assert bench.post(raw_alert(), raw_alert(KEY)).status_code == 200
    assert (tables(gateway, 7)[0], key_status(gateway, 3)) == (2, 2)
    bench.breaker.hold()
    assert bench.held() == ["api_key 3", "channel 7"]


@SERVERS
@pytest.mark.parametrize(
    ("rights", "expected"),
    [
        ({"abilities": CHANNELS["abilities"]}, "table channels is missing or not granted"),
        ({"channels": CHANNELS["channels"]}, "table abilities is missing or not granted"),
        (CHANNELS | {"channels": ("id, status", "")}, "denied"),
        (CHANNELS | {"channels": ("id, status, other_info", "status")}, "denied"),
        (CHANNELS | {"abilities": ("channel_id, enabled", "")}, "denied"),
    ],
)
def test_a_right_that_is_missing_is_named(
    gateway: Database,
    account: Account,
    make: Make,
    rights: dict[str, tuple[str, str]],
    expected: str,
) -> None:
    account.grant(rights)
    bench = make(account.dsn)
    said = ready(bench)
    assert expected in said
    assert len(said.splitlines()) == 1
    assert "only-for-tests" not in said
    assert bench.post(raw_alert()).status_code == 503
    assert tables(gateway, 7)[0] == 1
    account.grant(CHANNELS)  # what was missing
    assert ready(bench) == "ready\n"
    assert bench.post(raw_alert()).status_code == 200
    assert tables(gateway, 7)[0] == 2


@SERVERS
def test_without_rights_on_keys_channels_are_disabled_all_the_same(
    gateway: Database, account: Account, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    account.grant(CHANNELS)
    bench = make(account.dsn)
    assert ready(bench) == "ready\n"
    warnings = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert ready(bench) == "ready\n"  # it is told once, and not tried at each look
    assert bench.breaker.database.doubts == 1
    [warning] = warnings
    why = "api_keys cannot be disabled: table tokens is missing or not granted"
    # PostgreSQL shows columns that are not granted, so that the statement can be given.
    hint = "; needed: GRANT UPDATE (status) ON tokens" if gateway.dialect == "postgresql" else ""
    assert warning == why + hint
    assert "Without api_keys" in bench.client.get("/").text
    assert bench.post(raw_alert(KEY)).status_code == 503
    assert bench.notices() == ["Failed"]
    assert bench.post(raw_alert()).status_code == 200
    assert (tables(gateway, 7)[0], key_status(gateway, 3)) == (2, 1)


@SQLITE
def test_one_api_that_fights_the_breaker_is_said(
    gateway_url: str, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    database = make_gateway(gateway_url, Flavour.ONE_API)
    run(database, "INSERT INTO options VALUES ('AutomaticEnableChannelEnabled', 'true')")
    ready(make(gateway_url))
    assert sum("AutomaticEnableChannelEnabled is on" in r.getMessage() for r in caplog.records) == 1
    database.close()
