"""What Prometheus sees of the counters: every first request, and no number that is taken back."""

import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest

from newapi.database import Database
from tests.follower import REQUEST
from tests.gateway import gateway_at, put, run
from tests.programs import Exporter
from tests.servers import MariaDB, Prometheus
from tests.servers.process import wait_until

CONFIG = """
scrape_configs:
  - job_name: exporter
    scrape_interval: 1s
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


@pytest.fixture
def gateway(gateway_url: str) -> Iterator[Database]:
    with gateway_at(gateway_url) as database:
        yield database


def write(database: Database, number: int = 1, **values: Any) -> None:
    row = {"created_at": int(time.time()), **REQUEST, **values}
    put(database, "logs", *[row] * number)


def requests(exporter: Exporter) -> float:
    return sum(exporter.metrics().get("newapi_requests_total", {}).values())


def test_the_first_request_of_a_channel_is_a_difference_of_samples(
    gateway: Database, gateway_url: str
) -> None:
    """With a series that begins with its first value, Prometheus would never see that one."""
    settings = {"SQL_DSN": gateway_url, "POLL_INTERVAL": "1", "NEW_SERIES_HOLD": "3"}
    with (
        Exporter(settings) as exporter,
        Prometheus(CONFIG.format(port=exporter.port)) as prometheus,
    ):
        wait_until(lambda: prometheus.query("newapi_counting_since_timestamp_seconds"))
        write(gateway, channel_id=901, model_name="brand-new", prompt_tokens=1000, quota=77)
        used = "(max_over_time({0}[1h]) - min_over_time({0}[1h])) > 0"

        def grown(metric: str, labels: str = "") -> list[float]:
            selector = f'{metric}{{channel_id="901",model="brand-new"{labels}}}'
            return [sample.value for sample in prometheus.query(used.format(selector))]

        wait_until(lambda: grown("newapi_requests_total"), 20)
        assert grown("newapi_requests_total") == [1]
        assert grown("newapi_tokens_total", ',direction="prompt"') == [1000]
        assert grown("newapi_quota_total") == [77]
        assert grown("newapi_request_duration_seconds_count") == [1]


def test_a_state_from_a_backup_never_takes_back_a_number_unseen(
    gateway: Database, gateway_url: str
) -> None:
    """Rows that were deleted since the backup are lost to it: then it says that it began anew."""
    with Exporter({"SQL_DSN": gateway_url, "POLL_INTERVAL": "1"}) as exporter:
        since = exporter.metrics()["newapi_counting_since_timestamp_seconds"]
        write(gateway, 3)
        wait_until(lambda: requests(exporter) == 3)
        state, backup = exporter.folder / "state", exporter.folder / "backup"
        exporter.stop()
        shutil.copytree(state, backup)
        exporter.start()
        write(gateway, 5)
        wait_until(lambda: requests(exporter) == 8)

        exporter.stop()
        shutil.rmtree(state)
        shutil.copytree(backup, state)
        exporter.start()  # answers only when it has caught up
        assert requests(exporter) == 8
        assert exporter.metrics()["newapi_counting_since_timestamp_seconds"] == since

        exporter.stop()
        shutil.rmtree(state)
        shutil.copytree(backup, state)
        run(gateway, "DELETE FROM logs WHERE id <= 6")
        exporter.start()
        assert requests(exporter) == 5
        (before,) = since.values()
        (after,) = exporter.metrics()["newapi_counting_since_timestamp_seconds"].values()
        assert after > before


def test_a_log_database_apart_is_followed_without_the_other(mariadb: MariaDB) -> None:
    """LOG_SQL_DSN: counts go on while the gateway's own database cannot be read."""
    main, logs = mariadb.create_database("main"), mariadb.create_database("logs_apart")
    settings = {"SQL_DSN": main, "LOG_SQL_DSN": logs, "POLL_INTERVAL": "1"}
    with gateway_at(main) as gateway, gateway_at(logs) as apart, Exporter(settings) as exporter:
        write(apart, 2)
        wait_until(lambda: requests(exporter) == 2)
        run(gateway, "RENAME TABLE channels TO gone")
        wait_until(lambda: exporter.get("/-/ready").status_code == 503, 20)  # read each 15 s
        assert "channels" in exporter.get("/-/ready").text
        write(apart, 2)
        wait_until(lambda: requests(exporter) == 4)
    for name in ("main", "logs_apart"):
        mariadb.drop_database(name)
