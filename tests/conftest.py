"""Fixtures that all tests share: real databases, started once in each test process."""

import itertools
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import MariaDB, Postgres

_NUMBERS = itertools.count(1)


@pytest.fixture(autouse=True)
def _log_level() -> Iterator[None]:
    """A command that is run in process sets the level of the log; the next test has its own."""
    root = logging.getLogger()
    level = root.level
    yield
    root.setLevel(level)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """A MariaDB server; a test that stops it must start it again."""
    with MariaDB() as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server; a test that stops it must start it again."""
    with Postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "mariadb", "postgres"])
def gateway_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The DSN of a fresh, empty database, on each kind of server in turn."""
    if request.param == "sqlite":
        path = tmp_path / "one-api.db"
        path.touch()
        yield f"sqlite:///{path}"
        return
    server: MariaDB | Postgres = request.getfixturevalue(request.param)
    name = f"gateway{next(_NUMBERS)}"
    yield server.create_database(name)
    if not server.running:
        server.start()
    server.drop_database(name)
