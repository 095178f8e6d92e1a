"""History: what a real Prometheus answers about the past equals SQL, and nothing is lost after."""

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from demo.load import load
from demo.schema import create
from demo.world import Sizes
from exporter.settings import ExporterSettings
from exporter.state import State
from newapi.dsn import parse_dsn
from newapi.schema import Flavour
from service.settings import SettingError
from service.settings import load as load_settings
from tests.oracle import COUNTED, differences, newapi_sums
from tests.programs import Exporter, Samples
from tests.servers import Prometheus
from tests.servers.process import wait_until
from tests.servers.prometheus import promtool

COMMAND = (str(Path(sys.executable).parent / "newapi-exporter"), "backfill")
DAY, HOUR = 86400, 3600
SMALL = Sizes(channels=3, keys=5, users=4)
NEVER = "scrape_configs: []"
SCRAPE = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: newapi
    static_configs: [{{targets: ["{target}"]}}]
"""
MEASURES = {
    "newapi_requests_total": "COUNT(*)",
    "newapi_tokens_total": "SUM(prompt_tokens + completion_tokens)",
    "newapi_quota_total": "SUM(quota)",
}


def backfill(dsn: str, state: str | Path, out: Path, *arguments: str, **settings: str) -> str:
    """Run the command to its end; what it said."""
    done = attempt(dsn, state, out, *arguments, **settings)
    assert done.returncode == 0, done.stderr
    return done.stderr


def attempt(
    dsn: str, state: str | Path, out: Path, *arguments: str, **settings: str
) -> subprocess.CompletedProcess[str]:
    given = {"SQL_DSN": dsn, "EXPORTER_STATE": str(state), **settings}
    return subprocess.run(
        [*COMMAND, "--out", out, *arguments],
        env=os.environ | given,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


@pytest.fixture
def engine(gateway_url: str) -> Iterator[Engine]:
    """The gateway's tables, empty."""
    create(parse_dsn(gateway_url))
    engine = create_engine(parse_dsn(gateway_url))
    yield engine
    engine.dispose()


def by_hour(engine: Engine, sql: str, begin: int, end: int) -> dict[tuple[str, int], float]:
    """What SQL finds by channel for each hour that ends after `begin` and not after `end`."""
    statement = text(
        f"SELECT channel_id, created_at - created_at % {HOUR} + {HOUR}, {sql} FROM logs"
        f" WHERE type = 2 AND created_at >= {begin} AND created_at < {end} GROUP BY 1, 2"
    )
    with engine.connect() as connection:
        rows = connection.execute(statement).fetchall()
    return {(str(c), int(h)): float(value) for c, h, value in rows if value}


def answered(
    prometheus: Prometheus, promql: str, begin: int, end: int
) -> dict[tuple[str, int], float]:
    """What Prometheus answers by channel for the same hours."""
    answer = prometheus.get(
        "/api/v1/query_range", query=promql, start=str(begin + HOUR), end=str(end), step=str(HOUR)
    )
    return {
        (series["metric"]["channel_id"], int(moment)): float(value)
        for series in answer["data"]["result"]
        for moment, value in series["values"]
        if float(value)
    }


def assert_hours_equal_sql(prometheus: Prometheus, engine: Engine, begin: int, end: int) -> None:
    for metric, sql in MEASURES.items():
        expected = by_hour(engine, sql, begin, end)
        assert expected
        now = f"sum by (channel_id) ({metric})"
        before = f"(sum by (channel_id) ({metric} offset 1h) or {now} * 0)"
        assert answered(prometheus, f"{now} - {before}", begin, end) == expected, metric
        growth = f"sum by (channel_id) (increase({metric}[1h]))"
        assert answered(prometheus, growth, begin, end) == pytest.approx(expected), metric


def test_a_failure_that_claims_to_be_of_later_is_settled_soon(tmp_path: Path) -> None:
    dsn = f"sqlite:///{tmp_path}/one-api.db"
    create(parse_dsn(dsn))
    engine = create_engine(parse_dsn(dsn))
    row = "INSERT INTO logs (created_at, type, channel_id, token_id, request_id) VALUES"
    with engine.begin() as connection:
        connection.execute(text(f"{row} ({int(time.time()) - DAY}, 2, 7, 5, 'won')"))
        connection.execute(text(f"{row} (4102444800, 5, 7, 5, 'lost')"))
    engine.dispose()
    backfill(dsn, tmp_path / "state", tmp_path / "out", "--days", "2")
    (failure,) = State(tmp_path / "state").failures()
    assert failure.request_id == "lost"
    assert failure.created_at <= time.time()


