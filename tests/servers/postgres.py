"""PostgreSQL for tests."""

import os
import pwd
import shutil
import signal
import subprocess

import psycopg

from service.binaries import find
from tests.servers.process import Server, ServerError


class Postgres(Server):
    """A server whose account postgres needs no password. What is committed survives a crash of it.

    Args:
        options: more settings, as name=value.
    """

    name = "postgres"
    stop_signal = signal.SIGINT  # SIGTERM waits for every client to go
    crash_signal = signal.SIGQUIT  # SIGKILL leaves children that hold the shared memory for a while

    def __init__(self, *options: str) -> None:
        super().__init__()
        self.options = options
        self.data = self.folder / "data"
        self.binary = find("postgres")
        self.initdb = find("initdb")
        if os.geteuid() == 0:
            self.as_user = _other_user(str(self.binary))

    def command(self) -> list[str]:
        """The program and its arguments."""
        settings = (
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=off",
            "full_page_writes=off",
            "autovacuum=off",
            "jit=off",
            "shared_buffers=64MB",
            "timezone=GMT",
            "log_timezone=GMT",
            *self.options,
        )
        chosen = [argument for setting in settings for argument in ("-c", setting)]
        return [str(self.binary), "-D", str(self.data), "-p", str(self.port), *chosen]

    def prepare(self) -> None:
        """Make the data folder."""
        if self.as_user:
            account = _account()
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        self.run(
            *self.as_user,
            str(self.initdb),
            f"--pgdata={self.data}",
            "--username=postgres",
            "--auth=trust",
            "--no-sync",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        )

    def answers(self) -> bool:
        """Whether it lets one log in."""
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """Carry out statements as postgres, each committed at once."""
        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=5) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def url(self, database: str) -> str:
        """The DSN of a database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        """Make an empty database and return its DSN."""
        self.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Remove a database, and end who is connected to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _account() -> pwd.struct_passwd:
    """The account to be in place of root, as which PostgreSQL refuses to run."""
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ServerError("PostgreSQL does not run as root, and there is no user postgres or nobody")


def _other_user(binary: str) -> list[str]:
    """What starts a program as another user than root.

    Where that user cannot reach it (a checkout in /root), it keeps root's right to read; the
    securebit makes access(), with which initdb looks for postgres, respect that.
    """
    program = shutil.which("setpriv")
    if program is None:
        raise ServerError("PostgreSQL does not run as root, and setpriv is missing")
    account = _account()
    ids = (f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups")
    plain = [program, *ids, "--"]
    if subprocess.run([*plain, "test", "-x", binary], check=False).returncode == 0:
        return plain
    kept = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override")
    return [program, *ids, *kept, "--securebits=+no_setuid_fixup", "--"]
