"""Every counter on /metrics against the sums that the database makes over its log table."""

import threading

import pytest

from demo.load import load
from demo.schema import create
from newapi.dsn import parse_dsn
from newapi.schema import Flavour
from tests.oracle import newapi_sums
from tests.programs import Exporter, Samples
from tests.servers.process import wait_until

ROWS = 20_000

COUNTED = (
    "newapi_requests_total",
    "newapi_request_errors_total",
    "newapi_tokens_total",
    "newapi_cached_tokens_total",
    "newapi_quota_total",
    "newapi_quota_refunded_total",
    "newapi_broken_streams_total",
    *(
        f"newapi_{who}_{what}_total"
        for who in ("api_key", "user")
        for what in ("requests", "errors", "tokens", "quota")
    ),
    *(
        f"newapi_{what}_seconds_{part}"
        for what in ("request_duration", "time_to_first_token")
        for part in ("bucket", "count", "sum")
    ),
)


def test_every_counter_is_the_sum_over_the_log_table_also_after_a_kill(gateway_url: str) -> None:
    url = parse_dsn(gateway_url)
    create(url, Flavour.NEW_API)
    with Exporter({"SQL_DSN": gateway_url, "POLL_INTERVAL": "1"}) as exporter:
        writer = threading.Thread(
            target=load, args=(url,), kwargs={"rows": ROWS, "writers": 2, "batch": 200}
        )
        writer.start()
        wait_until(lambda: _rows(exporter) > ROWS / 10, what="a part of the rows is read")
        exporter.stop(crash=True)
        exporter.start()
        before = exporter.metrics()
        writer.join()
        expected = newapi_sums(gateway_url)
        requests = sum(expected["newapi_requests_total"].values())
        wait_until(
            lambda: sum(exporter.metrics()["newapi_requests_total"].values()) >= requests, 30
        )
        assert differences(exporter.metrics(), expected) == []
        assert set(expected) == set(COUNTED)
        assert not went_back(before, exporter.metrics())
        exporter.stop()
        exporter.start()
        assert differences(exporter.metrics(), expected) == []


def differences(found: Samples, expected: Samples) -> list[str]:
    """Name every series that is not as expected, missing or too many."""
    return [
        f"{name}{dict(series)}: {have.get(series)}, not {want.get(series)}"
        for name in COUNTED
        for have, want in [(found.get(name, {}), expected.get(name, {}))]
        for series in have.keys() | want.keys()
        if have.get(series) != pytest.approx(want.get(series, 0.0), abs=1e-9, rel=1e-12)
    ]


def went_back(before: Samples, after: Samples) -> list[str]:
    """Name every series that decreased or is gone."""
    return [
        f"{name}{dict(series)}"
        for name in COUNTED
        for series, value in before.get(name, {}).items()
        if after.get(name, {}).get(series, -1) < value
    ]


def _rows(exporter: Exporter) -> float:
    return exporter.metrics()["newapi_exporter_rows_read_total"][frozenset()]
