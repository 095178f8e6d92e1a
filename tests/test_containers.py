"""The image and the compose file in a real engine: built, started, watched until a channel is off.

Skipped, and said so, where there is none: a Docker with its compose plug-in, or podman with one.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.compose import FILE, ROOT
from tests.servers.process import free_port, wait_until
from tests.stopped import enabled, stopped
from tests.test_image import context

pytestmark = pytest.mark.timeout(1800)

SETTINGS = {
    "BREAKER_TOKEN": "only-for-tests-0123456789",
    "GRAFANA_ADMIN_PASSWORD": "only-for-tests",
    "BREAKER_MODE": "enforce",
    "MONITOR_IMAGE": "localhost/newapi-monitor:test",
}
RUNNING = ("exporter", "breaker", "newapi-prometheus", "newapi-alertmanager", "newapi-grafana")


def engine() -> list[str] | None:
    """Give the command of an engine that answers and has compose."""
    for name in ("docker", "podman"):
        program = shutil.which(name)
        if program and all(
            subprocess.run([program, *words], capture_output=True, check=False).returncode == 0
            for words in (("info",), ("compose", "version"))
        ):
            return [program, "compose"]
    return None


class Composition:
    """The compose file in a folder of its own, with its own image, volumes and port."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self.port = free_port()
        self._command = [*command, "-p", "newapi-monitor-test", "--profile", "demo"]
        self._folder = folder
        context(folder)
        for file in (FILE, ROOT / "Dockerfile", ROOT / ".dockerignore"):
            shutil.copy(file, folder)
        settings = SETTINGS | {"GRAFANA_PORT": f"127.0.0.1:{self.port}"}
        lines = (f"{name}={value}\n" for name, value in settings.items())
        (folder / ".env").write_text("".join(lines))
        (folder / "alerts").mkdir()
        shutil.copy(ROOT / "demo" / "alerts.yml", folder / "alerts")

    def run(self, *words: str, check: bool = True) -> str:
        done = subprocess.run(
            [*self._command, *words],
            cwd=self._folder, capture_output=True, text=True, check=False, timeout=1200,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def inside(self, service: str, command: str, *, check: bool = True) -> str:
        """Run a line of shell in a container."""
        return self.run("exec", "-T", service, "sh", "-c", command, check=check).strip()


@pytest.fixture(scope="module")
def composition(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composition]:
    command = engine()
    if command is None:
        pytest.skip("no container engine with compose here: image and containers are not tested")
    found = Composition(command, tmp_path_factory.mktemp("composition"))
    try:
        found.run("build")
        found.run("up", "-d")
        yield found
    finally:
        found.run("down", "--volumes", "--timeout", "5", check=False)


@pytest.mark.parametrize("service", RUNNING)
def test_a_container_is_a_normal_user_on_a_read_only_root(
    composition: Composition, service: str
) -> None:
    assert composition.inside(service, "id -u") == "65534"
    mounts = [line.split() for line in composition.inside(service, "cat /proc/mounts").splitlines()]
    assert [options.split(",")[0] for _, place, _, options, *_ in mounts if place == "/"] == ["ro"]
    status = composition.inside(service, "cat /proc/1/status")
    assert {line.split()[1] for line in status.splitlines() if line.startswith("Cap")} == {"0" * 16}
    assert "NoNewPrivs:\t1" in status


def test_grafana_alone_is_reached_and_has_the_history(composition: Composition) -> None:
    url = f"http://127.0.0.1:{composition.port}"
    admin = ("admin", SETTINGS["GRAFANA_ADMIN_PASSWORD"])

    def healthy() -> bool:
        try:
            return requests.get(f"{url}/api/health", timeout=5).ok
        except requests.RequestException:
            return False

    wait_until(healthy, 120)
    assert requests.get(f"{url}/api/search", timeout=10).status_code == 401
    found = requests.get(f"{url}/api/search?type=dash-db", auth=admin, timeout=10).json()
    assert len(found) == 22
    query = "/api/datasources/proxy/uid/prometheus/api/v1/query"
    past = {"query": "count(newapi_requests_total offset 20d)"}
    (result,) = requests.get(f"{url}{query}", past, auth=admin, timeout=10).json()["data"]["result"]
    assert float(result["value"][1]) > 0


def test_the_runaway_channel_of_the_demo_is_switched_off(composition: Composition) -> None:
    """Held to what tests/test_end_to_end.py asserts, but for the message: no Telegram is there."""

    def ask(sql: str) -> Any:
        code = "import json, sqlite3, sys; db = sqlite3.connect('file:/gateway/one-api.db?mode=ro',"
        code += " uri=True); print(json.dumps(db.execute(sys.argv[1]).fetchall()))"
        return json.loads(composition.run("exec", "-T", "exporter", "python", "-c", code, sql))

    def tripped() -> list[Any]:
        history = composition.inside("breaker", "newapi-breaker history --json --result tripped")
        return list(json.loads(history))

    others = enabled(ask)
    trip = wait_until(tripped, 400)[0]
    assert trip["action"] == "disable_channel"
    assert trip["value"] >= trip["threshold"]
    stopped(ask, int(trip["target"]), trip["rule"], others, 10)
    assert len(tripped()) == 1
    metrics = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9848/metrics').read().decode())"
    page = composition.run("exec", "-T", "breaker", "python", "-c", metrics)
    held = f'newapi_breaker_held{{id="{trip["target"]}",kind="channel"}} 1.0'
    assert held in page


def test_everything_says_that_it_is_healthy(composition: Composition) -> None:
    def unhealthy() -> list[str]:
        listed = composition.run("ps", "--format", "json")
        lines = (
            json.loads(listed)
            if listed.startswith("[")
            else map(json.loads, listed.split("\n")[:-1])
        )
        states = {entry["Service"]: entry.get("Health") for entry in lines}
        return [name for name in RUNNING if states.get(name) != "healthy"]

    wait_until(lambda: not unhealthy(), 120, "every health check passes")
