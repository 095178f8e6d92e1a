"""The dashboards in a real Grafana, where GRAFANA names one: no distribution has packages of it."""

import html
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
from grafana.panels import NOTHING
from service.binaries import MissingBinaryError, find
from service.settings import load
from tests.grafana_queries import dashboard, panels, statements
from tests.servers.process import Server
from tests.test_grafana_history import NOTHING_TO_SHOW, Chain, chain

__all__ = ["chain"]

DASHBOARDS = sorted(
    f"newapi-{path.stem}-{language}"
    for language in ("en", "zh")
    for path in Path(str(files("grafana") / "dashboards" / language)).glob("*.json")
)
PICTURES = Path(os.environ.get("SCREENSHOTS") or Path(__file__).parents[1] / "docs" / "screenshots")
"""Where a picture of each is kept."""

ERRORS = (
    "Panel status error",
    "Templating [",
    "An unexpected error",
    "Dashboard not found",
    "No data",
    "was not found",
)
"""What Grafana writes where something failed, or where a panel has nothing and no text for it."""


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

    def __init__(self, program: Path, prometheus_url: str, dsn: str) -> None:
        super().__init__()
        self.url = f"http://127.0.0.1:{self.port}"
        self._program = program
        settings = load(
            RenderSettings,
            prometheus_url=prometheus_url,
            breaker_token="a-token-of-the-tests",
            grafana_sql_dsn=dsn,
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

    def has_plugin(self, name: str) -> bool:
        return requests.get(f"{self.url}/api/plugins/{name}/settings", timeout=10).ok

    def get(self, path: str) -> Any:
        answer = requests.get(f"{self.url}{path}", timeout=10)
        answer.raise_for_status()
        return answer.json()


@pytest.fixture(scope="module")
def grafana(chain: Chain) -> Iterator[Grafana]:
    assert GRAFANA is not None
    dsn = chain.engine.url.render_as_string(hide_password=False)
    with Grafana(GRAFANA, chain.prometheus.url, dsn) as server:
        yield server


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_every_dashboard_is_provisioned(grafana: Grafana, uid: str) -> None:
    found = grafana.get(f"/api/dashboards/uid/{uid}")
    assert found["meta"]["provisioned"]
    assert "failed to load" not in grafana.log.read_text(errors="replace")


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_every_dashboard_opens(grafana: Grafana, uid: str, tmp_path: Path) -> None:
    """Every panel is drawn, shows no error, and has something to show but for what is listed."""
    browser = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if browser is None:
        pytest.skip("no Chromium here: CHROMIUM names none")
    name, _, language = uid.removeprefix("newapi-").rpartition("-")
    model = dashboard(language, name)
    if statements(model) and not grafana.has_plugin("frser-sqlite-datasource"):
        pytest.skip("no source for SQLite here: GF_PATHS_PLUGINS names no folder that has it")
    # As high as the dashboard is: a panel that is out of sight is not loaded. 38 pixels a row.
    rows = max(one["gridPos"]["y"] + one["gridPos"]["h"] for one in model["panels"])
    page = f"{grafana.url}/d/{uid}?from=now-30d&to=now&var-row=100&kiosk"
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        f"--user-data-dir={tmp_path}/profile", "--virtual-time-budget=20000",
        f"--window-size=1440,{rows * 38 + 200}",
    ]  # fmt: skip
    PICTURES.mkdir(parents=True, exist_ok=True)
    picture = PICTURES / f"{uid}.png"
    _, shown = (
        html.unescape(subprocess.run(
            [*command, what, page], capture_output=True, text=True, timeout=90, check=True
        ).stdout)
        for what in (f"--screenshot={picture}", "--dump-dom")
    )  # fmt: skip
    assert picture.stat().st_size > 20_000
    assert [sign for sign in ERRORS if sign in shown] == []
    assert [panel["title"] for panel in panels(model) if panel["title"] not in shown] == []
    assert _empty(model, shown) == []


def _empty(model: dict[str, Any], shown: str) -> list[str]:
    """The panels whose text for "nothing" is shown, but for those that have nothing to show.

    By their place in the English dashboard, since titles differ.
    """
    name, _, _ = model["uid"].removeprefix("newapi-").rpartition("-")
    nothing = {panel.split("/")[1] for panel in NOTHING_TO_SHOW if panel.startswith(f"{name}/")}
    return [
        panel["title"]
        for panel, english in zip(panels(model), panels(dashboard("en", name)), strict=True)
        if (text := panel["fieldConfig"]["defaults"]["noValue"]) != NOTHING
        and text in shown
        and english["title"] not in nothing
    ]
