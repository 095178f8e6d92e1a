"""A log table full of nonsense: counted as far as it can be, and never a reason to stop."""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import isclose

from sqlalchemy import column, table

from demo.schema import create
from newapi.database import Database
from newapi.dsn import parse_dsn
from tests.corpus import PLAIN, ROW, Case, cases
from tests.corpus_sums import Counts, samples
from tests.programs import Exporter, Samples
from tests.servers import Prometheus
from tests.servers.process import wait_until

FIRST_CHANNEL = 1000

PROMETHEUS = """
scrape_configs:
  - job_name: exporter
    scrape_interval: 1s
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def test_nonsense_is_counted_as_far_as_it_can_be(gateway_url: str) -> None:
    url = parse_dsn(gateway_url)
    create(url)
    corpus = cases(url.get_backend_name())
    with Exporter({"SQL_DSN": gateway_url, "POLL_INTERVAL": "1"}) as exporter:
        _write(gateway_url, corpus)
        _wait_for(exporter, time.time())
        corpus.append(Case("after all that", {}, PLAIN))
        _write(gateway_url, corpus, start=len(corpus) - 1)
        _wait_for(exporter, time.time())
        counted = list(_counts(corpus))
        expected = samples(counted, [reason for case in corpus for reason in case.adjusted])
        assert _differences(exporter.metrics(), expected) == []
        assert exporter.get("/-/ready").ok
        exporter.stop(crash=True)  # what is in the state can be read again
        exporter.start()
        with Prometheus(PROMETHEUS.format(port=exporter.port)) as prometheus:
            page = exporter.metrics()
            assert _differences(page, expected) == []
            _assert_scraped(prometheus, expected, sum(map(len, page.values())))
    assert "Traceback" not in exporter.output


def _counts(corpus: Sequence[Case]) -> Iterator[Counts]:
    """Give what each row adds, under the channel that _write() gave it."""
    for number, case in enumerate(corpus, FIRST_CHANNEL):
        channel = case.counts.channel
        yield case.counts if channel is not None else replace(case.counts, channel=number)


def _write(dsn: str, corpus: Sequence[Case], start: int = 0) -> None:
    logs = table("logs", *map(column, (*ROW, "created_at", "channel_id")))
    database = Database(parse_dsn(dsn), writable=True)
    with database.begin() as connection:
        for number, case in enumerate(corpus[start:], FIRST_CHANNEL + start):
            own = {"created_at": int(time.time()), "channel_id": number}
            connection.execute(logs.insert().values({**ROW, **own, **case.row}))
    database.close()


def _wait_for(exporter: Exporter, moment: float) -> None:
    """Wait until all that was visible at a moment is counted."""
    until = re.compile(r"^newapi_counted_until_timestamp_seconds (\S+)$", re.MULTILINE)

    def counted() -> bool:
        found = until.search(exporter.get("/metrics").text)
        return found is not None and float(found[1]) > moment

    wait_until(counted, 15)


def _differences(found: Samples, expected: Samples) -> list[str]:
    """Name every series that is not as expected, missing or too many."""
    return [
        f"{name}{sorted(series)}: {have.get(series)}, not {want.get(series)}"
        for name, want in expected.items()
        for have in [found.get(name, {})]
        for series in have.keys() | want.keys()
        if not isclose(have.get(series, -1), want.get(series, -2), rel_tol=1e-12)
    ]


def _assert_scraped(prometheus: Prometheus, expected: Samples, everything: int) -> None:
    """What a real server makes of the page: everything, under the very same labels."""
    wait_until(lambda: prometheus.query('up{job="exporter"} == 1'), what="a scrape without error")
    target = prometheus.get("/api/v1/targets")["data"]["activeTargets"][0]
    assert target["lastError"] == ""
    own = {"__name__", "instance", "job"}
    for name in ("newapi_requests_total", "newapi_request_duration_seconds_bucket"):
        stored = {
            frozenset((k, v) for k, v in sample.labels.items() if k not in own): sample.value
            for sample in prometheus.query(name)
        }
        # An empty label is none.
        assert stored == {
            frozenset((k, v) for k, v in series if v): value
            for series, value in expected[name].items()
        }
    kept = prometheus.query('count({__name__=~"newapi_.+"})')[0].value
    assert kept == everything
