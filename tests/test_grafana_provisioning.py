"""What Grafana is given at its start: sources and dashboards, rendered from the environment."""

from importlib.resources import files
from typing import Any

import pytest
import yaml
from jinja2 import Environment, StrictUndefined

from tests.grafana_queries import dashboard

FOLDER = files("grafana") / "provisioning"


def rendered(name: str, **variables: str) -> Any:
    jinja = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701  YAML
    template = jinja.from_string((FOLDER / name).read_text("utf-8"))
    return yaml.safe_load(template.render(variables))


def test_prometheus_is_the_source_of_the_dashboards() -> None:
    config = rendered("datasources/prometheus.yml.j2", prometheus_url="http://127.0.0.1:9090")
    [source] = config["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://127.0.0.1:9090")
    variable, *_ = dashboard("en", "overview")["templating"]["list"]
    assert source["uid"] == variable["current"]["value"]
    assert source["name"] == variable["current"]["text"]


def test_silences_are_set_through_alertmanager() -> None:
    config = rendered("datasources/alertmanager.yml.j2", alertmanager_url="http://am:9093/x")
    [source] = config["datasources"]
    assert (source["uid"], source["url"]) == ("alertmanager", "http://am:9093/x")
    assert source["jsonData"]["implementation"] == "prometheus"


@pytest.mark.parametrize("secret", ["p$a", 'p"a', "p'a", "p&a", "p: #a"])
def test_any_url_comes_through(secret: str) -> None:
    """Grafana turns $$ into $; YAML and the template leave the rest alone."""
    url = f"http://user:{secret}@prometheus:9090"
    config = rendered("datasources/prometheus.yml.j2", prometheus_url=url)
    assert config["datasources"][0]["url"].replace("$$", "$") == url


def test_a_folder_for_each_language() -> None:
    config = rendered("dashboards/newapi-monitor.yml.j2", dashboards_path="/etc/x y/dashboards")
    english, chinese = config["providers"]
    assert english["options"]["path"] == "/etc/x y/dashboards/en"
    assert chinese["options"]["path"] == "/etc/x y/dashboards/zh"
    assert len({provider["folderUid"] for provider in config["providers"]}) == 2
    for provider in config["providers"]:
        assert (provider["type"], provider["allowUiUpdates"]) == ("file", False)
