"""What Grafana is given at its start: sources and dashboards, rendered from the environment."""

from importlib.resources import files
from typing import Any

import pytest
import yaml
from jinja2 import Environment, StrictUndefined

from grafana.source import database_source
from newapi.dsn import parse_dsn
from tests.grafana_queries import dashboard

FOLDER = files("grafana") / "provisioning"


def rendered(name: str, **variables: object) -> Any:
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


def test_the_gateways_database_is_the_source_of_log_rows() -> None:
    database = database_source(parse_dsn("u:p@tcp(db:3306)/newapi"))
    [source] = rendered("datasources/database.yml.j2", database=database)["datasources"]
    for page in ("logs", "errors", "performance"):
        variables = {one["name"]: one for one in dashboard("en", page)["templating"]["list"]}
        assert variables["database"]["query"] == source["uid"]


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


@pytest.mark.parametrize(
    ("dsn", "kind", "expected"),
    [
        ("u:p@tcp(db:3306)/newapi?parseTime=true", "mysql",
         {"url": "db:3306", "user": "u", "database": "newapi"}),
        ("u:p@unix(/run/m.sock)/newapi", "mysql", {"url": "/run/m.sock"}),
        ("postgres://u:p@db:5433/newapi", "postgres", {"url": "db:5433", "database": "newapi"}),
        ("postgres://u:p@[::1]/newapi", "postgres", {"url": "[::1]:5432"}),
    ],
)  # fmt: skip
def test_the_database_is_the_one_that_the_dsn_names(
    dsn: str, kind: str, expected: dict[str, str]
) -> None:
    config = rendered("datasources/database.yml.j2", database=database_source(parse_dsn(dsn)))
    [source] = config["datasources"]
    assert (source["type"], source["uid"]) == (kind, "newapi-database")
    assert expected.items() <= source.items()
    assert source["jsonData"]["database"] == source["database"] == "newapi"
    assert source["jsonData"]["maxOpenConns"] == 4
    assert source["secureJsonData"] == {"password": "p"}


@pytest.mark.parametrize(
    ("dsn", "option", "value"),
    [
        ("u:p@tcp(db)/d?tls=skip-verify", "tlsSkipVerify", True),
        ("u:p@tcp(db)/d?tls=true", "tlsSkipVerify", False),
        ("u:p@tcp(db)/d", "tlsAuthWithCACert", False),
        ("postgres://u:p@db/d?sslmode=require", "sslmode", "require"),
        ("postgres://u:p@db/d", "sslmode", "disable"),
    ],
)
def test_tls_is_as_the_gateways(dsn: str, option: str, value: object) -> None:
    config = rendered("datasources/database.yml.j2", database=database_source(parse_dsn(dsn)))
    assert config["datasources"][0]["jsonData"][option] == value


@pytest.mark.parametrize("checked", ["true", "skip-verify"])
def test_tls_to_mysql_comes_with_a_ca(checked: str) -> None:
    """Without one Grafana connects in plain text (pkg/tsdb/mysql/mysql.go, until 11)."""
    database = database_source(parse_dsn(f"u:p@tcp(db)/d?tls={checked}"))
    [source] = rendered("datasources/database.yml.j2", database=database)["datasources"]
    assert source["jsonData"]["tlsAuthWithCACert"] is True
    ca = "$__file{/etc/ssl/certs/ca-certificates.crt}"
    assert source["secureJsonData"] == {"password": "p", "tlsCACert": ca}


def test_sqlite_is_read_by_the_plug_in_and_never_written() -> None:
    config = rendered(
        "datasources/database.yml.j2", database=database_source(parse_dsn("sqlite:////data/a.db"))
    )
    [source] = config["datasources"]
    assert source["type"] == "frser-sqlite-datasource"
    assert source["jsonData"]["path"] == "/data/a.db"
    assert "mode=ro" in source["jsonData"]["pathOptions"]


@pytest.mark.parametrize("secret", ["p$a", 'p"a', "p'a", "p: #a", "{{ p }}", "p\\a"])
def test_any_password_comes_through(secret: str) -> None:
    url = parse_dsn("u:p@tcp(db)/d").set(password=secret)
    config = rendered("datasources/database.yml.j2", database=database_source(url))
    found = config["datasources"][0]["secureJsonData"]["password"]
    assert found.replace("$$", "$") == secret


def test_without_a_database_there_is_none() -> None:
    assert rendered("datasources/database.yml.j2")["datasources"] == []
