"""Every counter on /metrics against the sums that the database makes over its log table."""

import threading

from demo.load import load
from demo.schema import create
from newapi.dsn import parse_dsn
from newapi.schema import Flavour
from tests.oracle import COUNTED, differences, newapi_sums, went_back
from tests.programs import Exporter
from tests.servers.process import wait_until

ROWS = 20_000


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


def _rows(exporter: Exporter) -> float:
    return exporter.metrics()["newapi_exporter_rows_read_total"][frozenset()]
