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

# The go-sql-driver form, [user[:password]@][net[(address)]]/database[?parameters]. The last slash
# and the last @ before it separate, so that a password may hold both.
_GO_MYSQL = re.compile(
    r"(?s)^(?:(?P<user>[^:]*?)(?::(?P<password>.*))?@)?"
    r"(?:(?P<net>[a-z0-9]*)(?:\((?P<address>[^)]*)\))?)?/(?P<database>[^/?]*)(?:\?(?P<query>[^/]*))?$"
)

# What libpq takes of what may stand in the gateway's URL; the rest is meant for its Go driver.
_LIBPQ = {
    "sslmode", "sslrootcert", "sslcert", "sslkey", "connect_timeout", "application_name",
    "options", "target_session_attrs", "keepalives", "keepalives_idle", "gssencmode",
}  # fmt: skip

_UNSUPPORTED = ("clickhouse://", "tcp://", "http://", "https://")


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
    scheme, separator, _ = text.partition("://")
    if separator and re.fullmatch(r"[a-zA-Z0-9+]+", scheme):
        return _from_url(text, scheme.lower())
    return _from_go(text)


def redacted(url: URL) -> str:
    """Name a database for people: without password, without parameters."""
    if url.drivername == "sqlite":
        return f"SQLite {url.database}"
    kind = "MySQL" if url.drivername.startswith("mysql") else "PostgreSQL"
    socket = url.query.get("unix_socket")
    place = socket or f"{url.host or 'localhost'}:{url.port}"
    return f"{kind} {place}/{url.database or ''}"


def _from_url(text: str, scheme: str) -> URL:
    if any(text.lower().startswith(prefix) for prefix in _UNSUPPORTED):
        raise DsnError("ClickHouse is not supported as a log database")
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise DsnError("not a URL that can be read") from None
    query = {key: value for key, value in url.query.items() if isinstance(value, str)}
    if scheme == "sqlite":
        if not url.database:
            raise DsnError("the URL names no file")
        return URL.create("sqlite", database=_without_query(url.database))
    if scheme in {"postgres", "postgresql"}:
        kept = {key: value for key, value in query.items() if key in _LIBPQ}
        return _server(url, "postgresql+psycopg", 5432, kept)
    if scheme in {"mysql", "mariadb"}:
        return _server(url, "mysql+pymysql", 3306, _mysql_query(query))
    raise DsnError("the scheme of the URL is not known")


def _server(url: URL, driver: str, port: int, query: Mapping[str, str]) -> URL:
    if not url.database:
        raise DsnError("the URL names no database")
    return URL.create(
        driver, url.username, url.password, url.host or "localhost", url.port or port,
        url.database, query,
    )  # fmt: skip


def _from_go(text: str) -> URL:
    head, slash, tail = text.rpartition("/")
    credentials, _, place = head.rpartition("@")
    match = _GO_MYSQL.match(f"{place}{slash}{tail}")
    if not slash or match is None:
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
    match = re.fullmatch(r"(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^:]*))(?::(?P<port>\d{1,5}))?", address)
    if match is None:
        raise DsnError("the address has not the form host:port")
    return match["v6"] or match["host"] or "127.0.0.1", int(match["port"] or 3306)


def _mysql_query(query: Mapping[str, str]) -> dict[str, str]:
    """Keep of the Go driver's parameters what concerns the connection: TLS."""
    tls = query.get("tls", "").lower() or query.get("ssl", "").lower()
    if tls in {"true", "1", "verify"}:
        return {"ssl": "verify"}
    if tls in {"skip-verify", "preferred", "any"}:
        return {"ssl": "any"}
    return {}


def _without_query(path: str) -> str:
    return path.partition("?")[0] or "one-api.db"
