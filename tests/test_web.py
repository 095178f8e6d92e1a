"""The HTTP face of both programs, over real connections to the real server."""

import gzip
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from waitress.server import create_server

from exporter.catalogue import LOG_METRICS
from exporter.exposition.pages import page as metrics_page
from exporter.totals import fold
from service.web import Exposition, Page, create_app, read_body
from tests.programs import parse
from tests.test_totals import event

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
"""What Prometheus sends."""


def _nothing(*, openmetrics: bool) -> str:
    del openmetrics
    return ""


class Sums(Collector):
    """Every metric over the log table, for one request."""

    def collect(self) -> Iterator[Metric]:
        return (metric.family(fold([event()]).sums) for metric in LOG_METRICS)


class Program:
    """A program with everything that its HTTP face asks for."""

    def __init__(self) -> None:
        self.url = ""
        self.begin()
        self.app = create_app(lambda: self.reasons, self.page, {"/metrics": self.metrics})
        self.app.add_url_rule("/body", "body", lambda: str(len(read_body(1000))), methods=["POST"])

    def begin(self) -> None:
        """Be ready, as at the beginning of each test."""
        self.reasons: list[str] = []
        self.facts = [("Gateway", "New API")]
        self.caught_up = True
        self.render = metrics_page(Sums(), text=_nothing)

    def page(self) -> Page:
        return Page("A program", "It does things.", self.facts, [("/metrics", "metrics")])

    def metrics(self, accept: str) -> Exposition | None:
        return self.render(accept) if self.caught_up else None

    def get(self, path: str, **headers: str) -> requests.Response:
        headers = {"Accept-Encoding": "identity", "Connection": "close", **headers}
        return requests.get(f"{self.url}{path}", headers=headers, timeout=5)


@pytest.fixture(scope="module")
def served() -> Iterator[Program]:
    program = Program()
    server: Any = create_server(program.app, host="127.0.0.1", port=0, threads=2)
    program.url = f"http://127.0.0.1:{server.effective_port}"
    end = threading.Event()

    def run() -> None:  # server.run() can only be ended by a signal
        while not end.is_set():
            server.asyncore.loop(timeout=0.05, map=server._map, count=1)
        server.task_dispatcher.shutdown()
        server.asyncore.close_all(server._map)  # connections that a client left open, too

    thread = threading.Thread(target=run)
    thread.start()
    yield program
    end.set()
    thread.join()


@pytest.fixture
def program(served: Program) -> Program:
    served.begin()
    return served


def test_it_is_healthy_also_while_it_is_not_ready(program: Program) -> None:
    program.reasons = ["log table: down"]
    answer = program.get("/-/healthy")
    assert (answer.status_code, answer.text) == (200, "healthy\n")


def test_ready_says_each_reason_on_a_line_of_its_own(program: Program) -> None:
    assert (program.get("/-/ready").status_code, program.get("/-/ready").text) == (200, "ready\n")
    program.reasons = ["log table: down", "state: full"]
    answer = program.get("/-/ready")
    assert (answer.status_code, answer.text) == (503, "log table: down\nstate: full\n")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_metrics_wait_for_the_first_catch_up_and_say_why(program: Program) -> None:
    program.caught_up = False
    assert (program.get("/metrics").status_code, program.get("/metrics").text) == (
        503, "not ready\n",
    )  # fmt: skip
    program.reasons = ["log table: down"]
    assert program.get("/metrics").text == "log table: down\n"
    program.caught_up = True
    assert program.get("/metrics").ok


@pytest.mark.parametrize(("path", "status"), [("/nothing", 404), ("/metrics/", 404)])
def test_an_unknown_path_is_a_line_of_text(program: Program, path: str, status: int) -> None:
    answer = program.get(path)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.text.count("\n") == 1


def test_a_method_that_is_not_allowed_says_which_are(program: Program) -> None:
    answer = requests.post(f"{program.url}/metrics", data=b"x", timeout=5)
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]


def test_text_is_what_a_prometheus_of_any_age_reads(program: Program) -> None:
    answer = program.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    samples = parse(answer.text)
    key = frozenset({"channel_id": "7", "model": "gpt-4o"}.items())
    assert samples["newapi_quota_total"] == {key: 1500}
    bounds = {dict(s)["le"] for s in samples["newapi_request_duration_seconds_bucket"]}
    assert {"1.0", "300.0", "+Inf"} <= bounds


