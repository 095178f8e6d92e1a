"""The gateway's database as a data source of Grafana: what its provisioning is rendered from."""

from sqlalchemy.engine import URL

_TYPES = {
    "mysql": "mysql",
    "postgresql": "postgres",
    "sqlite": "frser-sqlite-datasource",
}
"""Grafana's own two, and a plug-in; the ids hold in Grafana 9.4 to 13, where 10.3 and later also
name the second grafana-postgresql-datasource."""


def database_source(url: URL) -> dict[str, str]:
    """Give the variable `database` of database.yml.j2.

    Args:
        url: of the gateway's log database, as newapi.dsn.parse_dsn gives it; best an account of
            Grafana's own that reads only what its panels show (docs/dashboards.md).

    Returns:
        type, and path (SQLite) or url (host:port, or the path of a socket), user, password, name,
        tls: for MySQL `verify`, `any` or empty, for PostgreSQL an sslmode.
    """
    kind = url.get_backend_name()
    if kind == "sqlite":
        return {"type": _TYPES[kind], "path": url.database or ""}
    query = {key: value for key, value in url.query.items() if isinstance(value, str)}
    host = f"[{url.host}]" if url.host and ":" in url.host else url.host
    tls = query.get("ssl", "") if kind == "mysql" else query.get("sslmode", "disable")
    return {
        "type": _TYPES[kind],
        "url": query.get("unix_socket") or f"{host}:{url.port}",
        "user": url.username or "",
        "password": url.password or "",
        "name": url.database or "",
        "tls": "require" if tls in {"prefer", "allow"} else tls,
    }
