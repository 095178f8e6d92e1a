"""Data source names: in every form that the gateways take, whatever stands in the password."""

from urllib.parse import quote

import psycopg
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from sqlalchemy import text

from newapi.database import Database
from newapi.dsn import DsnError, parse_dsn, redacted
from tests.servers import Postgres

# What a person can type into an .env file: no line breaks, no NUL.
_TYPED = st.characters(exclude_categories=["C", "Zl", "Zp"])
PASSWORDS = st.text(_TYPED, min_size=1, max_size=30)
AWKWARD = st.text(st.sampled_from("ab@:/?#%&=()[]+ \"'\\$é密"), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("dsn", "driver", "host", "port", "database", "query"),
    [
        ("root:pw@tcp(db:3307)/new-api", "mysql+pymysql", "db", 3307, "new-api", {}),
        ("root:pw@tcp(db)/oneapi?charset=utf8mb4&loc=Asia%2FShanghai", "mysql+pymysql", "db", 3306,
         "oneapi", {}),
        ("root:pw@/oneapi", "mysql+pymysql", "127.0.0.1", 3306, "oneapi", {}),
        ("root:pw@tcp([fd00::1]:3307)/db", "mysql+pymysql", "fd00::1", 3307, "db", {}),
        ("root:pw@tcp(:3307)/db?tls=true", "mysql+pymysql", "127.0.0.1", 3307, "db",
         {"ssl": "verify"}),
        ("root:pw@tcp(db:1)/my%20db?tls=skip-verify", "mysql+pymysql", "db", 1, "my db",
         {"ssl": "any"}),
        ("root:pw@unix(/run/my/s.sock)/db", "mysql+pymysql", None, None, "db",
         {"unix_socket": "/run/my/s.sock"}),
        ("mysql://root:pw@db/oneapi", "mysql+pymysql", "db", 3306, "oneapi", {}),
        ("MySQL://root:pw@[::1]:3307/oneapi?ssl=verify", "mysql+pymysql", "::1", 3307, "oneapi",
         {"ssl": "verify"}),
        ("postgres://root:pw@db/new-api?sslmode=require&TimeZone=UTC", "postgresql+psycopg", "db",
         5432, "new-api", {"sslmode": "require"}),
        ("postgresql://root:pw@db:6543/new%20api", "postgresql+psycopg", "db", 6543, "new api",
         {}),
    ],
)  # fmt: skip
def test_each_form_of_a_server_is_read(
    dsn: str, driver: str, host: str | None, port: int | None, database: str, query: dict[str, str]
) -> None:
    url = parse_dsn(f"  {dsn}\n")
    assert (url.drivername, url.username, url.password) == (driver, "root", "pw")
    assert (url.host, url.port, url.database, dict(url.query)) == (host, port, database, query)


@pytest.mark.parametrize(
    ("dsn", "file"),
    [
        ("", "/data/one-api.db"),
        ("local", "/data/one-api.db"),
        ("sqlite:////srv/a b@c.db", "/srv/a b@c.db"),
        ("sqlite:///here.db?cache=shared", "here.db"),
    ],
)
def test_sqlite_is_a_path_without_parameters(dsn: str, file: str) -> None:
    url = parse_dsn(dsn, "/data/one-api.db?_busy_timeout=30000")
    assert (url.get_backend_name(), url.database) == ("sqlite", file)
    assert redacted(url) == f"SQLite {file}"


def test_an_empty_path_is_the_gateways_default() -> None:
    assert parse_dsn("", "").database == "one-api.db"


@given(PASSWORDS | AWKWARD)
@example("a/b@c:d?e")
@example("//begins-like-a-url")
def test_the_gateways_mysql_form_takes_any_password_as_it_stands(password: str) -> None:
    url = parse_dsn(f"root:{password}@tcp(db:3306)/oneapi?charset=utf8mb4")
    assert (url.username, url.password) == ("root", password)
    assert (url.host, url.port, url.database) == ("db", 3306, "oneapi")
    assert redacted(url) == "MySQL db:3306/oneapi"


@given(PASSWORDS | AWKWARD, st.sampled_from(["mysql", "mariadb", "postgres", "postgresql"]))
def test_a_url_takes_any_password_that_is_percent_encoded(password: str, scheme: str) -> None:
    url = parse_dsn(f"{scheme}://{quote('müller', safe='')}:{quote(password, safe='')}@db/oneapi")
    assert (url.username, url.password) == ("müller", password)
    assert (url.host, url.database) == ("db", "oneapi")


@given(st.text(st.sampled_from("ab@:/!$+é密"), min_size=1, max_size=12))
@example("p@ss")
@example("a/b@c")
def test_a_url_takes_a_password_with_unencoded_signs_as_go_does(password: str) -> None:
    url = parse_dsn(f"postgres://root:{password}@db:5433/oneapi?sslmode=disable")
    assert (url.username, url.password) == ("root", password)
    assert redacted(url) == "PostgreSQL db:5433/oneapi"


@pytest.mark.parametrize(
    ("dsn", "reason"),
    [
        ("root:geheim@localhost", "not a data source name"),
        ("root:ge/heim@localhost", "not a data source name"),
        ("root:geheim@tcp(db:3306)/", "names no database"),
        ("root:geheim@udp(db:3306)/db", "neither tcp nor unix"),
        ("root:geheim@tcp(db:port)/db", "host:port"),
        ("root:geheim@tcp(db:70000)/db", "1..65535"),
        ("mysql://root:geheim@db:65536/db", "1..65535"),
        ("postgres://root:geheim@db:0/db", "1..65535"),
        ("postgres://root:geheim@db:port/db", "not a URL that can be read"),
        ("postgres://root:geheim@db", "names no database"),
        ("oracle://root:geheim@db/db", "neither tcp nor unix"),
        ("clickhouse://root:geheim@db/db", "ClickHouse is not supported"),
        ("https://root:geheim@db/db", "ClickHouse is not supported"),
        ("sqlite://", "names no file"),
    ],
)
def test_what_cannot_be_read_is_refused_without_repeating_it(dsn: str, reason: str) -> None:
    with pytest.raises(DsnError, match=reason) as caught:
        parse_dsn(dsn)
    assert "geheim" not in str(caught.value)


@given(st.text(max_size=40) | st.from_regex(r"\A[a-z]{0,9}://[a-z@:/?%\[\]()]{0,20}\Z"))
def test_any_text_is_read_or_refused(dsn: str) -> None:
    try:
        url = parse_dsn(dsn)
    except DsnError:
        return
    assert url.database
    assert url.get_backend_name() in {"mysql", "postgresql", "sqlite"}


@given(PASSWORDS, st.sampled_from(["root:{}@tcp(db:3306)/oneapi", "postgres://root:{}@db/oneapi"]))
def test_a_password_is_not_in_the_name_for_people(password: str, form: str) -> None:
    mark = f"geheim{password}"
    assume("?" not in password or form.startswith("root"))
    try:
        name = redacted(parse_dsn(form.format(mark)))
    except DsnError as error:
        name = str(error)
    assert "geheim" not in name


@pytest.mark.parametrize("schema", ["gate way", "back\\slash"])
def test_the_search_path_of_the_gateways_url_is_kept(postgres: Postgres, schema: str) -> None:
    dsn, quoted = postgres.create_database("elsewhere"), f'"{schema}"'
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {quoted}".encode())
    database = Database(parse_dsn(f"{dsn}?search_path={quote(quoted)}"))
    with database.connect() as connected:
        assert connected.execute(text("SELECT current_schema()")).scalar() == schema
    database.close()
    postgres.drop_database("elsewhere")
