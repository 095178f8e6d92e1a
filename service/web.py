"""The HTTP face that both programs share: health, readiness, metrics, a page for people."""

import gzip
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import FrameType

from flask import Flask, Response, abort, render_template, request
from werkzeug.exceptions import HTTPException

from service.server import Known, make_server, nobody
from service.settings import Address, SettingError

log = logging.getLogger(__name__)

Exposition = tuple[bytes, str]
"""Body and Content-Type of a metrics page."""

Reasons = Callable[[], Sequence[str]]
"""Gives the reasons why a program is not ready, none when it is."""


@dataclass(frozen=True)
class Page:
    """What / shows: a title, a sentence, facts as (name, value), links as (path, text)."""

    title: str
    about: str
    facts: Sequence[tuple[str, str]]
    links: Sequence[tuple[str, str]]


def create_app(
    ready: Reasons,
    page: Callable[[], Page],
    metrics: dict[str, Callable[[str], Exposition | None]],
) -> Flask:
    """Make the WSGI application.

    Args:
        ready: gives the reasons why the program is not ready, none when it is.
        page: gives what / shows.
        metrics: by path, what renders the page for an Accept header; None answers 503.
    """
    app = Flask(__name__)

    @app.get("/-/healthy")
    def healthy() -> Response:
        return _text("healthy\n")

    @app.get("/-/ready")
    def readiness() -> Response:
        reasons = ready()
        if reasons:
            return _text("".join(f"{reason}\n" for reason in reasons), 503)
        return _text("ready\n")

    @app.get("/")
    def home() -> str:
        return render_template("page.html", page=page(), reasons=ready())

    for path, render in metrics.items():
        app.add_url_rule(path, path, partial(_expose, render, ready))

    app.register_error_handler(HTTPException, _refuse)
    app.register_error_handler(Exception, _fail)
    return app


def read_body(limit: int) -> bytes:
    """Give the body of the current request.

    Raises:
        HTTPException: 413 where it is longer than `limit` bytes.
    """
    body = request.stream.read(limit + 1)
    if len(body) > limit:
        abort(413, f"the body is larger than {limit} bytes")
    return bytes(body)


def serve(
    app: Flask,
    address: Address,
    *,
    threads: int,
    started: Callable[[str], None],
    known: Known = nobody,
) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        app: answers.
        address: where.
        threads: requests that are answered at the same time.
        started: is told the URL once connections are accepted.
        known: whose large bodies are read.

    Raises:
        SettingError: the address cannot be listened on.
    """
    try:
        server = make_server(app, address.host, address.port, threads=threads, known=known)
    except OSError as error:
        raise SettingError(f"cannot listen on {address}: {error.strerror or error}") from None
    except ValueError:  # what waitress makes of a name that it cannot look up
        raise SettingError(f"cannot listen on {address}: no such host") from None

    def stop(_number: int, _frame: FrameType | None) -> None:
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    port = getattr(server, "effective_port", address.port)  # several sockets have no such field
    started(f"http://{Address(address.host, port)}")
    server.run()  # returns on SystemExit and KeyboardInterrupt, after open requests ended


def _expose(render: Callable[[str], Exposition | None], ready: Reasons) -> Response:
    exposition = render(request.headers.get("Accept", ""))
    if exposition is None:
        return _text("".join(f"{reason}\n" for reason in ready()) or "not ready\n", 503)
    body, content_type = exposition
    response = Response(body, content_type=content_type)
    response.headers["Vary"] = "Accept, Accept-Encoding"
    if request.accept_encodings["gzip"] > 0:
        response.data = gzip.compress(body, compresslevel=1)
        response.headers["Content-Encoding"] = "gzip"
    return response


def _refuse(error: HTTPException) -> Response:
    response = _text(f"{error.description}\n", error.code or 500)
    response.headers.extend(h for h in error.get_headers() if h[0] != "Content-Type")
    return response


def _fail(error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.path, exc_info=error)
    return _text("internal error; the log has the details\n", 500)


def _text(body: str, status: int = 200) -> Response:
    return Response(body, status, content_type="text/plain; charset=utf-8")
