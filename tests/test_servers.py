"""The servers that the other tests rest on: each starts, answers, stops, and comes back."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine, make_url, text

from service.binaries import MissingBinaryError, find
from tests.servers import (
    Alertmanager,
    MariaDB,
    Postgres,
    Prometheus,
    Server,
    ServerError,
    amtool,
    promtool,
    wait_until,
)

PROMETHEUS = "rule_files: [rules/*.yml]\n"
RULES = "groups: [{name: g, interval: 1s, rules: [{record: seven, expr: '7'}]}]\n"
ALERTMANAGER = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"
STARTS: dict[str, Callable[[], Server]] = {
    "mariadb": MariaDB,
    "postgres": Postgres,
    "prometheus": lambda: Prometheus(PROMETHEUS, rules={"r.yml": RULES}),
    "alertmanager": lambda: Alertmanager(ALERTMANAGER),
}


@pytest.fixture(params=sorted(STARTS))
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with STARTS[request.param]() as server:
        yield server


@pytest.mark.parametrize("crash", [False, True], ids=["stopped", "crashed"])
def test_comes_back_on_its_port(server: Server, crash: bool) -> None:
    first, port = server.pid, server.port
    server.stop(crash=crash)
    assert not server.answers()
    assert not server.running
    server.start()
    assert server.answers()
    assert server.port == port
    assert server.pid != first


def test_leaves_nothing_behind(server: Server) -> None:
    process = psutil.Process(server.pid)
    family = [process, *process.children(recursive=True)]
    server.close()
    psutil.wait_procs(family, timeout=5)
    assert not any(member.is_running() for member in family)
    assert not server.folder.exists()


def test_ends_with_a_test_run_that_is_killed() -> None:
    program = (
        "import os, signal\n"
        "from tests.servers import MariaDB, Postgres\n"
        "for server in (MariaDB(), Postgres()):\n"
        "    server.start()\n"
        "    print(server.pid, server.folder, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert run.returncode == -signal.SIGKILL, run.stderr
    servers = [line.split() for line in run.stdout.splitlines()]
    assert len(servers) == 2
    try:
        wait_until(lambda: not any(psutil.pid_exists(int(pid)) for pid, _ in servers), 15)
    finally:
        for _, folder in servers:
            shutil.rmtree(folder, ignore_errors=True)


def test_a_failure_shows_the_log() -> None:
    with pytest.raises(ServerError, match="no_such_setting"), Postgres("no_such_setting=1"):
        pass


def test_rows_survive_a_crash(mariadb: MariaDB, postgres: Postgres) -> None:
    for server in (mariadb, postgres):
        url = make_url(server.create_database("survivor"))
        driver = {"mysql": "mysql+pymysql", "postgresql": "postgresql+psycopg"}[url.drivername]
        server.execute(
            "CREATE TABLE t (id INTEGER)", "INSERT INTO t VALUES (7)", database="survivor"
        )
        server.stop(crash=True)
        server.start()
        engine = create_engine(url.set(drivername=driver))
        with engine.connect() as connection:
            assert connection.execute(text("SELECT id FROM t")).scalars().all() == [7]
        engine.dispose()
        server.drop_database("survivor")


def test_gateway_url_is_a_fresh_database(gateway_url: str) -> None:
    url = make_url(gateway_url)
    if url.drivername == "sqlite":
        assert Path(url.database or "").stat().st_size == 0
        return
    driver = {"mysql": "mysql+pymysql", "postgresql": "postgresql+psycopg"}[url.drivername]
    engine = create_engine(url.set(drivername=driver))
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE once (id INTEGER)"))
        connection.commit()
    engine.dispose()


def test_prometheus_answers_queries_and_reloads() -> None:
    with Prometheus(PROMETHEUS, rules={"r.yml": RULES}) as prometheus:
        samples = wait_until(lambda: prometheus.query("seven"), 10)
        assert samples[0].value == 7
        assert samples[0].labels == {"__name__": "seven"}
        assert prometheus.query("scalar(vector(3))")[0].value == 3
        (prometheus.rules / "r.yml").write_text("groups: [{no: yes}]\n")
        with pytest.raises(ServerError, match="answered 500"):
            prometheus.reload()
        (prometheus.rules / "r.yml").write_text(RULES.replace("'7'", "'8'"))
        prometheus.reload()
        wait_until(lambda: [sample.value for sample in prometheus.query("seven")] == [8], 10)
        assert prometheus.alerts() == []


def test_alertmanager_takes_alerts() -> None:
    with Alertmanager(ALERTMANAGER) as alertmanager:
        alertmanager.send([{"labels": {"alertname": "A"}}])
        found = wait_until(alertmanager.alerts)
        assert found[0]["labels"] == {"alertname": "A"}
        alertmanager.reload()


def test_tools_answer(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yml", tmp_path / "bad.yml"
    good.write_text(RULES)
    bad.write_text(RULES.replace("'7'", "'7 +'"))
    assert "SUCCESS" in promtool("check", "rules", good).stdout
    with pytest.raises(AssertionError, match="parse error"):
        promtool("check", "rules", bad)
    assert promtool("check", "rules", bad, check=False).returncode
    good.write_text(ALERTMANAGER)
    assert "SUCCESS" in amtool("check-config", good).stdout


def test_a_missing_binary_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMETHEUS", "/nowhere/prometheus")
    with pytest.raises(MissingBinaryError, match="PROMETHEUS=/nowhere/prometheus"):
        find("prometheus")
    monkeypatch.delenv("PROMETHEUS")
    monkeypatch.setattr("service.binaries._places", lambda _: iter(()))
    with pytest.raises(MissingBinaryError) as caught:
        find("prometheus")
    assert str(caught.value) == "prometheus is missing: name it in PROMETHEUS or run `make servers`"


def test_a_tool_stands_beside_its_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("prometheus", "promtool"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PROMETHEUS", str(tmp_path / "prometheus"))
    monkeypatch.delenv("PROMTOOL", raising=False)
    assert find("promtool") == tmp_path / "promtool"
