"""The gateway's own API as each of its ages answers, for the fast path."""

import json
import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self

ADMIN_TOKEN = "an-access-token-of-the-tests"
NOT_FOUND = (404, {"error": {"message": "Invalid URL"}})
REFUSED = (200, {"success": False, "message": "无权进行此操作\nno"})
DONE = (200, {"success": True, "message": "", "data": False})


def settings_for(url: str) -> dict[str, Any]:
    """The settings of a breaker that tells the gateway at this address."""
    return {"gateway_url": url, "gateway_token": ADMIN_TOKEN, "gateway_user_id": 1}


class GatewayApi:
    """Answers POST .../status and PUT /api/channel/ as it is told to, and keeps what was asked."""

    def __init__(self, post: tuple[int, Any], put: tuple[int, Any] = NOT_FOUND) -> None:
        self.calls: list[tuple[str, str, Any]] = []
        self.headers: list[dict[str, str]] = []
        answers = {"POST": post, "PUT": put}
        api = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                api.calls.append((self.command, self.path, json.loads(body)))
                api.headers.append(dict(self.headers))
                status, content = answers[self.command]
                text = content if isinstance(content, str) else json.dumps(content)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(text.encode())

            do_POST = answer  # noqa: N815  (its base class asks for these names)
            do_PUT = answer  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def settings(self) -> dict[str, Any]:
        """The settings of a breaker that tells it."""
        return settings_for(self.url)


class Hanging:
    """Takes a call and does not come to the end of an answer until it is told to.

    Args:
        how: one of WAYS: it says nothing, or a byte now and then of its headers or of its body.
    """

    WAYS: ClassVar = ("silent", "headers", "body")

    def __init__(self, how: str) -> None:
        self._begin, self._drop, self._end = {
            "silent": (b"", b"", b"HTTP/1.1 200 OK\r\n\r\n"),
            "headers": (b"HTTP/1.1 200 OK\r\nX: ", b"x", b"\r\n\r\n"),
            "body": (b"HTTP/1.1 200 OK\r\n\r\n", b" ", b""),
        }[how]
        self.calls: list[bytes] = []
        self._called, self._answer = threading.Event(), threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._answer.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def wait_for_call(self) -> None:
        """Wait until somebody called."""
        assert self._called.wait(10)

    def answer(self) -> None:
        """Say that it succeeded, also to all later calls."""
        self._answer.set()

    def settings(self) -> dict[str, Any]:
        """The settings of a breaker that tells it."""
        return settings_for(self.url)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                received = b""
                while b"}" not in received:  # head and body come one after the other
                    received += connection.recv(10_000)
                self.calls.append(received)
                self._called.set()
                connection.sendall(self._begin)
                while not self._answer.wait(0.02):
                    connection.sendall(self._drop)
                connection.sendall(self._end + b'{"success": true}')
