"""A server as a process of the test: started, waited for, stopped, started again on its data."""

import contextlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar, Self, TypeVar

import psutil

START_TIMEOUT = 30.0
STOP_TIMEOUT = 15.0
_PORTS = range(20000, 32000)
_LOG_LINES = 20

T = TypeVar("T")


class ServerError(Exception):
    """A server did not do what was asked; the text ends with the last lines of its log."""


def free_port() -> int:
    """A free port of 127.0.0.1.

    It lies below those that the kernel gives to outgoing connections: while a server is stopped
    nobody else gets its port, and no client meets itself there.
    """
    for port in random.SystemRandom().sample(_PORTS, 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise ServerError(f"no free port from {_PORTS.start} to {_PORTS.stop}")


def wait_until(condition: Callable[[], T], timeout: float = 10, what: str = "") -> T:
    """Ask until the answer is true, and return it.

    Raises:
        TimeoutError: it was not within `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    pause = 0.01
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout:g} s: {what or condition}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)
    return answer


def _stands(process: psutil.Process) -> bool:
    """Tell whether all threads of a process are stopped."""
    try:
        texts = [path.read_text() for path in Path(f"/proc/{process.pid}/task").glob("*/stat")]
    except OSError:  # one of them ended meanwhile
        return False
    return all(text.rpartition(")")[2].split()[0] == "T" for text in texts)


class Server(ABC):
    """One server with a folder and a port of its own.

    As a context manager it is started, and at the end stopped and its folder removed.
    """

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    crash_signal: ClassVar[signal.Signals] = signal.SIGKILL

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"newapi-{self.name}-"))
        self.port = free_port()
        self.log = self.folder / "log"
        self.as_user: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._prepared = False

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def command(self) -> list[str]:
        """The program and its arguments."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it does its work now."""

    def prepare(self) -> None:  # noqa: B027  not every server needs it
        """What comes before the first start."""

    @property
    def pid(self) -> int:
        """The process id."""
        if self._process is None:
            raise ServerError(f"{self.name} was not started")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, on the data that it had, and wait until it answers."""
        if self.running:
            raise ServerError(f"{self.name} runs already")
        if not self._prepared:
            self.prepare()
            self._prepared = True
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.as_user, *self._leash(), *self.command()],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            wait_until(lambda: not self.running or self.answers(), START_TIMEOUT)
        except TimeoutError:
            self.stop(crash=True)
            raise self.error(f"did not answer within {START_TIMEOUT:g} s") from None
        if not self.running:
            raise self.error(f"ended at once with exit code {self._process.returncode}")

    def stop(self, *, crash: bool = False) -> None:
        """End it, in good order or as if it had crashed; nothing to do where it does not run."""
        if self._process is None or not self.running:
            return
        self._process.send_signal(self.crash_signal if crash else self.stop_signal)
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Have it do nothing for a while; whoever connects, or had connected, waits."""
        server = psutil.Process(self.pid)
        processes = [server, *server.children(recursive=True)]
        for process in processes:
            process.suspend()
        try:
            for process in processes:  # each thread stops by itself, soon after
                wait_until(lambda process=process: _stands(process), what="a stop")  # type: ignore[misc]
            yield
        finally:
            for process in processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()

    def close(self) -> None:
        """Stop it and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *command: str) -> None:
        """Run a program to its end, with its output in the log."""
        with self.log.open("ab") as log:
            done = subprocess.run(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=False,
            )
        if done.returncode:
            raise self.error(f"{Path(command[0]).name} failed with exit code {done.returncode}")

    def error(self, message: str) -> ServerError:
        """An error with the beginning of the log, where the first complaint is, and its end."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        if len(lines) > 2 * _LOG_LINES:
            lines[_LOG_LINES:-_LOG_LINES] = ["..."]
        return ServerError("\n".join([f"{self.name} {message}", *lines]))

    def _leash(self) -> list[str]:
        """What ends the server when the test run itself is killed.

        The kernel does so when the starting *thread* ends, therefore only from the main one, and
        forgets it when the user changes, therefore after that.
        """
        program = shutil.which("setpriv")
        if program is None or threading.current_thread() is not threading.main_thread():
            return []
        return [program, "--pdeathsig", self.stop_signal.name[3:], "--"]
