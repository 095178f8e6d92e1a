"""The gateway's own API as each of its ages answers, for the fast path."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

ADMIN_TOKEN = "an-access-token-of-the-tests"
NOT_FOUND = (404, {"error": {"message": "Invalid URL"}})
REFUSED = (200, {"success": False, "message": "无权进行此操作\nno"})
DONE = (200, {"success": True, "message": "", "data": False})


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
        return {
            "gateway_url": self.url,
            "gateway_token": ADMIN_TOKEN,
            "gateway_user_id": 1,
        }
