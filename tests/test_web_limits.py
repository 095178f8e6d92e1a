"""Clients that mean no good, or are many: a scrape and a webhook get their answer all the same."""

import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from typing import Any

import pytest
import requests

from tests.servers.process import wait_until

PROGRAM = """
import sys
from flask import Flask, request
import service.server
from service.settings import Address
from service.web import read_body, serve

for setting in sys.argv[1:]:
    name, _, value = setting.partition("=")
    assert hasattr(service.server, name)
    setattr(service.server, name, type(getattr(service.server, name))(value))
app = Flask("limits")

@app.post("/body")
def body():
    return f"{len(read_body(10**7))}"

@app.get("/-/healthy")
def healthy():
    return "healthy"

def known(authorization):
    return authorization == "Bearer good"

def started(url):
    print(url, flush=True)

serve(app, Address("127.0.0.1", 0), threads=2, started=started, known=known)
"""


class Served:
    """A program that serves, with limits of its own."""

    def __init__(self, **limits: float) -> None:
        settings = [f"{name}={value}" for name, value in limits.items()]
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *settings], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        self._connections = ExitStack()

    def __enter__(self) -> "Served":
        return self

    def __exit__(self, *_: object) -> None:
        self._connections.close()
        self._process.kill()
        self._process.communicate()

    def connect(self, said: bytes) -> socket.socket:
        """Open a connection and say something, all of which ends with the program."""
        port = int(self.url.rpartition(":")[2])
        connection = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._connections.callback(connection.close)
        with suppress(OSError):
            connection.sendall(said)
        return connection

    def healthy(self) -> bool:
        answer = requests.get(f"{self.url}/-/healthy", timeout=30, headers={"Connection": "close"})
        return answer.ok


def closed(connection: socket.socket) -> bool:
    """Whether the other side has closed a connection, perhaps after some bytes."""
    connection.setblocking(False)
    try:
        while connection.recv(10_000):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


REQUEST = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"
HEAD = b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


def test_a_request_that_trickles_is_ended() -> None:
    with Served(ARRIVES=0.5) as served:
        slow = [served.connect(HEAD % 1000), served.connect(b"GET /-/heal"), served.connect(b"P")]
        kept = served.connect(REQUEST)

        def all_closed() -> bool:
            for connection in slow:
                with suppress(OSError):
                    connection.send(b"x")
            return all(closed(connection) for connection in slow)

        wait_until(all_closed, 20)
        kept.setblocking(True)
        kept.sendall(REQUEST)  # what is idle between requests is not
        assert kept.recv(10_000).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("said", [b"", REQUEST, HEAD % 1000, b"GET /-/heal"])
def test_who_comes_next_does_not_wait_for_a_crowd(said: bytes) -> None:
    """Neither for what says nothing, nor for what is idle, nor for what is slow."""
    with Served(CONNECTIONS=60, CROWDED=30, IDLE_CROWDED=0.5, ARRIVES_CROWDED=0.5) as served:
        crowd = [served.connect(said) for _ in range(100)]
        assert served.healthy()
        wait_until(lambda: sum(closed(connection) for connection in crowd) >= 60, 20)
        assert served.healthy()


@pytest.mark.parametrize("chunked", [False, True])
def test_large_bodies_are_read_only_of_who_is_known(chunked: bool) -> None:
    size = 500_000

    def post(authorization: str, size: int) -> requests.Response:
        body: Any = iter([b"x" * size]) if chunked else b"x" * size
        headers = {"Authorization": authorization}
        return requests.post(f"{served.url}/body", data=body, headers=headers, timeout=30)

    with Served() as served:
        assert post("Bearer good", size).text == str(size)
        if not chunked:
            assert post("Bearer bad", 10_000).text == "10000"
        length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % size
        head = b"POST /body HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer bad\r\n%s\r\n\r\n" % length
        stranger = served.connect(head)
        answer = b""
        while said := stranger.recv(10_000):
            answer += said
        assert answer.startswith(b"HTTP/1.1 200")  # with nothing of the body read
        assert answer.endswith(b"\r\n\r\n0")