def test_thirty_days_hour_by_hour(tmp_path: Path) -> None:
    dsn = f"sqlite:///{tmp_path}/one-api.db"
    create(parse_dsn(dsn))
    engine = create_engine(parse_dsn(dsn))
    write(engine, int(time.time()))
    with Prometheus(NEVER, "--storage.tsdb.retention.time=40d") as prometheus:
        prometheus.stop()
        said = backfill(dsn, tmp_path / "state", prometheus.data, "--days", "30")
        assert "history is complete" in said
        prometheus.start()
        begin, end = hours(30)
        assert (end - begin) / HOUR >= 719
        assert_hours_equal_sql(prometheus, engine, begin, end)
        assert_grows(prometheus, begin, end)
        assert_failed_requests_equal_sql(prometheus, engine)
    engine.dispose()


def assert_failed_requests_equal_sql(prometheus: Prometheus, engine: Engine) -> None:
    """Requests of which no attempt succeeded, by then for a quarter of an hour."""
    moment = last_sample(prometheus)
    statement = text(
        "SELECT COUNT(*) FROM (SELECT request_id FROM logs WHERE type IN (2, 5)"
        f" AND created_at >= {int(moment - 30 * DAY) // HOUR * HOUR} GROUP BY request_id"
        f" HAVING MIN(type) = 5 AND MAX(created_at) <= {moment - 900}) AS failed"
    )
    with engine.connect() as connection:
        expected = connection.execute(statement).scalar_one()
    (failed,) = prometheus.query("sum(newapi_failed_requests_total)", at=moment + 1)
    assert failed.value == expected > 0


