"""docker-compose.yml and .env.example: who gets what, who may what, and that it starts."""

import os
import re
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from click.testing import CliRunner
from pydantic import AliasChoices, SecretStr
from sqlalchemy import make_url

from breaker.settings import BreakerSettings
from demo.load import load as load_rows
from demo.schema import create
from demo.world import Sizes
from deploy.settings import RenderSettings
from exporter.cli import main as exporter
from exporter.settings import ExporterSettings
from service.settings import Settings, load, variables
from tests.compose import (
    EXAMPLE,
    FILE,
    ROOT,
    RequiredError,
    Service,
    compose,
    dotenv,
    interpolate,
    names,
)
from tests.documents import tables
from tests.servers.process import wait_until
from tests.test_docs_configuration import shown

READERS: dict[str, type[Settings]] = {
    "exporter": ExporterSettings, "backfill": ExporterSettings, "breaker": BreakerSettings,
    "render": RenderSettings,
}  # fmt: skip
ONCE = {"render", "backfill"}
SERVERS = {"newapi-prometheus", "newapi-alertmanager", "newapi-grafana"}
EXAMPLES = ("exporter/rules/example.en.yml", "exporter/rules/example.zh.yml")
MINIMUM = {"BREAKER_TOKEN": "only-for-tests-0123456789", "GRAFANA_ADMIN_PASSWORD": "x"}


@pytest.fixture(scope="module")
def plain() -> dict[str, Any]:
    """The file with the two variables that it cannot do without."""
    return compose(MINIMUM)


def environment(service: dict[str, Any]) -> dict[str, str]:
    return service.get("environment") or {}


def test_interpolation_is_that_of_the_specification() -> None:
    values = {"A": "a", "EMPTY": ""}
    assert interpolate("$$x ${A}${EMPTY:-${A}-}${NONE:-}", values) == "$x aa-"
    assert interpolate("${A:+${A}/}i ${EMPTY:+no}", values) == "a/i "
    with pytest.raises(RequiredError, match="EMPTY: say it"):
        interpolate("${EMPTY:?say it}", values)


def test_every_service_is_hardened_and_pinned(plain: dict[str, Any]) -> None:
    assert set(plain["services"]) == {*READERS, *SERVERS, "demo"}
    for name, service in plain["services"].items():
        assert service["user"] == "65534:65534", name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert re.fullmatch(r"\d+[mg]", service["mem_limit"]), name
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}, name
        assert service["restart"] == ("no" if name in ONCE else "unless-stopped"), name
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", service["image"]), name
        assert ("healthcheck" in service) == (name not in ONCE), name
        assert not {"privileged", "cap_add", "env_file", "devices", "pid", "ipc"} & set(service)


def test_the_gateways_own_file_is_written_by_the_breaker_alone(plain: dict[str, Any]) -> None:
    mounts = {
        name: mount.rpartition(":")[2] == "ro"
        for name, service in plain["services"].items()
        for mount in service.get("volumes", [])
        if ":/gateway" in mount
    }
    assert mounts == {"backfill": True, "exporter": True, "breaker": False, "demo": False}
    grouped = compose({**MINIMUM, "SQLITE_GROUP": "9847"})["services"]
    assert {n: s["group_add"] for n, s in grouped.items() if "group_add" in s} == {
        name: ["9847"] for name in ("backfill", "exporter", "breaker")
    }


def test_only_grafana_is_published(plain: dict[str, Any]) -> None:
    ports = {name: s["ports"] for name, s in plain["services"].items() if "ports" in s}
    assert ports == {"newapi-grafana": ["3001:3000"]}
    behind = compose({**MINIMUM, "GRAFANA_PORT": "127.0.0.1:3001"})["services"]["newapi-grafana"]
    assert behind["ports"] == ["127.0.0.1:3001:3000"]


