"""The image: its Dockerfile, and the package built of exactly what .dockerignore lets in."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.compose import ROOT, compose

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]


def context(folder: Path) -> None:
    """Copy what .dockerignore lets into the build."""
    allowed = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    for name in allowed:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder / name)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked wheel."""
    folder = tmp_path_factory.mktemp("context")
    context(folder)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")]
    subprocess.run(build, cwd=folder, check=True, capture_output=True, timeout=60)
    (wheel,) = (folder / "dist").iterdir()
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / "site")
    return folder / "site"


def test_the_package_has_every_file_of_its_folders(installed: Path) -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    there = [
        path.relative_to(ROOT)
        for package in packages["targets"]["wheel"]["packages"]
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert len(there) > 200
    assert [path for path in there if not (installed / path).is_file()] == []


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_every_command_runs_out_of_it(installed: Path, tmp_path: Path, script: str) -> None:
    module, _, function = SCRIPTS[script].partition(":")
    code = f"import sys; sys.path.insert(0, {str(installed)!r}); sys.argv[0] = {script!r};"
    code += f"from {module} import {function}; assert {module.partition('.')[0]}.__file__"
    code = code.replace("assert", f"import {module.partition('.')[0]}; assert")
    code += f".startswith({str(installed)!r}); {function}()"
    run = [sys.executable, "-c", code]
    settings = {"BREAKER_TOKEN": "only-for-tests-0123456789", "PATH": os.environ["PATH"]}
    more = ["render", "--out", "out"] if script == "newapi-monitor" else ["--help"]
    done = subprocess.run(
        [*run, *more], cwd=tmp_path, env=settings, capture_output=True, text=True, check=False,
        timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    if script == "newapi-monitor":
        assert len(done.stdout.splitlines()) > 30


def test_stages_are_pinned_and_come_from_a_mirror_if_one_is_named() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    mirrored = [base for base in bases if base.startswith("${")]
    assert [re.sub(r"^\$\{IMAGE_REGISTRY:\+\$\{IMAGE_REGISTRY\}/\}", "", b) for b in mirrored] == [
        "prom/prometheus:v3.5.0", "library/python:3.13.9-slim",
    ]  # fmt: skip
    assert set(bases) - set(mirrored) == {"python"}  # a stage of its own
    assert re.search(r"^ARG IMAGE_REGISTRY=$", DOCKERFILE, re.MULTILINE)
    values = {"BREAKER_TOKEN": "x", "GRAFANA_ADMIN_PASSWORD": "x"}
    prometheus = compose(values)["services"]["newapi-prometheus"]["image"]
    assert prometheus in mirrored[0]  # promtool is of the server that reads its blocks


def test_it_runs_as_nobody_on_hashed_packages_without_pip() -> None:
    _, runtime = DOCKERFILE.rsplit("\nFROM ", 1)
    assert "USER 65534:65534" in runtime
    assert "pip uninstall --yes" in runtime
    installs = re.findall(r"install\s(?:\\\n|[^&\n])*", DOCKERFILE.partition("COPY . .")[0])
    assert len(installs) == 2
    assert all("--require-hashes" in install for install in installs)
    user = {
        s["user"]
        for s in compose({"BREAKER_TOKEN": "x", "GRAFANA_ADMIN_PASSWORD": "x"})["services"].values()
    }
    assert user == {"65534:65534"}


def test_it_has_the_folders_of_the_volumes_with_their_owner() -> None:
    file = compose({"BREAKER_TOKEN": "x", "GRAFANA_ADMIN_PASSWORD": "x"})
    ours = [s for s in file["services"].values() if "newapi-monitor" in s["image"]]
    targets = {mount.split(":")[1] for service in ours for mount in service.get("volumes", [])}
    made = re.search(r"for folder in ((?:[^;]|\\\n)*);", DOCKERFILE)
    assert made is not None
    assert targets <= set(made[1].replace("\\", "").split())


def test_what_is_locked_for_the_image_is_what_tests_run_on() -> None:
    def pins(name: str) -> set[str]:
        text = (ROOT / "requirements" / name).read_text()
        return set(re.findall(r"^([\w.-]+==\S+)", text, re.MULTILINE))

    assert pins("runtime.txt") | pins("build.txt") <= pins("dev.txt")
    assert any(pin.startswith("honcho==") for pin in pins("runtime.txt"))
