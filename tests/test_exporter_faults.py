"""What the exporter says and does when its settings or its database are wrong."""

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from demo.load import load
from demo.schema import create
from newapi.dsn import parse_dsn
from newapi.schema import Flavour
from tests.programs import Exporter
from tests.servers import MariaDB, Postgres
from tests.servers.process import wait_until

SECRET = "geheim-7d41"
ALIVE = "/-/healthy"


def run(tmp_path: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "newapi-exporter"
    environment = {"PATH": "/usr/bin:/bin", "EXPORTER_STATE": str(tmp_path / "state"), **settings}
    return subprocess.run(
        [program, *arguments],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("SQL_DSN", f"root:{SECRET}@localhost", "user:password@tcp(host:3306)/database"),
        ("SQL_DSN", f"oracle://root:{SECRET}@host/db", "user:password@tcp(host:3306)/database"),
        ("DATABASE_URL", f"postgres://u:{SECRET}@host", "the URL names no database"),
        ("LOG_SQL_DSN", f"clickhouse://u:{SECRET}@host/db", "ClickHouse is not supported"),
        ("EXPORTER_LISTEN", "9847", "host:port"),
        ("POLL_INTERVAL", "0", "whole seconds, 1 to 30"),
        ("POLL_INTERVAL", "31", "whole seconds, 1 to 30"),
        ("EXPORTER_URL", "http://exporter:98470", "http://host:port"),
        ("TZ", "Mars/Olympus", "Asia/Shanghai"),
        ("LOG_LEVEL", "loud", "DEBUG, INFO, WARNING or ERROR"),
        ("EXPORTER_STATE", "/proc/state", "/proc/state"),
    ],
)
def test_a_wrong_setting_is_one_line_and_exit_code_2(
    tmp_path: Path, variable: str, value: str, expected: str
) -> None:
    done = run(tmp_path, **{variable: value})
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("SQL_DSN" if variable == "DATABASE_URL" else variable)
    assert expected in lines[0]
    assert SECRET not in done.stderr + done.stdout


def test_there_is_no_page_before_the_inventory_was_read(mariadb: MariaDB) -> None:
    """It would end the alerts that rest on it."""
    dsn = mariadb.create_database("slow_inventory")
    create(parse_dsn(dsn))
    engine = create_engine(parse_dsn(dsn))
    with Exporter({"SQL_DSN": dsn, "DB_STATEMENT_TIMEOUT": "60"}, ALIVE) as exporter:
        exporter.stop()
        with engine.connect() as connection:
            connection.execute(text("LOCK TABLES channels WRITE"))
            exporter.start()
            reading = "the inventory is being read for the first time since the start"
            wait_until(lambda: reading in exporter.get("/-/ready").text)
            for page in ("/metrics", "/metrics/alerts"):
                assert exporter.get(page).status_code == 503
            connection.execute(text("UNLOCK TABLES"))
        wait_until(lambda: exporter.get("/-/ready").ok)
        name = "newapi_inventory_read_timestamp_seconds"
        assert exporter.metrics("/metrics/alerts")[name][frozenset()] > 0
    engine.dispose()
    mariadb.drop_database("slow_inventory")


def test_an_address_in_use_and_a_state_in_use_are_refused(tmp_path: Path) -> None:
    with Exporter({"SQL_DSN": f"sqlite:///{tmp_path}/none.db"}, ALIVE) as first:
        done = run(tmp_path, EXPORTER_LISTEN=f"127.0.0.1:{first.port}")
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1].startswith(f"cannot listen on 127.0.0.1:{first.port}")
        done = run(tmp_path, EXPORTER_STATE=first.settings["EXPORTER_STATE"])
        assert done.returncode == 2
        assert "another exporter is using this state" in done.stderr


def test_a_sqlite_file_that_is_missing_is_waited_for_and_never_created(tmp_path: Path) -> None:
    file = tmp_path / "one-api.db"
    with Exporter({"SQLITE_PATH": f"{file}?_busy_timeout=30000"}, ALIVE) as exporter:
        wait_until(lambda: "no such file" in exporter.get("/-/ready").text)
        assert exporter.get("/-/ready").status_code == 503
        assert exporter.get("/metrics").status_code == 503
        assert not file.exists()
        create(parse_dsn(f"sqlite:///{file}"))
        wait_until(lambda: exporter.get("/-/ready").ok)
        assert exporter.get("/metrics").ok
    assert_quiet(exporter)


def test_what_one_api_cannot_tell_is_absent_from_the_first_scrape_on(tmp_path: Path) -> None:
    """Also while its inventory cannot be read."""
    logs = f"sqlite:///{tmp_path}/logs.db"
    create(parse_dsn(logs), Flavour.ONE_API)
    settings = {"SQL_DSN": f"sqlite:///{tmp_path}/none.db", "LOG_SQL_DSN": logs}
    with Exporter(settings, ALIVE) as exporter:
        wait_until(lambda: exporter.get("/metrics").ok)
        page = exporter.get("/metrics").text
        assert 'newapi_metric_unavailable{metric="newapi_api_key_requests_total"' in page
        assert "# TYPE newapi_api_key_requests_total" not in page