def test_who_reads_the_database_joins_the_network_of_the_gateway(plain: dict[str, Any]) -> None:
    joined = {n for n, s in plain["services"].items() if "gateway" in s.get("networks", [])}
    assert joined == {"exporter", "backfill", "breaker", "newapi-grafana"}
    # What holds every secret, and what makes up a gateway, reach nobody.
    alone = {n for n, s in plain["services"].items() if s.get("network_mode") == "none"}
    assert alone == {"render", "demo"}
    own = plain["networks"]["gateway"]
    assert own == {"name": "newapi-monitor-gateway", "external": "false"}
    text = EXAMPLE.read_text(encoding="utf-8")
    given = dotenv(text.replace("GATEWAY_NETWORK=\n", "GATEWAY_NETWORK=new-api_default\n"))
    theirs = compose(given | MINIMUM)["networks"]["gateway"]
    assert theirs == {"name": "new-api_default", "external": "true"}
    assert compose(dotenv(text) | MINIMUM)["networks"]["gateway"] == own


def test_a_second_project_beside_the_first_shares_nothing_with_it(plain: dict[str, Any]) -> None:
    other = compose({**MINIMUM, "COMPOSE_PROJECT_NAME": "second"})
    assert other["networks"]["gateway"]["name"] == "second-gateway"
    # Compose names after the project what the file gives no name of its own.
    for read in (plain, other):
        assert not any("container_name" in service for service in read["services"].values())
        assert not any("name" in (volume or {}) for volume in read["volumes"].values())
        assert {n for n, network in read["networks"].items() if "name" in network} == {"gateway"}


def test_images_come_from_a_mirror_if_one_is_named(plain: dict[str, Any]) -> None:
    mirrored = compose({**MINIMUM, "IMAGE_REGISTRY": "mirror.example"})["services"]
    for name in SERVERS:
        assert mirrored[name]["image"] == f"mirror.example/{plain['services'][name]['image']}"
    assert mirrored["render"]["build"]["args"]["IMAGE_REGISTRY"] == "mirror.example"


def test_each_service_gets_what_its_settings_read_and_nothing_else(plain: dict[str, Any]) -> None:
    left_out = {"exporter": {"BACKFILL_DAYS"}, "breaker": {"SQL_DSN"}}  # see the next test
    for name, cls in READERS.items():
        given = set(environment(plain["services"][name]))
        assert given == set(variables(cls)) - left_out.get(name, set()), name
    assert not environment(plain["services"]["newapi-prometheus"])
    assert not environment(plain["services"]["newapi-alertmanager"])
    assert all(n.startswith("GF_") for n in environment(plain["services"]["newapi-grafana"]))


SECRETS = {
    "SQL_DSN": {"exporter", "backfill"},
    "DATABASE_URL": set[str](),  # SQL_DSN wins
    "LOG_SQL_DSN": {"exporter", "backfill", "breaker"},
    "BREAKER_SQL_DSN": {"breaker"},
    "GRAFANA_SQL_DSN": {"render"},
    "GATEWAY_TOKEN": {"breaker"},
    "BREAKER_TOKEN": {"breaker", "render"},
    "TELEGRAM_BOT_TOKEN": {"render"},
    "GRAFANA_ADMIN_PASSWORD": {"newapi-grafana"},
}
"""Who gets which secret, where all are set."""


def test_a_secret_is_in_the_environment_of_those_that_need_it_alone() -> None:
    declared = {
        name
        for cls in READERS.values()
        for name, field in variables(cls).items()
        if SecretStr in (field.annotation, *getattr(field.annotation, "__args__", ()))
    }
    assert declared <= set(SECRETS)
    values = {name: f"<{name}>" for name in names(FILE.read_text(encoding="utf-8"))}
    read = compose(values)
    for secret, wanted in SECRETS.items():
        holds = {n for n, s in read["services"].items() if f"<{secret}>" in yaml.safe_dump(s)}
        assert holds == wanted, secret
    alone = compose({**MINIMUM, "SQL_DSN": "dsn"})["services"]["breaker"]
    assert environment(alone)["BREAKER_SQL_DSN"] == "dsn"
    text = EXAMPLE.read_text(encoding="utf-8").replace("#ACCESS_PASSWORD=", "ACCESS_PASSWORD=old")
    grafana = compose({**MINIMUM, **dotenv(text), "BREAKER_TOKEN": "x"})["services"][
        "newapi-grafana"
    ]
    assert environment(grafana)["GF_SECURITY_ADMIN_PASSWORD"] == "old"
    alias = compose({**MINIMUM, "DATABASE_URL": "url"})["services"]
    assert environment(alias["exporter"])["SQL_DSN"] == "url"
    assert environment(alias["breaker"])["BREAKER_SQL_DSN"] == "url"


