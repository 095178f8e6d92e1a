"""Real servers for tests: each private, on a free port of 127.0.0.1, ended by its process id."""

from tests.servers.alertmanager import Alertmanager, amtool
from tests.servers.mariadb import MariaDB
from tests.servers.postgres import Postgres
from tests.servers.process import Server, ServerError, free_port, wait_until
from tests.servers.prometheus import Prometheus, Sample, promtool

__all__ = [
    "Alertmanager",
    "MariaDB",
    "Postgres",
    "Prometheus",
    "Sample",
    "Server",
    "ServerError",
    "amtool",
    "free_port",
    "promtool",
    "wait_until",
]
