"""The shipped grants: enough for everything that the parts do, and for nothing else."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, text

from demo.load import load
from demo.schema import create
from demo.world import Sizes
from deploy.cli import main as monitor
from newapi import inventory
from newapi.database import Database, DatabaseError
from newapi.dsn import parse_dsn
from newapi.logs import columns_of
from newapi.options import DEFAULTS
from newapi.rights import SECRETS, grants, look
from newapi.schema import TABLES, Flavour
from service.binaries import find
from tests.documents import ROOT
from tests.gateway import put
from tests.grafana_queries import dashboard, fill, statements
from tests.programs import Breaker, Exporter
from tests.servers import MariaDB, Postgres
from tests.servers.process import wait_until
from tests.stack import Stack

GRANTS = ROOT / "deploy" / "grants"
ACCOUNTS = ("monitor_reader", "monitor_breaker", "monitor_grafana")
PASSWORD = "a-password-of-the-tests"
BEGIN, END = 1_790_000_000, 1_790_003_600

RULES = """
rules:
  - name: channel
    type: token_usage
    channel: "*"
    period: 5m
    threshold: 1000
    action: disable_channel
  - name: key
    type: cost
    api_key: "*"
    period: 5m
    threshold: 1
    action: disable_api_key
"""

WRITES: dict[str, set[str]] = {
    "monitor_reader": set(),
    "monitor_breaker": {
        "channels.status", "channels.other_info", "abilities.enabled", "tokens.status",
    },
    "monitor_grafana": set(),
}  # fmt: skip


class Granted(NamedTuple):
    """A gateway whose three accounts have what the files give."""

    server: MariaDB | Postgres
    root: str
    """Its DSN as the server's owner."""
    flavour: Flavour

    @property
    def name(self) -> str:
        return str(parse_dsn(self.root).database)

    def dsn(self, account: str) -> str:
        scheme = "mysql" if isinstance(self.server, MariaDB) else "postgresql"
        return f"{scheme}://{account}:{PASSWORD}@127.0.0.1:{self.server.port}/{self.name}"

    def apply(self, *options: str) -> None:
        """Run what is printed, with the client that the documents name where it is there."""
        kind = "mysql" if isinstance(self.server, MariaDB) else "postgresql"
        printed = CliRunner().invoke(monitor, ["grants", kind, *options])
        assert printed.exit_code == 0
        if isinstance(self.server, Postgres):
            self.server.execute(printed.output, database=self.name)
            return
        place = ["-h127.0.0.1", f"-P{self.server.port}", "-uroot", self.name]
        client = [str(find("mariadb")), "--no-defaults", *place]
        subprocess.run(client, input=printed.output, text=True, check=True, timeout=60)


@pytest.fixture(params=["mariadb", "postgres"])
def server(request: pytest.FixtureRequest) -> Iterator[MariaDB | Postgres]:
    """A server with the accounts, which may nothing yet."""
    found: MariaDB | Postgres = request.getfixturevalue(request.param)
    mysql = isinstance(found, MariaDB)
    how = f"IDENTIFIED BY '{PASSWORD}'" if mysql else f"LOGIN PASSWORD '{PASSWORD}'"
    kind = "USER" if mysql else "ROLE"
    found.execute(*(f"CREATE {kind} {account} {how}" for account in ACCOUNTS))
    yield found
    found.execute(*(f"DROP {kind} IF EXISTS {account}" for account in ACCOUNTS))


def granted_on(server: MariaDB | Postgres, flavour: Flavour, *changes: str) -> Granted:
    made = Granted(server, server.create_database("granted"), flavour)
    create(parse_dsn(made.root), flavour)
    sizes = Sizes(channels=3, keys=4, users=3)
    load(parse_dsn(made.root), rows=300, start=BEGIN, end=END, sizes=sizes)
    server.execute(*changes, database="granted")
    made.apply()
    return made


@pytest.fixture(params=list(Flavour))
def granted(request: pytest.FixtureRequest, server: MariaDB | Postgres) -> Iterator[Granted]:
    yield granted_on(server, request.param)
    server.drop_database("granted")


@pytest.fixture
def new_api(server: MariaDB | Postgres) -> Iterator[Granted]:
    yield granted_on(server, Flavour.NEW_API)
    server.drop_database("granted")


