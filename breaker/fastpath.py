"""The fast path: the gateway's own API, told what was written to its database.

A gateway that keeps channels in memory reads the database again only every SYNC_FREQUENCY seconds
(New API model/channel_cache.go); a call of its API makes the node that answers it follow at once.
Since v1.0.0-rc.16 that is POST /api/channel/:id/status, before it PUT /api/channel/
(router/api-router.go).
"""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pydantic import SecretStr
from requests.utils import DEFAULT_CA_BUNDLE_PATH

_CONNECT = 1.0
"""Seconds to connect, to each address that the name has."""

_WITHIN = 2.0
"""Seconds for all of a call after that. The timeout of a socket is one for each read, which a
gateway that sends a byte now and then never reaches: a timer ends the connection."""

_LIMIT = 2**16
"""Bytes of an answer; those that are meant are some 60."""


class FastPathError(Exception):
    """The gateway did not take it; the text is one line without secrets."""


class _Answer(NamedTuple):
    call: str
    status: int
    body: bytes


class FastPath:
    """Calls the gateway's API as an administrator.

    Args:
        url: the gateway's base URL.
        token: the administrator's access token.
        user_id: the administrator's users.id, which New API until v1.0.0-rc.21 asks for.
    """

    def __init__(self, url: str, token: SecretStr, user_id: int) -> None:
        parts = urlsplit(url)
        self._host, self._path = parts.hostname or "", parts.path.rstrip("/")
        self._tls: ssl.SSLContext | None = None
        if parts.scheme == "https":
            self._tls = ssl.create_default_context(cafile=DEFAULT_CA_BUNDLE_PATH)
        self._port = parts.port or (80 if self._tls is None else 443)
        self._headers = {
            "Authorization": f"Bearer {token.get_secret_value()}",
            "New-Api-User": str(user_id),
            "Content-Type": "application/json",
            "Connection": "close",
        }

    def tell(self, channel_id: int, status: int) -> None:
        """Tell the gateway the status of a channel, 1 or 2, that its database holds already.

        Raises:
            FastPathError: it does not answer in time, or does not say that it succeeded.
        """
        newer = self._call("POST", f"/api/channel/{channel_id}/status", {"status": status})
        if newer.status in {404, 405}:
            newer = self._call("PUT", "/api/channel/", {"id": channel_id, "status": status})
        _require_success(newer)

    def _call(self, method: str, path: str, body: dict[str, int]) -> _Answer:
        call = f"{method} {path}"
        ended = threading.Event()
        try:
            with self._connection(ended) as connection:
                text = json.dumps(body)
                connection.request(method, f"{self._path}{path}", text, self._headers)
                answer = connection.getresponse()
                content = answer.read(_LIMIT + 1)
        except (OSError, HTTPException, ValueError) as error:  # their texts may hold secrets
            late = ended.is_set() or isinstance(error, TimeoutError)
            why = "no answer in time" if late else type(error).__name__
            raise FastPathError(f"{call}: {why}") from None
        if ended.is_set():  # what came until then looks like an end where no length was given
            raise FastPathError(f"{call}: no answer in time")
        if len(content) > _LIMIT:
            raise FastPathError(f"{call}: an answer of more than {_LIMIT} bytes")
        return _Answer(call, answer.status, content)

    @contextmanager
    def _connection(self, ended: threading.Event) -> Iterator[HTTPConnection]:
        """Give a connection that is ended after _WITHIN, which sets the event."""
        plain = socket.create_connection((self._host, self._port), _CONNECT)
        # TLS takes the socket from its object; this one still leads to the same connection.
        same = plain.dup()

        def end() -> None:
            ended.set()
            with suppress(OSError):
                same.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(_WITHIN, end)
        timer.daemon = True
        timer.start()
        connection = HTTPConnection(self._host, self._port)
        connection.sock = plain
        try:
            plain.settimeout(_WITHIN)
            if self._tls is not None:
                connection.sock = self._tls.wrap_socket(plain, server_hostname=self._host)
            yield connection
        finally:
            timer.cancel()
            connection.close()
            same.close()


def _require_success(answer: _Answer) -> None:
    """Read the body: the gateway answers many errors with status 200 (common/gin.go)."""
    where = f"{answer.call}: status {answer.status}"
    if not 200 <= answer.status < 300:
        raise FastPathError(where)
    try:
        body: Any = json.loads(answer.body)
    except (ValueError, RecursionError):
        raise FastPathError(f"{where}, and no JSON") from None
    if not isinstance(body, dict) or body.get("success") is not True:
        said = body.get("message") if isinstance(body, dict) else None
        raise FastPathError(
            f"{where}, {' '.join(str(said or 'success is not true').split())[:200]}"
        )