def test_openmetrics_is_given_to_who_asks_for_it(program: Program) -> None:
    answer = program.get("/metrics", Accept=OPENMETRICS)
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")
    families = {f.name: f for f in text_string_to_metric_families(answer.text)}  # type: ignore[no-untyped-call]
    assert families["newapi_requests"].type == "counter"
    assert families["newapi_request_duration_seconds"].type == "histogram"


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [("gzip", True), ("deflate, gzip;q=0.5", True), ("*", True), ("gzip;q=0", False),
     ("identity", False), ("br", False)],
)  # fmt: skip
def test_metrics_are_packed_for_who_takes_it(program: Program, accepted: str, packed: bool) -> None:
    plain = program.get("/metrics")
    answer = requests.get(
        f"{program.url}/metrics",
        headers={"Accept-Encoding": accepted, "Connection": "close"},
        stream=True,
        timeout=5,
    )
    body = answer.raw.read(decode_content=False)
    assert answer.headers.get("Content-Encoding") == ("gzip" if packed else None)
    assert int(answer.headers["Content-Length"]) == len(body)
    assert (gzip.decompress(body) if packed else body) == plain.content
    assert "Accept-Encoding" in answer.headers["Vary"]


def test_the_page_shows_facts_and_reasons_and_escapes_both(program: Program) -> None:
    program.facts = [("Database", "<script>alert(1)</script>"), ("Rows", "1,234")]
    program.reasons = ['table "a&b" <missing>']
    answer = program.get("/")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<script>" not in answer.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text
    assert "1,234" in answer.text
    assert "not ready" in answer.text
    assert "&lt;missing&gt;" in answer.text
    assert 'href="/metrics"' in answer.text
    program.reasons = []
    assert "not ready" not in program.get("/").text


def test_what_fails_inside_is_logged_and_not_told(
    program: Program, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_accept: str) -> Exposition:
        raise ZeroDivisionError("with a secret")

    program.render = fail
    answer = program.get("/metrics")
    assert (answer.status_code, answer.text) == (500, "internal error; the log has the details\n")
    assert "with a secret" in caplog.text


@pytest.mark.parametrize(("size", "status"), [(1000, 200), (1001, 413)])
def test_a_body_has_a_limit_also_without_a_length(program: Program, size: int, status: int) -> None:
    whole = requests.post(f"{program.url}/body", data=b"x" * size, timeout=5)
    chunked = requests.post(f"{program.url}/body", data=iter([b"x" * size]), timeout=5)
    assert (whole.status_code, chunked.status_code) == (status, status)
    if status == 200:
        assert whole.text == chunked.text == str(size)


REFUSED = """
import sys
from flask import Flask
from service.settings import Address, SettingError
from service.web import serve
for address in sys.argv[1:]:
    host, _, port = address.rpartition(":")
    try:
        serve(Flask("none"), Address(host, int(port)), threads=1, started=print)
    except SettingError as error:
        print(error)
"""


def test_an_address_that_cannot_be_listened_on_is_a_wrong_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        addresses = [
            "no-such-host.invalid:9847", "a..b:9847", "192.0.2.1:9847",
            f"127.0.0.1:{taken.getsockname()[1]}",
        ]  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", REFUSED, *addresses],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
    lines = done.stdout.splitlines()
    assert len(lines) == len(addresses), done.stderr
    for address, line in zip(addresses, lines, strict=True):
        assert line.startswith(f"cannot listen on {address}: ")


SERVE = """
import signal
import threading
from flask import Flask
from service.settings import Address
from service.web import serve
# What runs in the background of a shell inherits that it is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
app = Flask("slow")
entered, leave = threading.Event(), threading.Event()

@app.get("/slow")
def slow():
    print("entered", flush=True)
    leave.wait(0.5)
    return "done"

serve(app, Address("127.0.0.1", 0), threads=2, started=lambda url: print(url, flush=True))
print("ended", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_requests_that_are_open(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SERVE], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        answers: list[str] = []
        client = threading.Thread(
            target=lambda: answers.append(requests.get(f"{url}/slow", timeout=5).text)
        )
        client.start()
        try:
            assert process.stdout.readline() == "entered\n"
            process.send_signal(number)
            client.join(5)
            assert process.stdout.readline() == "ended\n"
            assert process.wait(5) == 0
        finally:
            process.kill()
    assert answers == ["done"]