def allowed(database: Database, statement: str) -> bool:
    """Whether a statement that changes nothing is allowed; the server's word, not its tables'."""
    try:
        with database.connect() as connection:
            if database.dialect == "postgresql":  # a default of the account, which anybody may undo
                connection.execute(text("SET default_transaction_read_only = off"))
            connection.execute(text(statement)).close()
    except DatabaseError as error:
        if "denied" in str(error):
            return False
        raise
    return True


def columns(granted: Granted) -> list[tuple[str, str]]:
    """Every column of the gateway's tables."""
    place = "DATABASE()" if isinstance(granted.server, MariaDB) else "current_schema()"
    asked = (
        "SELECT table_name, column_name FROM information_schema.columns"
        f" WHERE table_schema = {place}"
    )
    with closing(Database(parse_dsn(granted.root))) as database, database.connect() as connection:
        found = [(str(row[0]), str(row[1])) for row in connection.execute(text(asked))]
    return [(table, column) for table, column in found if table in TABLES]


def test_what_is_not_granted_is_refused(granted: Granted) -> None:
    mark = "`" if isinstance(granted.server, MariaDB) else '"'
    reads: dict[str, set[str]] = {account: set() for account in ACCOUNTS}
    there = {f"{table}.{column}" for table, column in columns(granted)}
    for account in ACCOUNTS:
        written = set()
        with closing(Database(parse_dsn(granted.dsn(account)), writable=True)) as database:
            for table, column in columns(granted):
                name, quoted = f"{table}.{column}", f"{mark}{column}{mark}"
                if allowed(database, f"SELECT {quoted} FROM {table} LIMIT 1"):
                    reads[account].add(name)
                if allowed(database, f"UPDATE {table} SET {quoted} = NULL WHERE 1 = 0"):
                    written.add(name)
            for table in TABLES:
                assert not allowed(database, f"DELETE FROM {table} WHERE 1 = 0")
                column = next(column for of, column in columns(granted) if of == table)
                values = f"({mark}{column}{mark}) SELECT NULL WHERE 1 = 0"
                assert not allowed(database, f"INSERT INTO {table} {values}")
        assert written == WRITES[account] & there
        assert not reads[account] & {f"{t}.{c}" for t, names in SECRETS.items() for c in names}
    needed = {f"logs.{column}" for column in columns_of(granted.flavour)}
    needed |= {f"{table}.{c}" for table, names in inventory.COLUMNS.items() for c in names}
    needed |= {"tokens.deleted_at", "users.deleted_at"}
    assert reads["monitor_reader"] == needed & there
    assert {name.partition(".")[0] for name in reads["monitor_grafana"]} == {"logs"}


@pytest.mark.parametrize("account", ACCOUNTS)
def test_a_right_too_many_would_be_seen(new_api: Granted, account: str) -> None:
    statements = ("UPDATE users SET quota = 1 WHERE 1 = 0", "DELETE FROM users WHERE 1 = 0")
    with closing(Database(parse_dsn(new_api.dsn(account)), writable=True)) as database:
        assert [allowed(database, statement) for statement in statements] == [False, False]
        more = f"GRANT SELECT, UPDATE, DELETE ON users TO {account}"
        new_api.server.execute(more, database=new_api.name)
        assert [allowed(database, statement) for statement in statements] == [True, True]


def test_the_exporter_shows_all_that_the_owner_of_the_database_sees(
    granted: Granted, tmp_path: Path
) -> None:
    pages = []
    alerts = tmp_path / "alerts.yml"
    alerts.write_text(RULES)
    for dsn in (granted.root, granted.dsn("monitor_reader")):
        with Exporter({"SQL_DSN": dsn, "ALERTS_FILE": str(alerts)}) as exporter:
            pages.append(exporter.metrics() | exporter.metrics("/metrics/alerts"))
            exporter.stop()
            warned = [line for line in exporter.output.splitlines() if "WARNING" in line]
            if dsn == granted.root:
                [line] = warned
                assert "may do more than the exporter needs: read channels.key, " in line
                assert "write to abilities, channels, logs, options, tokens, users" in line
            else:
                assert warned == []
                assert ("missing or not granted" in exporter.output) is (
                    granted.flavour is Flavour.ONE_API
                )
    first, second = ({name: set(samples) for name, samples in page.items()} for page in pages)
    assert first == second
    settings = pages[1]["newapi_option_enabled"]
    assert pages[0]["newapi_option_enabled"] == settings


