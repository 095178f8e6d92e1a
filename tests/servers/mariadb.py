"""MariaDB for tests; MySQL where MARIADBD names a mysqld."""

import os
import subprocess
from collections.abc import Sequence

import pymysql

from service.binaries import find
from tests.servers.process import Server


class MariaDB(Server):
    """A server whose account root needs no password. What is committed survives a crash of it.

    Args:
        options: more arguments for mariadbd.
    """

    name = "mariadb"

    def __init__(self, *options: str) -> None:
        super().__init__()
        self.options = options
        self.data = self.folder / "data"
        self.binary = find("mariadbd")
        version = subprocess.run(
            [self.binary, "--version"], capture_output=True, text=True, check=True
        ).stdout
        self.is_mysql = "MariaDB" not in version

    def command(self) -> list[str]:
        """The program and its arguments."""
        fast = (
            "--innodb-flush-log-at-trx-commit=2",
            "--sync-binlog=0",
            "--innodb-doublewrite=OFF",
            "--innodb-buffer-pool-size=64M",
            "--performance-schema=OFF",
        )
        mysql = ("--mysqlx=OFF", "--skip-log-bin", "--secure-file-priv=") if self.is_mysql else ()
        return [
            str(self.binary),
            "--no-defaults",
            *self._user(),
            f"--datadir={self.data}",
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
            f"--socket={self.folder}/sock",
            # Each server empties its folder for temporary tables when it starts.
            f"--tmpdir={self.folder}",
            f"--pid-file={self.folder}/pid",
            f"--init-file={self.folder}/init.sql",
            "--skip-name-resolve",
            "--character-set-server=utf8mb4",
            "--default-time-zone=+00:00",
            *fast,
            *mysql,
            *self.options,
        ]

    def prepare(self) -> None:
        """Make the data folder."""
        (self.folder / "init.sql").write_text(
            "CREATE USER IF NOT EXISTS 'root'@'127.0.0.1';\n"
            "GRANT ALL ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;\n"
        )
        if self.is_mysql:
            basics = ("--no-defaults", "--initialize-insecure")
            self.run(str(self.binary), *basics, *self._user(), f"--datadir={self.data}")
            return
        self.run(
            # Where each server that starts removes the temporary tables that it finds, not in /tmp.
            "env",
            f"TMPDIR={self.folder}",
            str(find("mariadb-install-db")),
            "--no-defaults",
            *self._user(),
            f"--datadir={self.data}",
            "--auth-root-authentication-method=normal",
            "--skip-name-resolve",
            "--skip-test-db",
        )

    def answers(self) -> bool:
        """Whether it lets one log in."""
        try:
            self.execute("SELECT 1")
        except pymysql.Error:
            return False
        return True

    def execute(self, *statements: str, database: str | None = None) -> None:
        """Carry out statements as root, each committed at once."""
        connection = pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user="root",
            database=database,
            autocommit=True,
            connect_timeout=5,
            read_timeout=30,
        )
        with connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def url(self, database: str) -> str:
        """The DSN of a database."""
        return f"mysql://root@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        """Make an empty database and return its DSN."""
        self.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Remove a database."""
        self.execute("SET SESSION lock_wait_timeout = 10", f"DROP DATABASE IF EXISTS `{name}`")

    def _user(self) -> Sequence[str]:
        return ("--user=root",) if os.geteuid() == 0 else ()
