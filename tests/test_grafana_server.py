"""The dashboards in a real Grafana, where GRAFANA names one: no distribution has packages of it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import requests

from deploy.render import render
from deploy.settings import RenderSettings
from service.binaries import MissingBinaryError, find
from service.settings import load
from tests.servers.process import Server
from tests.test_grafana_history import Chain, chain

__all__ = ["chain"]

DASHBOARDS = sorted(
    f"newapi-{path.stem}-{language}"
    for language in ("en", "zh")
    for path in Path(str(files("grafana") / "dashboards" / language)).glob("*.json")
)


def _grafana() -> Path | None:
    try:
        return find("grafana")
    except MissingBinaryError:
        return None


GRAFANA = _grafana()
if GRAFANA is None:
    pytest.skip("no Grafana here: GRAFANA names no binary", allow_module_level=True)


class Grafana(Server):
    """A Grafana with our provisioning, that anybody may look at."""

    name = "grafana"

    def __init__(self, program: Path, prometheus_url: str) -> None:
        super().__init__()
        self.url = f"http://127.0.0.1:{self.port}"
        self._program = program
        settings = load(
            RenderSettings, prometheus_url=prometheus_url, breaker_token="a-token-of-the-tests"
        )
        render(settings, self.folder / "config")

    def command(self) -> list[str]:
        settings = {
            "GF_PATHS_DATA": self.folder / "data",
            "GF_PATHS_PROVISIONING": self.folder / "config" / "grafana" / "provisioning",
            "GF_SERVER_HTTP_ADDR": "127.0.0.1",
            "GF_SERVER_HTTP_PORT": self.port,
            "GF_AUTH_ANONYMOUS_ENABLED": "true",
            "GF_AUTH_ANONYMOUS_ORG_ROLE": "Admin",
            "GF_ANALYTICS_REPORTING_ENABLED": "false",
            "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        }
        home = self._program.resolve().parent.parent
        given = [f"{name}={value}" for name, value in settings.items()]
        return ["env", *given, str(self._program), "server", f"--homepath={home}"]

    def answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/api/health", timeout=5).ok
        except requests.RequestException:
            return False

    def get(self, path: str) -> Any:
        answer = requests.get(f"{self.url}{path}", timeout=10)
        answer.raise_for_status()
        return answer.json()


@pytest.fixture(scope="module")
def grafana(chain: Chain) -> Iterator[Grafana]:
    assert GRAFANA is not None
    with Grafana(GRAFANA, chain.prometheus.url) as server:
        yield server


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_every_dashboard_is_provisioned(grafana: Grafana, uid: str) -> None:
    found = grafana.get(f"/api/dashboards/uid/{uid}")
    assert found["meta"]["provisioned"]
    assert "failed to load" not in grafana.log.read_text(errors="replace")


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_every_dashboard_opens(grafana: Grafana, uid: str, tmp_path: Path) -> None:
    """No panel shows an error. Where SCREENSHOTS names a folder, pictures are kept there."""
    browser = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if browser is None:
        pytest.skip("no Chromium here: CHROMIUM names none")
    picture = Path(os.environ.get("SCREENSHOTS") or tmp_path) / f"{uid}.png"
    done = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            f"--user-data-dir={tmp_path}/profile", "--virtual-time-budget=20000",
            "--window-size=1440,2400", f"--screenshot={picture}", "--dump-dom",
            f"{grafana.url}/d/{uid}?from=now-30d&to=now&kiosk",
        ],
        capture_output=True, text=True, timeout=90, check=True,
    )  # fmt: skip
    assert picture.stat().st_size > 20_000
    for sign in (
        "Panel status error",
        "Templating [",
        "An unexpected error",
        "Dashboard not found",
    ):
        assert sign not in done.stdout