def test_what_is_not_granted_is_told_as_the_statement_that_grants_it(postgres: Postgres) -> None:
    postgres.execute(
        *(f"CREATE ROLE {account} LOGIN PASSWORD '{PASSWORD}'" for account in ACCOUNTS)
    )
    granted = granted_on(postgres, Flavour.NEW_API)
    taken = 'REVOKE SELECT (name, "group") ON channels FROM monitor_reader'
    postgres.execute(taken, database=granted.name)
    with closing(Database(parse_dsn(granted.dsn("monitor_reader")))) as database:
        for lacking in (['GRANT SELECT (name, "group") ON channels'], []):
            with database.connect() as connection:
                assert grants(look(connection), inventory.COLUMNS, {}) == lacking
            for statement in lacking:
                postgres.execute(f"{statement} TO monitor_reader", database=granted.name)
    postgres.drop_database("granted")
    postgres.execute(*(f"DROP ROLE {account}" for account in ACCOUNTS))


def test_no_option_but_those_of_the_list_can_be_read(new_api: Granted) -> None:
    def options(dsn: str, name: str) -> set[tuple[str, str]]:
        with closing(Database(parse_dsn(dsn))) as database, database.connect() as connection:
            return {(row[0], row[1]) for row in connection.execute(text(f"SELECT * FROM {name}"))}

    saved = options(new_api.root, "options")
    assert "SMTPToken" in dict(saved)
    for account in ("monitor_reader", "monitor_breaker"):
        found = options(new_api.dsn(account), "monitor_options")
        assert found == {option for option in saved if option[0] in DEFAULTS} != set()
    for file in (GRANTS / "mysql.sql", GRANTS / "postgresql.sql"):
        named = file.read_text().replace("''", "'")
        assert [option for option in DEFAULTS if f"'{option}'" not in named] == []


def test_a_statement_of_grafana_has_a_time_limit(new_api: Granted) -> None:
    engine = create_engine(parse_dsn(new_api.dsn("monitor_grafana")))
    mysql = isinstance(new_api.server, MariaDB)
    asked = "SELECT @@max_statement_time" if mysql else "SHOW statement_timeout"
    with engine.connect() as connection:
        assert str(connection.exec_driver_sql(asked).scalar()) in {"10.0", "10.000000", "10s"}
    engine.dispose()


def test_grafana_reads_every_page(granted: Granted) -> None:
    account = parse_dsn(granted.dsn("monitor_grafana"))
    with closing(Database(account)) as database, database.connect() as connection:
        for page in ("logs", "errors", "performance"):
            for title, sql in statements(dashboard("en", page)).items():
                statement = fill(sql, BEGIN, END).replace("%", "%%")
                assert connection.exec_driver_sql(statement).all() is not None, title


def test_the_whole_chain_works_with_them(new_api: Granted) -> None:
    settings = {"BREAKER_SQL_DSN": new_api.dsn("monitor_breaker")}
    database = Database(parse_dsn(new_api.root), writable=True)
    reader = new_api.dsn("monitor_reader")
    with ExitStack() as stack:
        stack.callback(database.close)
        chain = stack.enter_context(Stack(reader, RULES, hurried=True, settings=settings))
        wait_until(lambda: chain.prometheus.query("newapi_alert_rule"), 30, "rules")
        usual = {"created_at": int(time.time()), "type": 2, "user_id": 1, "model_name": "m"}
        rows = (
            {"channel_id": 1, "token_id": 4, "prompt_tokens": 2000, "quota": 1},
            {"channel_id": 3, "token_id": 2, "prompt_tokens": 1, "quota": 5_000_000},
        )
        put(database, "logs", *({**usual, **row} for row in rows))

        def status() -> tuple[int, int, int]:
            with database.connect() as connection:
                channel = "SELECT status FROM channels WHERE id = 1"
                able = "SELECT COUNT(*) FROM abilities WHERE channel_id = 1 AND enabled"
                key = "SELECT status FROM tokens WHERE id = 2"
                found = [connection.execute(text(sql)).scalar() for sql in (channel, able, key)]
            return int(found[0] or 0), int(found[1] or 0), int(found[2] or 0)

        wait_until(lambda: status() == (2, 0, 2), 60, "channel 1 and API key 2 are off")
        texts = wait_until(lambda: chain.telegram.messages()[1:], 60, "two messages")
        assert texts
        chain.breaker.stop()
        lines = chain.breaker.output.splitlines()
        warned = [line for line in lines if "WARNING" in line or "ERROR" in line]
        assert [line for line in warned if ": tripped, trip " not in line] == []


