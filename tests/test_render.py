"""What `newapi-monitor render` writes, checked by the servers' own tools."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.servers import amtool, promtool

REPOSITORY = Path(__file__).parent.parent

BASE = {"BREAKER_TOKEN": "a-token-of-the-tests", "PATH": os.environ["PATH"]}
TELEGRAM = {"TELEGRAM_BOT_TOKEN": "1:secret'\"{{ x }}", "TELEGRAM_CHAT_ID": "-1001234567890"}


def render(out: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "newapi-monitor", "render", "--out", out],
        env={**BASE, **settings},
        cwd=out.parent,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("language", ["en", "zh"])
def test_links_lead_to_this_grafana_and_to_the_runbook(tmp_path: Path, language: str) -> None:
    runbook = "https://wiki.example/runbook/"
    settings = {"MONITOR_LANG": language, "GRAFANA_URL": "https://mon.example/g/"}
    done = render(tmp_path / "out", **settings, RUNBOOK_URL=runbook)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "out" / "prometheus" / "rules"
    rules = {path.stem: path.read_text() for path in folder.iterdir()}
    assert "127.0.0.1:3001" not in "".join(rules.values())
    monitor = f"dashboard_url: https://mon.example/g/d/newapi-monitor-{language}\n"
    assert monitor in rules["monitor"]
    assert f"https://mon.example/g/d/newapi-errors-{language}{{{{" in rules["error_rate"]
    assert f"{{{{ end }}}}-{language}{{{{ if and" in rules["cost"]
    assert "runbook_url: https://wiki.example/runbook#newapicost\n" in rules["cost"]
    assert done.returncode == 0
    assert render(tmp_path / "out", **settings).returncode == 0
    assert "runbook" not in "".join(path.read_text() for path in folder.iterdir())


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("telegram", [{}, TELEGRAM], ids=["silent", "telegram"])
def test_the_servers_take_what_is_rendered(
    tmp_path: Path, language: str, telegram: dict[str, str]
) -> None:
    out = tmp_path / "config"
    done = render(out, MONITOR_LANG=language, **telegram)
    assert done.returncode == 0, done.stderr
    assert ("no TELEGRAM_BOT_TOKEN" in done.stderr) == (not telegram)
    assert "secret" not in done.stdout + done.stderr
    promtool("check", "config", out / "prometheus" / "prometheus.yml")
    amtool("check-config", out / "alertmanager" / "alertmanager.yml")
    for path in out.rglob("*"):
        if path.is_file():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    again = render(out, MONITOR_LANG=language, **telegram)
    assert again.stdout == done.stdout
    assert (out / "grafana" / "language").read_text() == {"en": "en-US", "zh": "zh-Hans"}[language]


def test_the_database_of_the_dashboards_is_the_one_that_is_named(tmp_path: Path) -> None:
    out = tmp_path / "config"
    sources = out / "grafana" / "provisioning" / "datasources" / "database.yml"
    assert render(out).returncode == 0
    assert "datasources: []" in sources.read_text()
    done = render(out, GRAFANA_SQL_DSN="grafana:hidden@tcp(db:3307)/newapi")
    assert "hidden" not in done.stdout + done.stderr
    assert 'url: "db:3307"' in sources.read_text()
    assert 'password: "hidden"' in sources.read_text()


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"BREAKER_TOKEN": ""}, "BREAKER_TOKEN is not set: expected"),
        # As the breaker says it, which is given the same one.
        ({"BREAKER_TOKEN": "geheim"}, "BREAKER_TOKEN has a wrong value (not shown): expected"),
        ({**TELEGRAM, "TELEGRAM_CHAT_ID": "group"}, "TELEGRAM_CHAT_ID=group: expected"),
        ({"TELEGRAM_BOT_TOKEN": "1:x"}, "TELEGRAM_CHAT_ID is not set: expected"),
        ({"PROMETHEUS_URL": "prometheus"}, "PROMETHEUS_URL=prometheus: expected http://host"),
        ({"GRAFANA_SQL_DSN": "x"}, "GRAFANA_SQL_DSN has a wrong value (not shown): expected"),
        ({"MONITOR_LANG": "fr"}, "MONITOR_LANG=fr: expected en or zh"),
    ],
)
def test_a_wrong_setting_is_one_line(tmp_path: Path, settings: dict[str, str], line: str) -> None:
    done = render(tmp_path / "config", **settings)
    assert done.returncode == 2
    assert done.stderr.startswith(line)
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ("alertname=NewAPITokenUsageTrip purpose=trip rule=r notify=telegram", "breaker"),
        *((f"alertname=NewAPITokenUsage rule=r notify=telegram repeat={repeat} each={each}",
           "breaker,telegram") for repeat in ("1h", "6h", "24h") for each in ("true", "false")),
        ("alertname=NewAPITokenUsage rule=r notify=none repeat=1h each=false", "breaker,null"),
        ("alertname=NewAPIBreakerTripped rule=r target=7", "telegram_once"),
        ("alertname=NewAPIMonitorWatchdog", "null"),
        ("alertname=NewAPITokenUsageTrip purpose=trip rule=r notify=none", "breaker"),
        ("alertname=NewAPIBreakerReleased rule=r target=7 notify=none", "telegram_once"),
        ("alertname=NewAPIMonitorExporterDown severity=critical", "telegram"),
        ("alertname=NewAPIMonitorErrorLoggingNeverSeen severity=info", "telegram"),
    ],
)  # fmt: skip
def test_who_gets_what(tmp_path: Path, labels: str, receivers: str) -> None:
    render(tmp_path / "config", **TELEGRAM)
    config = tmp_path / "config" / "alertmanager" / "alertmanager.yml"
    amtool(
        "config", "routes", "test", f"--config.file={config}",
        f"--verify.receivers={receivers}", *labels.split(),
    )  # fmt: skip


def test_a_rule_with_a_star_is_told_at_most_once_an_hour_and_again_in_time(tmp_path: Path) -> None:
    """A group is looked at once a group_interval, and told again where the last message is older
    than repeat_interval: were both an hour, every second look would miss it."""
    render(tmp_path / "config", **TELEGRAM)
    config = tmp_path / "config" / "alertmanager" / "alertmanager.yml"
    routes = [
        route
        for route in yaml.safe_load(config.read_text(encoding="utf-8"))["route"]["routes"]
        if any(matcher.startswith("each=") for matcher in route["matchers"])
    ]
    times = {
        tuple(re.findall(r'"(\w+)"', "".join(route["matchers"]))): (
            route.get("group_interval"), route["repeat_interval"], route.get("group_by"),
        )
        for route in routes
    }  # fmt: skip
    one_a_rule = ["alertname", "rule"]
    assert times == {
        ("true", "1h"): ("1h", "59m", one_a_rule),
        ("true", "6h"): ("1h", "5h59m", one_a_rule),
        ("true", "24h"): ("1h", "23h59m", one_a_rule),
        ("false", "1h"): (None, "1h", None),
        ("false", "6h"): (None, "6h", None),
        ("false", "24h"): (None, "24h", None),
    }


def test_an_installed_wheel_has_all_its_files(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / "dist"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        timeout=60,
    )
    wheel = next((tmp_path / "dist").glob("*.whl"))
    script = (
        "import sys, deploy.cli, demo.schema, newapi.schema, service.web, pathlib;"
        f"assert deploy.cli.__file__.startswith({str(wheel)!r}.replace('.whl', '')), sys.path;"
        "demo.schema.ddl('sqlite', newapi.schema.Flavour.NEW_API);"
        "service.web.create_app(list, None, {}).jinja_env.get_template('page.html');"
        "deploy.cli.main(['render', '--out', 'config'])"
    )
    unpacked = wheel.with_suffix("")
    subprocess.run([sys.executable, "-m", "zipfile", "-e", wheel, unpacked], check=True)
    subprocess.run(
        [sys.executable, "-c", script],
        env={**BASE, "PYTHONPATH": str(unpacked)},
        cwd=tmp_path,
        check=True,
        timeout=30,
    )
    assert (tmp_path / "config" / "grafana" / "dashboards" / "zh" / "overview.json").is_file()
    assert (tmp_path / "config" / "prometheus" / "rules" / "token_usage.yml").is_file()
    templates = tmp_path / "config" / "alertmanager" / "templates"
    assert {path.name for path in templates.iterdir()} == {"telegram.tmpl", "words.tmpl"}