def write(engine: Engine, now: int, days: int = 31, rows: int = 6000) -> None:
    """Requests on two channels, the second of which is new; many come at full hours."""
    rng = random.Random("the past")
    chosen: list[dict[str, Any]] = []
    channel = moment = 0
    for number in range(rows):
        if number % 2:  # the second attempt of the same request
            moment += rng.randrange(60)
        else:
            channel = rng.choice((7, 8))
            moment = now - rng.randrange(60, days * DAY // (1 if channel == 7 else 3))
            if rng.random() < 0.5:
                moment = moment // HOUR * HOUR + rng.choice((-1, 0, 0, 0, 1, 239, 240, 241))
        chosen.append(
            {
                "created_at": moment,
                "type": rng.choice((2, 2, 2, 2, 5, 6, 1)),
                "channel_id": channel,
                "token_id": 1,
                "user_id": 1,
                "model_name": "gpt-4o",
                "quota": rng.randrange(10**6),
                "prompt_tokens": rng.randrange(10**5),
                "completion_tokens": rng.randrange(10**4),
                "use_time": rng.randrange(400),
                "request_id": f"request {number // 2}",
                "token_name": "key",
                "other": "{}",
            }
        )
    chosen.sort(key=lambda row: row["created_at"])
    insert(engine, chosen)


def insert(engine: Engine, rows: list[dict[str, Any]]) -> None:
    names = list(rows[0])
    places = ", ".join(f":{name}" for name in names)
    with engine.begin() as connection:
        connection.execute(text(f"INSERT INTO logs ({', '.join(names)}) VALUES ({places})"), rows)


def assert_grows(prometheus: Prometheus, begin: int, end: int) -> None:
    """From its first appearance on, a series is there at any moment, and never decreases."""
    step = max((end - begin) // 5000, 1)
    for metric in COUNTED:
        answer = prometheus.get(
            "/api/v1/query_range", query=metric, start=str(begin), end=str(end), step=str(step)
        )
        for series in answer["data"]["result"]:
            moments = [int(moment) for moment, _ in series["values"]]
            values = [float(value) for _, value in series["values"]]
            assert moments == list(range(moments[0], end + 1, step)), series["metric"]
            assert values == sorted(values), series["metric"]


def hours(days: int) -> tuple[int, int]:
    """The full hours of a backfill that has just been made."""
    now = int(time.time())
    return (now // HOUR + 1 - days * 24) * HOUR, now // HOUR * HOUR


def test_nothing_is_lost_or_doubled_at_the_seam(gateway_url: str, engine: Engine) -> None:
    url = parse_dsn(gateway_url)
    now = int(time.time())
    load(url, rows=3000, start=now - DAY + 60, end=now, sizes=SMALL)
    late = take_out(engine)
    ahead(engine, now + 90)
    exporter = Exporter({"SQL_DSN": gateway_url, "POLL_INTERVAL": "1", "NEW_SERIES_HOLD": "5"})
    target = exporter.settings["EXPORTER_LISTEN"]
    with Prometheus(SCRAPE.format(target=target)) as prometheus:
        prometheus.stop()
        state = exporter.settings["EXPORTER_STATE"]
        backfill(gateway_url, state, prometheus.data, "--days", "1", EXPORTER_LISTEN=target)
        insert(engine, [late])
        begin = int(last_sample(prometheus))
        load(url, rows=1500, start=begin, end=begin + 5, seed=2)
        with exporter:
            prometheus.start()
            expected = newapi_sums(gateway_url)
            wait_until(lambda: differences(exporter.metrics(), expected) == [], 30)
            live = exporter.metrics()
            scraped = wait_until(lambda: scrape_of(prometheus, expected), 30, "a scrape of that")
        assert_same_names(stored(prometheus, begin + 1), live)
        assert_grows(prometheus, begin - HOUR, scraped)
        first, _ = hours(1)
        end = (begin - 900) // HOUR * HOUR  # what came late is in no block
        assert_hours_equal_sql(prometheus, engine, first, end)


def scrape_of(prometheus: Prometheus, expected: Samples) -> int:
    """The unix second at which Prometheus has what is expected; 0 where it has not."""
    now = int(time.time())
    return 0 if differences(stored(prometheus, now), expected) else now


def take_out(engine: Engine) -> dict[str, Any]:
    """Remove a row near the end: it will come later, as from a transaction that took long."""
    columns = "id, created_at, type, channel_id, model_name, user_id, token_id, quota"
    columns += ", prompt_tokens, completion_tokens, use_time, token_name, username, request_id"
    columns += ", content, other"
    with engine.begin() as connection:
        newest = connection.execute(text("SELECT MAX(id) FROM logs")).scalar_one()
        row = connection.execute(
            text(f"SELECT {columns} FROM logs WHERE type = 2 AND id < {newest}"
                 " ORDER BY id DESC LIMIT 1")
        ).one()  # fmt: skip
        connection.execute(text("DELETE FROM logs WHERE id = :id"), {"id": row.id})
    return dict(row._mapping)


def ahead(engine: Engine, moment: int) -> None:
    """Let the newest request have been logged by a node whose clock is ahead."""
    with engine.begin() as connection:
        newest = connection.execute(text("SELECT MAX(id) FROM logs WHERE type = 2")).scalar_one()
        connection.execute(
            text("UPDATE logs SET created_at = :moment WHERE id = :id"),
            {"moment": moment, "id": newest},
        )


def last_sample(prometheus: Prometheus) -> float:
    """The end of the newest block."""
    lines = promtool("tsdb", "list", prometheus.data).stdout.splitlines()[1:]
    return max(int(line.split()[2]) for line in lines) / 1000


def stored(prometheus: Prometheus, at: float) -> Samples:
    """What Prometheus holds of the counters at a moment, without the labels of the scrape."""
    found: Samples = {}
    for sample in prometheus.query('{job="newapi", __name__=~"newapi_.+"}', at=at):
        labels = dict(sample.labels)
        name = labels.pop("__name__")
        del labels["job"], labels["instance"]
        if name in COUNTED:
            found.setdefault(name, {})[frozenset(labels.items())] = sample.value
    return found


def assert_same_names(past: Samples, live: Samples) -> None:
    """Every series of the past goes on in the live ones."""
    assert {name for name in COUNTED if past.get(name)} >= set(MEASURES)
    for name, series in past.items():
        for labels, value in series.items():
            assert live[name].get(labels, -1) >= value, (name, labels)


def test_it_is_refused_once_counting_has_begun(tmp_path: Path) -> None:
    dsn = f"sqlite:///{tmp_path}/one-api.db"
    create(parse_dsn(dsn))
    load(parse_dsn(dsn), rows=50, sizes=SMALL)
    with Exporter({"SQL_DSN": dsn}) as exporter:
        state = exporter.settings["EXPORTER_STATE"]
        done = attempt(dsn, state, tmp_path / "data", "--days", "1")
        assert done.returncode == 2
        assert "another exporter is using this state" in done.stderr
        exporter.stop()
        done = attempt(dsn, state, tmp_path / "data", "--days", "1")
        again = attempt(dsn, state, tmp_path / "data", "--days", "1", "--unless-begun")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "counting has begun" in line
    assert f"remove this folder and {tmp_path / 'data'}" in line
    assert not (tmp_path / "data").exists()
    assert (again.returncode, again.stdout) == (0, "")
    assert f"nothing to do: EXPORTER_STATE={state}: counting has begun" in again.stderr


def test_wrong_settings_are_one_line(tmp_path: Path) -> None:
    dsn = f"sqlite:///{tmp_path}/one-api.db"
    state, out = tmp_path / "state", tmp_path / "data"

    def line(code: int, *arguments: str, **settings: str) -> str:
        done = attempt(dsn, state, out, *arguments, **settings)
        assert done.returncode == code
        (said,) = done.stderr.splitlines()
        return said

    assert line(3, "--days", "1").startswith("log table: ")
    create(parse_dsn(dsn))
    assert line(2) == "BACKFILL_DAYS=0: expected days of history, 1 or more (or --days)"
    assert line(0, "--unless-begun").endswith("nothing to do: BACKFILL_DAYS=0")
    assert line(2, "--days", "soon").startswith("BACKFILL_DAYS=soon: expected whole days")
    assert line(2, "--days", "1", PROMTOOL="/nowhere").startswith("PROMTOOL=/nowhere")
    assert line(2, "--days", "1", EXPORTER_URL="host").startswith("EXPORTER_URL=host: expected")


def test_one_api_has_a_past_without_what_it_does_not_log(tmp_path: Path) -> None:
    dsn = f"sqlite:///{tmp_path}/one-api.db"
    create(parse_dsn(dsn), Flavour.ONE_API)
    load(parse_dsn(dsn), rows=300, start=time.time() - 7200, sizes=SMALL)
    exporter = Exporter({"SQL_DSN": dsn})
    state = exporter.settings["EXPORTER_STATE"]
    with Prometheus(NEVER) as prometheus, exporter:
        for server in (prometheus, exporter):
            server.stop()
        shutil.rmtree(state)
        backfill(dsn, state, prometheus.data, "--days", "1")
        for server in (prometheus, exporter):
            server.start()
        past = stored(prometheus, last_sample(prometheus) + 1)
        live = exporter.metrics()
        assert past == {name: live[name] for name in COUNTED if live.get(name)}
        assert past.keys() >= set(MEASURES)
        assert not past.keys() & {"newapi_api_key_requests_total", "newapi_request_errors_total"}


@pytest.mark.parametrize(
    ("url", "listen", "instance"),
    [
        ("", "127.0.0.1:9847", "127.0.0.1:9847"),
        ("", ":9847", "127.0.0.1:9847"),
        ("", "[::]:80", "127.0.0.1:80"),
        ("", "[::1]:9847", "[::1]:9847"),
        ("http://exporter:9847/", ":9847", "exporter:9847"),
    ],
)
def test_samples_carry_the_address_that_prometheus_scrapes(
    monkeypatch: pytest.MonkeyPatch, url: str, listen: str, instance: str
) -> None:
    monkeypatch.setenv("EXPORTER_URL", url)
    assert load_settings(ExporterSettings, exporter_listen=listen).scraped_as() == instance


def test_an_address_without_a_port_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORTER_URL", "https://exporter.example")
    with pytest.raises(
        SettingError, match=r"^EXPORTER_URL \(not shown\): expected http://host:port"
    ):
        load_settings(ExporterSettings).scraped_as()


def test_an_empty_table_leaves_an_exporter_that_counts_from_the_first_row(tmp_path: Path) -> None:
    dsn = f"sqlite:///{tmp_path}/one-api.db"
    create(parse_dsn(dsn))
    exporter = Exporter({"SQL_DSN": dsn, "POLL_INTERVAL": "1"})
    said = backfill(dsn, exporter.settings["EXPORTER_STATE"], tmp_path / "data", "--days", "2")
    assert "0 rows, 0 samples in 0 blocks" in said
    with exporter:
        load(parse_dsn(dsn), rows=200, sizes=SMALL)
        expected = newapi_sums(dsn)
        wait_until(lambda: differences(exporter.metrics(), expected) == [], 20)
