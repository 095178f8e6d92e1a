"""Connections to PostgreSQL: with a limit to every wait, and text whatever bytes it is made of."""

import time
from collections.abc import Generator, Mapping
from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader

# No server-side prepared statements: a pooler between us would mix up their names.
_ARGUMENTS: Mapping[str, Any] = {
    "prepare_threshold": None, "client_encoding": "utf8", "application_name": "newapi-monitor",
}  # fmt: skip

_KEEPALIVE = {
    "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3,
    "tcp_user_timeout": 11_000,
}  # fmt: skip
"""Parameters of libpq: a host that is gone is told after 11 s, not after a quarter of an hour."""

_COMPILES = 110_000
"""The first version of the server that has the setting `jit`."""


def connect(given: Mapping[str, Any], *, patience: float) -> psycopg.Connection[Any]:
    """Connect.

    Args:
        given: parameters of libpq, which have precedence over those of this module.
        patience: seconds after which a server that says nothing is given up.
    """
    connection = _Impatient.connect(**{**_ARGUMENTS, **_KEEPALIVE, **given})
    connection.patience = patience
    return connection


def limit(connection: psycopg.Connection[Any], statement_timeout: float) -> None:
    """Set the session of a new connection up: seconds of a statement, its plans, its encoding."""
    connection.execute(f"SET statement_timeout = {int(statement_timeout * 1000)}".encode())
    # Where there is an index for a question, it is the right way: a planner that has no
    # statistics of the table (after pg_upgrade) would rather walk through all of it. What has
    # to walk all the same then looks too dear to it, and worth compiling.
    connection.execute("SET enable_seqscan = off")
    if connection.info.server_version >= _COMPILES:
        connection.execute("SET jit = off")
    if connection.info.parameter_status("server_encoding") == "SQL_ASCII":
        # Such a database holds whatever bytes the gateway gave it: they come as they are.
        connection.execute("SET client_encoding = SQL_ASCII")
        for kind in ("text", "varchar", "bpchar", "name"):
            connection.adapters.register_loader(kind, _Lenient)
    connection.commit()


class _Impatient(psycopg.Connection[Any]):
    """Gives up a server that says nothing: its statement_timeout needs one that is alive."""

    patience: float | None = None
    """Seconds of one statement."""

    def wait(
        self, gen: Generator[Any, Any, Any], interval: float = 0.1, timeout: float | None = None
    ) -> Any:
        """Wait for the answer to one statement.

        Raises:
            psycopg.errors.ConnectionTimeout: there was none; the connection is closed.
        """
        seconds = timeout or self.patience
        began = time.monotonic()
        try:
            return super().wait(gen, interval, seconds)
        except psycopg.OperationalError:
            if seconds is None or time.monotonic() - began < seconds:
                raise
            self.pgconn.finish()  # it is in the middle of an answer
            raise psycopg.errors.ConnectionTimeout("the server gives no answer") from None


class _Lenient(Loader):
    """Reads text whatever bytes it is made of."""

    def load(self, data: Buffer) -> str:
        return bytes(data).decode(errors="replace")