def test_history_that_was_not_read_is_told_with_the_way_to_it(tmp_path: Path) -> None:
    dsn = f"sqlite:///{tmp_path}/one-api.db"
    create(parse_dsn(dsn))
    with Exporter({"SQL_DSN": dsn, "BACKFILL_DAYS": "30"}) as exporter:
        exporter.stop()
        assert exporter.output.count("BACKFILL_DAYS=30 is not read by serve") == 1
        exporter.start()  # counting has begun: it would be too late
        exporter.stop()
        assert exporter.output.count("BACKFILL_DAYS=30 is not read by serve") == 1


def test_a_table_that_is_missing_is_named_and_waited_for(gateway_url: str) -> None:
    url = parse_dsn(gateway_url)
    with Exporter({"SQL_DSN": gateway_url}, ALIVE) as exporter:
        wait_until(lambda: "logs is missing or not granted" in exporter.get("/-/ready").text)
        create(url)
        wait_until(lambda: exporter.get("/-/ready").ok, 20)
    assert_quiet(exporter)


def test_a_refused_password_is_said_without_it(mariadb: MariaDB) -> None:
    url = parse_dsn(mariadb.create_database("guarded"))
    create(url)
    mariadb.execute("CREATE USER guarded IDENTIFIED BY 'right'")
    dsn = f"guarded:{SECRET}@tcp({url.host}:{url.port})/guarded"
    assert_refused(dsn, "Access denied for user 'guarded'")
    mariadb.execute("DROP USER guarded")
    mariadb.drop_database("guarded")


def test_a_refused_account_is_said_without_its_password(postgres: Postgres) -> None:
    url = parse_dsn(postgres.create_database("guarded"))
    dsn = f"postgres://stranger:{SECRET}@{url.host}:{url.port}/guarded"
    assert_refused(dsn, 'role "stranger" does not exist')
    postgres.drop_database("guarded")


def assert_refused(dsn: str, words: str) -> None:
    with Exporter({"SQL_DSN": dsn}, ALIVE) as exporter:
        wait_until(lambda: words in exporter.get("/-/ready").text)
        assert SECRET not in exporter.get("/-/ready").text + exporter.get("/").text
    assert_quiet(exporter)


@pytest.mark.parametrize("kind", ["mariadb", "postgres"])
def test_a_database_that_is_down_is_waited_for(request: pytest.FixtureRequest, kind: str) -> None:
    server: MariaDB | Postgres = request.getfixturevalue(kind)
    dsn = server.create_database(f"down_{kind}")
    create(parse_dsn(dsn))
    server.stop()
    try:
        with Exporter({"SQL_DSN": dsn, "POLL_INTERVAL": "1"}, ALIVE) as exporter:
            wait_until(lambda: "log table: " in exporter.get("/-/ready").text, 20)
            assert exporter.get("/metrics").status_code == 503
            server.start()
            wait_until(lambda: exporter.get("/-/ready").ok, 30)
            load(parse_dsn(dsn), rows=100)
            wait_until(lambda: "newapi_requests_total" in exporter.metrics(), 20)
            seen = exporter.metrics()["newapi_requests_total"]

            server.stop(crash=True)
            wait_until(lambda: not exporter.get("/-/ready").ok, 20)
            assert exporter.metrics()["newapi_requests_total"] == seen
            server.start()
            wait_until(lambda: exporter.get("/-/ready").ok, 30)
        assert_quiet(exporter)
    finally:
        if not server.running:
            server.start()
        server.drop_database(f"down_{kind}")


def test_one_api_has_latency_but_no_failures_and_says_why(gateway_url: str) -> None:
    url = parse_dsn(gateway_url)
    create(url, Flavour.ONE_API)
    with Exporter({"SQL_DSN": gateway_url, "POLL_INTERVAL": "1"}) as exporter:
        load(url, rows=2000)
        engine = create_engine(url)
        with engine.connect() as connection:
            sums = connection.execute(
                text("SELECT COUNT(*), SUM(elapsed_time), SUM(quota) FROM logs WHERE type = 2")
            )
            requests, milliseconds, quota = sums.one()
        engine.dispose()
        wait_until(
            lambda: sum(exporter.metrics().get("newapi_requests_total", {}).values()) == requests
        )
        metrics = exporter.metrics()
        seconds = sum(metrics["newapi_request_duration_seconds_sum"].values())
        assert seconds == pytest.approx(float(milliseconds) / 1000)
        assert sum(metrics["newapi_quota_total"].values()) == float(quota)
        assert "newapi_request_errors_total" not in metrics
        assert "newapi_api_key_requests_total" not in metrics
        reasons = {
            dict(series)["metric"]: dict(series)["reason"]
            for series in metrics["newapi_metric_unavailable"]
        }
        assert reasons["newapi_request_errors_total"] == "One API logs no failed attempts"
        assert "token_id" in reasons["newapi_api_key_requests_total"]
        assert "One API" in exporter.get("/").text


def assert_quiet(exporter: Exporter) -> None:
    """No traceback, no secret, and a fault that lasts is not said at every poll."""
    assert "Traceback" not in exporter.output
    assert SECRET not in exporter.output
    lines = [line.split(" ", 1)[1] for line in exporter.output.splitlines() if " " in line]
    assert len(lines) == len(set(lines)), exporter.output