@pytest.mark.parametrize("missing", sorted(MINIMUM))
def test_without_its_secrets_nothing_starts(missing: str) -> None:
    with pytest.raises(RequiredError, match=rf"{missing}: see \.env\.example, or run make env"):
        compose({**MINIMUM, missing: ""})


def example() -> dict[str, tuple[str, bool]]:
    """Give the variables of .env.example: the value, and whether it is in force."""
    found = re.findall(r"^(#?)([A-Z_]+)=(.*)$", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len({name for _, name, _ in found}) == len(found)
    return {name: (value, not mark) for mark, name, value in found}


def test_the_example_has_every_variable_that_a_user_may_set() -> None:
    interpolated = names(FILE.read_text(encoding="utf-8"))
    read = {name for cls in READERS.values() for name in variables(cls)}
    aliases = {
        alias
        for cls in READERS.values()
        for field in cls.model_fields.values()
        if isinstance(field.validation_alias, AliasChoices)
        for alias in field.validation_alias.choices
    }
    assert set(example()) - {"ACCESS_PASSWORD"} == interpolated | read | aliases
    fixed = read - interpolated
    _, without_docker = EXAMPLE.read_text(encoding="utf-8").split("### Without Docker")
    assert set(re.findall(r"^#?([A-Z_]+)=", without_docker, re.MULTILINE)) == fixed
    documented = {
        re.findall(r"`([^`]+)`", row[0])[0]
        for table in tables("docs/configuration.md")
        if table[0][0] == "variable"
        for row in table[1:]
    }
    assert set(example()) - aliases - {"ACCESS_PASSWORD"} <= documented


def test_what_the_example_shows_as_defaults_are_the_defaults(plain: dict[str, Any]) -> None:
    in_force = {name: value for name, (value, on) in example().items() if on and value}
    assert in_force == {
        "BREAKER_MODE": "dry-run",
        "TZ": "Asia/Shanghai",
        "MONITOR_LANG": "en",
        "GATEWAY_NETWORK_EXTERNAL": "${GATEWAY_NETWORK:+true}",
        "GRAFANA_ADMIN_PASSWORD": "${ACCESS_PASSWORD:-}",
        # Without Docker: where `make env` puts the rules, and whom the breaker tells.
        "ALERTS_FILE": "alerts/alerts.yml",
        "ALERTMANAGER_URL": "http://127.0.0.1:9093",
    }
    compose_has = {
        "COMPOSE_PROJECT_NAME": plain["name"],
        "SQLITE_GROUP": plain["services"]["breaker"]["group_add"][0],
        "SQLITE_PATH": environment(plain["services"]["exporter"])["SQLITE_PATH"],
        "BACKFILL_DAYS": environment(plain["services"]["backfill"])["BACKFILL_DAYS"],
        "GRAFANA_PORT": plain["services"]["newapi-grafana"]["ports"][0].removesuffix(":3000"),
        "PROMETHEUS_RETENTION_SIZE": next(
            word.rpartition("=")[2]
            for word in plain["services"]["newapi-prometheus"]["command"]
            if "retention.size" in word
        ),
    }
    defaults = {
        name: {shown(f.default) for cls in READERS.values() if (f := variables(cls).get(name))}
        for name, (_, on) in example().items()
        if not on
    }
    for name, (value, on) in example().items():
        if not on and value:
            told = {compose_has[name]} if name in compose_has else defaults[name] - {""}
            assert told == {value}, name


def test_a_shell_reads_the_example_too() -> None:
    command = 'set -aeu; . "$1"; printf "%s" "$BREAKER_MODE $TZ"'
    done = subprocess.run(
        ["/bin/sh", "-c", command, "sh", EXAMPLE],
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("dry-run Asia/Shanghai", "")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What `make env` needs of the repository."""
    needed_by_make_env(tmp_path)
    return tmp_path


def needed_by_make_env(folder: Path) -> None:
    for name in ("tools/env.sh", ".env.example", *EXAMPLES):
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        shutil.copy(ROOT / name, folder / name)


def make_env(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [folder / "tools" / "env.sh"], capture_output=True, text=True, check=False, timeout=10,
        env=os.environ | environment,
    )  # fmt: skip


def test_make_env_in_chinese(folder: Path) -> None:
    done = make_env(folder, MONITOR_LANG="fr")
    assert (done.returncode, done.stderr) == (2, "env: MONITOR_LANG=fr: expected en or zh\n")
    assert not (folder / ".env").exists()
    assert make_env(folder, MONITOR_LANG="zh").returncode == 0
    assert dotenv((folder / ".env").read_text(encoding="utf-8"))["MONITOR_LANG"] == "zh"
    rules = (folder / "alerts" / "alerts.yml").read_text(encoding="utf-8")
    assert rules == (ROOT / EXAMPLES[1]).read_text(encoding="utf-8")


def test_make_env_puts_no_secret_on_a_command_line(folder: Path) -> None:
    programs = folder / "programs"  # the only ones that it finds, each of which tells its arguments
    programs.mkdir()
    for name in ("dirname", "head", "od", "tr", "mv", "mkdir", "cp"):
        told = f'#!/bin/sh\necho "$0 $*" >>{folder}/told\nexec {shutil.which(name)} "$@"\n'
        (programs / name).write_text(told)
        (programs / name).chmod(0o700)
    done = subprocess.run(
        [shutil.which("bash") or "bash", folder / "tools" / "env.sh"],
        env={"PATH": str(programs)}, capture_output=True, text=True, check=False, timeout=10,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    values = dotenv((folder / ".env").read_text(encoding="utf-8"))
    told = (folder / "told").read_text()
    assert "/mv .env.new .env" in told
    assert not any(values[name] in told for name in ("BREAKER_TOKEN", "GRAFANA_ADMIN_PASSWORD"))


def test_make_env_fills_in_secrets_and_never_overwrites(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = make_env(folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("env: made .env")
    assert len(done.stdout.splitlines()) == 1
    made = folder / ".env"
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    values = dotenv(made.read_text(encoding="utf-8"))
    secrets = {values["BREAKER_TOKEN"], values["GRAFANA_ADMIN_PASSWORD"]}
    assert len(secrets) == 2
    assert {re.fullmatch(r"[0-9a-f]{48}", secret) is not None for secret in secrets} == {True}
    assert not any(secret in done.stdout for secret in secrets)
    assert (folder / "alerts" / "alerts.yml").read_text() == (ROOT / "alerts.yml").read_text()
    for name, cls in READERS.items():
        with monkeypatch.context() as context:
            for variable, value in environment(compose(values)["services"][name]).items():
                context.setenv(variable, value)
            load(cls)
    (folder / "alerts" / "alerts.yml").write_text("mine")
    again = make_env(folder)
    assert again.returncode == 1
    assert again.stderr.startswith("env: .env is there already and stays as it is")
    assert dotenv(made.read_text(encoding="utf-8")) == values
    made.unlink()
    assert make_env(folder).returncode == 0
    assert (folder / "alerts" / "alerts.yml").read_text() == "mine"
    assert dotenv(made.read_text(encoding="utf-8"))["BREAKER_TOKEN"] != values["BREAKER_TOKEN"]


@pytest.fixture(scope="module")
def started(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Path, dict[str, Service], dict[str, Any]]]:
    """Everything but Grafana, in the order of the file, each with the file's own command line."""
    volumes = tmp_path_factory.mktemp("volumes")
    gateway = volumes / "gateway" / "one-api.db"
    gateway.parent.mkdir()
    url = make_url(f"sqlite:///{gateway}")
    create(url)
    now = time.time()
    load_rows(url, rows=500, start=now - 86400, end=now - 60, sizes=Sizes(3, 5, 4))
    values = {
        **MINIMUM,
        "BACKFILL_DAYS": "1",
        "MONITOR_LANG": "zh",
        "GRAFANA_SQL_DSN": "u:p@tcp(db)/x",
    }
    file = compose(values)
    with ExitStack() as stack:
        services = {name: Service(file, name, volumes) for name in file["services"]}
        for service in services.values():
            stack.callback(service.close)
        for name in ("render", "backfill"):
            done = services[name].once()
            assert done.returncode == 0, done.stderr
        for name in ("exporter", "breaker", "newapi-alertmanager", "newapi-prometheus"):
            services[name].start()
        yield volumes, services, file


Started = tuple[Path, dict[str, Service], dict[str, Any]]


def test_the_history_is_there_before_the_first_scrape(started: Started) -> None:
    _, services, _ = started
    url = f"http://127.0.0.1:{services['newapi-prometheus'].port}/api/v1/query"
    query = {"query": "sum(newapi_requests_total)", "time": str(time.time() - 3600)}

    def result() -> Any:
        answer = requests.get(url, query, timeout=5)  # 503 while it reads its blocks
        return answer.json()["data"]["result"] if answer.ok else None

    assert float(wait_until(result)[0]["value"][1]) > 100


def test_a_second_start_leaves_the_history_as_it_is(started: Started) -> None:
    _, services, _ = started
    again = services["backfill"].once()
    assert again.returncode == 0
    assert "nothing to do: " in again.stderr
    assert "another exporter is using this state" in again.stderr
    services["exporter"].stop()
    again = services["backfill"].once()
    services["exporter"].start()
    assert again.returncode == 0
    assert "counting has begun" in again.stderr


@pytest.mark.parametrize(
    "name", ["exporter", "breaker", "newapi-alertmanager", "newapi-prometheus"]
)
def test_health_checks_tell_who_is_up(started: Started, name: str) -> None:
    _, services, _ = started
    service = services[name]
    if "wget" in service._read["healthcheck"]["test"] and shutil.which("wget") is None:
        pytest.skip("no wget here")
    assert service.healthy()
    service.stop()
    assert not service.healthy()
    service.start()


def test_what_is_rendered_is_where_the_servers_look(started: Started) -> None:
    volumes, services, file = started
    for name in ("prometheus", "alertmanager"):
        assert (volumes / f"{name}-config" / f"{name}.yml").is_file()
    grafana = file["services"]["newapi-grafana"]
    settings = environment(grafana)
    here = services["newapi-grafana"].local
    home = Path(here(settings["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]))
    assert home.is_file()
    assert home.parent.name == "zh"
    assert Path(here(settings["GF_USERS_DEFAULT_LANGUAGE__FILE"])).read_text() == "zh-Hans"
    provisioning = Path(here(settings["GF_PATHS_PROVISIONING"]))
    sources = yaml.safe_load((provisioning / "datasources" / "database.yml").read_text())
    assert sources["datasources"][0]["url"] == "db:3306"
    providers = yaml.safe_load((provisioning / "dashboards" / "newapi-monitor.yml").read_text())
    assert {
        len(list(Path(provider["options"]["path"]).glob("*.json")))
        for provider in providers["providers"]
    } == {11}
    # Each server sees its own folder alone.
    for name in SERVERS:
        mounts = [mount for mount in file["services"][name]["volumes"] if ":/config/" in mount]
        own = name.removeprefix("newapi-")
        assert mounts == [f"{own}-config:/config/{own}:ro"]


def test_without_rules_it_runs_and_takes_those_that_come_out_of_the_image(started: Started) -> None:
    volumes, services, _ = started
    url = f"http://127.0.0.1:{services['exporter'].port}/metrics/alerts"
    assert not (volumes / "alerts" / "alerts.yml").exists()
    assert "newapi_alert_rule{" not in requests.get(url, timeout=5).text
    example = CliRunner().invoke(exporter, ["rules", "example"]).output
    (volumes / "alerts" / "alerts.yml").write_text(example, encoding="utf-8")
    wait_until(lambda: "newapi_alert_rule{" in requests.get(url, timeout=5).text, 20)


def test_rendering_removes_what_an_older_version_left(started: Started) -> None:
    volumes, services, _ = started
    old = volumes / "prometheus-config" / "rules" / "old.yml"
    old.write_text("groups: []\n")
    assert services["render"].once().returncode == 0
    assert not old.exists()
    assert (old.parent / "monitor.yml").is_file()


def test_compose_takes_the_file(folder: Path) -> None:
    docker = shutil.which("docker") or "docker"
    if subprocess.run(
        ["/bin/sh", "-c", f"{docker} compose version"], capture_output=True, check=False
    ).returncode:
        pytest.skip("no docker compose here: the file is held to the rules above alone")
    make_env(folder)
    shutil.copy(FILE, folder)
    for profile in ([], ["--profile", "demo"]):
        done = subprocess.run(
            [docker, "compose", *profile, "config", "-q"],
            cwd=folder, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert (done.returncode, done.stdout + done.stderr) == (0, ""), profile
