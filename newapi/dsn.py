"""Data source names in every form that the gateways take, and as URLs."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

EXPECTED = (
    "user:password@tcp(host:3306)/database, postgres://user:password@host:5432/database, "
    "mysql://..., sqlite:///path, or local"
)

# What follows the last @ of the go-sql-driver form,
# [user[:password]@][net[(address)]]/database[?parameters].
_GO_PLACE = re.compile(
    r"(?P<net>[a-z0-9]*)(?:\((?P<address>[^)]*)\))?/(?P<database>[^/?]*)(?:\?(?P<query>[^/]*))?"
)

# What libpq takes of what may stand in the gateway's URL; the rest is meant for its Go driver.
_LIBPQ = {
    "sslmode", "sslrootcert", "sslcert", "sslkey", "connect_timeout", "application_name",
    "options", "target_session_attrs", "keepalives", "keepalives_idle", "gssencmode",
}  # fmt: skip

_SCHEMES = {"sqlite", "postgres", "postgresql", "mysql", "mariadb"}
_CLICKHOUSE = {"clickhouse", "tcp", "http", "https"}


class DsnError(ValueError):
    """A data source name that cannot be read; its text never repeats the name."""


def parse_dsn(dsn: str, sqlite_path: str = "one-api.db") -> URL:
    """Read a data source name as the gateways do, or as a URL.

    The forms are those of New API's chooseDB (model/main.go, v1.0.0-rc.24): empty or `local` is
    SQLite at `sqlite_path`, whose `?...` part is dropped; `postgres://` and `postgresql://` are
    PostgreSQL; anything else is go-sql-driver's MySQL form. URLs `mysql://` and `sqlite:///`
    are taken as well.

    Returns:
        A URL whose driver is pymysql, psycopg or sqlite3. For MySQL its query holds at most `ssl`
        (`verify` or `any`) and `unix_socket`.

    Raises:
        DsnError: the text has none of these forms.
    """
    text = dsn.strip()
    if not text or text.startswith("local"):
        return URL.create("sqlite", database=_without_query(sqlite_path))
    scheme, separator, rest = text.partition("://")
    if separator and scheme.lower() in _SCHEMES:
        return _from_url(scheme.lower(), rest)
    if separator and scheme.lower() in _CLICKHOUSE:
        raise DsnError("ClickHouse is not supported as a log database")
    return _from_go(text)


def redacted(url: URL) -> str:
    """Name a database for people: without password, without parameters."""
    if url.drivername == "sqlite":
        return f"SQLite {url.database}"
    kind = "MySQL" if url.drivername.startswith("mysql") else "PostgreSQL"
    socket = url.query.get("unix_socket")
    place = socket or f"{url.host or 'localhost'}:{url.port}"
    return f"{kind} {place}/{url.database or ''}"


def _from_url(scheme: str, rest: str) -> URL:
    if scheme != "sqlite":  # as in Go, the last @ separates: a password may hold others
        place, mark, parameters = rest.partition("?")
        credentials, at, place = place.rpartition("@")
        credentials = credentials.replace("@", "%40")
        rest = f"{credentials}{at}{place}{mark}{parameters}"
    try:
        url = make_url(f"{scheme}://{rest}")
    except (ArgumentError, ValueError):
        raise DsnError("not a URL that can be read") from None
    query = {key: value for key, value in url.query.items() if isinstance(value, str)}
    if scheme == "sqlite":
        if not url.database:
            raise DsnError("the URL names no file")
        return URL.create("sqlite", database=_without_query(url.database))
    if scheme in {"postgres", "postgresql"}:
        kept = {key: value for key, value in query.items() if key in _LIBPQ}
        if path := query.get("search_path"):  # a parameter of its own for the gateway's driver
            escaped = re.sub(r"([\\\s])", r"\\\1", path)
            kept["options"] = f"{kept.get('options', '')} -csearch_path={escaped}".strip()
        return _server(url, "postgresql+psycopg", 5432, kept)
    return _server(url, "mysql+pymysql", 3306, _mysql_query(query))


def _server(url: URL, driver: str, port: int, query: Mapping[str, str]) -> URL:
    if not url.database:
        raise DsnError("the URL names no database")
    return URL.create(
        driver, url.username, url.password, url.host or "localhost",
        _port(port if url.port is None else url.port), url.database, query,
    )  # fmt: skip


def _from_go(text: str) -> URL:
    # The last slash and the last @ before it separate, so that a password may hold both.
    head, slash, tail = text.rpartition("/")
    credentials, _, place = head.rpartition("@")
    match = _GO_PLACE.fullmatch(f"{place}{slash}{tail}")
    if match is None:
        raise DsnError("not a data source name of MySQL")
    user, _, password = credentials.partition(":")
    net, address, database = match["net"] or "tcp", match["address"], unquote(match["database"])
    if net not in {"tcp", "tcp4", "tcp6", "unix"}:
        raise DsnError("the network before the address is neither tcp nor unix")
    if not database:
        raise DsnError("it names no database")
    query = _mysql_query(dict(parse_qsl(match["query"] or "")))
    if net == "unix":
        return URL.create(
            "mysql+pymysql", user or None, password or None, None, None, database,
            {**query, "unix_socket": address or "/tmp/mysql.sock"},  # noqa: S108  (go-sql-driver's default)
        )  # fmt: skip
    host, port = _host_port(address or "127.0.0.1:3306")
    return URL.create("mysql+pymysql", user or None, password or None, host, port, database, query)


def _host_port(address: str) -> tuple[str, int]:
    match = re.fullmatch(
        r"(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^:]*))(?::(?P<port>[0-9]{1,5}))?", address
    )
    if match is None:
        raise DsnError("the address has not the form host:port")
    return match["v6"] or match["host"] or "127.0.0.1", _port(int(match["port"] or 3306))


def _port(number: int) -> int:
    if not 0 < number < 65536:
        raise DsnError("the port is not within 1..65535")
    return number


def _mysql_query(query: Mapping[str, str]) -> dict[str, str]:
    """Keep of the Go driver's parameters what concerns the connection: TLS."""
    tls = query.get("tls", "").lower() or query.get("ssl", "").lower()
    if tls in {"true", "1", "verify"}:
        return {"ssl": "verify"}
    if tls in {"skip-verify", "any"}:
        return {"ssl": "any"}
    return {}  # PyMySQL encrypts where the server can, as the Go driver's "preferred"


def _without_query(path: str) -> str:
    return path.partition("?")[0] or "one-api.db"
