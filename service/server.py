"""The server under the HTTP face: what connections may take, however many and whoever they are.

Waitress takes a request as a whole before it is handled, and closes a connection only after a time
without a byte. Here a request has a time to arrive in; while connections are many, those that are
idle or slow are closed sooner, since at the limit nobody else would get one; and whoever is not
known cannot make the server keep much.
"""

import time
from collections.abc import Callable
from typing import Any, ClassVar

from flask import Flask
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import BaseWSGIServer, create_server

CONNECTIONS = 800
"""At the same time; with all else that is open below 1,024, the usual limit of a process."""

CROWDED = 400
"""Connections beyond which idle and slow ones are closed sooner."""

IDLE = 30
"""Seconds after which a connection is closed on which no request is under way."""

IDLE_CROWDED = 1.0

ARRIVES = 10.0
"""Seconds within which a request arrives, from its first byte to its last."""

ARRIVES_CROWDED = 3.0

STRANGER = 2**16
"""Bytes of a body that are read before it is known whose it is."""

BODY = 8 * 2**20
"""Bytes of a body that are read at all; a program's own limit is lower."""

Known = Callable[[str], bool]
"""Tells from a request's header Authorization whether its body is wanted."""


def nobody(_authorization: str) -> bool:
    """Tell that no body is wanted."""
    return False


def make_server(app: Flask, host: str, port: int, *, threads: int, known: Known = nobody) -> Any:
    """Make a server that accepts connections.

    Args:
        app: answers.
        host: an address, or a name that may have several.
        port: 0 for any free one.
        threads: requests that are answered at the same time.
        known: whose bodies are read that are larger than STRANGER.

    Raises:
        OSError, ValueError: the address cannot be listened on, or looked up.
    """
    sockets: dict[int, Any] = {}
    server = create_server(
        app,
        map=sockets,
        host=host,
        port=port,
        threads=threads,
        ident="",
        channel_timeout=IDLE,
        cleanup_interval=5,
        connection_limit=CONNECTIONS,
        asyncore_use_poll=True,  # select() knows no descriptors from 1,024 on
        max_request_body_size=BODY,
        clear_untrusted_proxy_headers=True,
    )
    for one in sockets.values():
        if isinstance(one, BaseWSGIServer):
            parser = type("Parser", (_Parser,), {"known": staticmethod(known)})
            one.channel_class = type("Channel", (_Channel,), {"parser_class": parser})
    return server


class _Parser(HTTPRequestParser):
    known: ClassVar["staticmethod[[str], bool]"] = staticmethod(nobody)

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        large = self.chunked or self.content_length > STRANGER
        if large and not self.known(self.headers.get("AUTHORIZATION", "")):
            # The program answers what stands in the headers, and the connection is closed.
            self.body_rcv, self.chunked, self.content_length = None, False, 0
            self.connection_close, self.expect_continue = True, False
            kept = {k: v for k, v in self.headers.items() if k != "CONTENT_LENGTH"}
            self.headers = {**kept, "CONNECTION": "close"}


class _Channel(HTTPChannel):
    def __init__(self, *arguments: Any, **more: Any) -> None:
        self._begun = self._heard = time.monotonic()
        super().__init__(*arguments, **more)

    def received(self, data: bytes) -> bool:
        before = self.request
        taken = bool(super().received(data))
        self._heard = time.monotonic()
        if self.request is not before:
            self._begun = self._heard
        return taken

    def readable(self) -> bool:
        """Tell whether there is more to be read; asked at least each second."""
        if self._is_overdue():
            self.will_close = True
        return bool(super().readable())

    def _is_overdue(self) -> bool:
        if self.requests or self.total_outbufs_len:
            return False
        server: Any = self.server
        now, crowded = time.monotonic(), len(server.active_channels) > CROWDED
        if self.request is not None:
            return now - self._begun > (ARRIVES_CROWDED if crowded else ARRIVES)
        return crowded and now - self._heard > IDLE_CROWDED