def test_the_breaker_says_that_its_account_may_more(new_api: Granted) -> None:
    with Breaker({"SQL_DSN": new_api.root, "BREAKER_TOKEN": "0123456789abcdef"}) as breaker:
        breaker.stop()
        assert "may do more than the breaker needs: read channels.key, " in breaker.output


def test_it_runs_again_after_an_upgrade(server: MariaDB | Postgres) -> None:
    old = granted_on(server, Flavour.NEW_API, "ALTER TABLE channels DROP COLUMN tag")
    database = Database(parse_dsn(old.root), writable=True)
    with database.begin() as connection:
        connection.execute(text("ALTER TABLE channels ADD COLUMN tag VARCHAR(20)"))
        # What a gateway may do to a column when it is upgraded.
        change = "MODIFY" if database.dialect == "mysql" else "ALTER COLUMN"
        kind = "VARCHAR(9999)" if database.dialect == "mysql" else "TYPE varchar(9999)"
        connection.execute(text(f"ALTER TABLE options {change} value {kind}"))
    with closing(Database(parse_dsn(old.dsn("monitor_reader")))) as reader:
        assert not allowed(reader, "SELECT tag FROM channels")
        old.apply()
        assert allowed(reader, "SELECT tag FROM channels")
        assert allowed(reader, "SELECT value FROM monitor_options")
    database.close()
    server.drop_database("granted")


def test_everything_is_taken_away_again(new_api: Granted) -> None:
    kind = "USER" if isinstance(new_api.server, MariaDB) else "ROLE"
    new_api.apply("--remove")
    new_api.server.execute(f"DROP {kind} {', '.join(ACCOUNTS)}")
    asked = {
        "USER": "SELECT table_name FROM information_schema.tables"
        " WHERE table_schema = DATABASE() AND table_name LIKE 'monitor%'"
        " UNION SELECT routine_name FROM information_schema.routines"
        " WHERE routine_schema = DATABASE() AND routine_name LIKE 'monitor%'",
        "ROLE": "SELECT relname FROM pg_class WHERE relname LIKE 'monitor%'"
        " UNION SELECT proname FROM pg_proc WHERE proname LIKE 'monitor%'"
        " UNION SELECT rolname FROM pg_roles WHERE rolname LIKE 'monitor%'",
    }
    with closing(Database(parse_dsn(new_api.root))) as database, database.connect() as connection:
        assert connection.exec_driver_sql(asked[kind].replace("%", "%%")).all() == []


@pytest.mark.parametrize("collation", ["utf8mb3_unicode_ci", "gbk_chinese_ci"])
def test_any_collation_of_a_mysql_database_will_do(mariadb: MariaDB, collation: str) -> None:
    made = Granted(mariadb, mariadb.create_database("collated"), Flavour.NEW_API)
    mariadb.execute(*(f"CREATE USER {account} IDENTIFIED BY '{PASSWORD}'" for account in ACCOUNTS))
    try:
        create(parse_dsn(made.root))
        mariadb.execute(f"ALTER DATABASE collated COLLATE {collation}")
        made.apply()
        with closing(Database(parse_dsn(made.dsn("monitor_breaker")), writable=True)) as database:
            assert allowed(database, "UPDATE channels SET status = 2 WHERE 1 = 0")
            assert not allowed(database, "SELECT `key` FROM channels")
    finally:
        mariadb.drop_database("collated")
        mariadb.execute(*(f"DROP USER {account}" for account in ACCOUNTS))
