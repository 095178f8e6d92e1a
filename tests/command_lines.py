"""Command lines in documents that no test can run, since they need Docker, root or the network.

Each is held to what it names: services, volumes and flags of the compose file, units, files of the
repository, options of the real servers. What is not known here is refused.
"""

import re
import shlex
import subprocess
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import click

from breaker.cli import main as breaker
from demo.cli import main as demo
from deploy.cli import main as monitor
from exporter.cli import main as exporter
from service.binaries import find
from tests.compose import ROOT, compose

OURS: dict[str, click.Command] = {
    "newapi-exporter": exporter, "newapi-breaker": breaker, "newapi-monitor": monitor,
    "newapi-demo": demo,
}  # fmt: skip
FILE = compose({"BREAKER_TOKEN": "x", "GRAFANA_ADMIN_PASSWORD": "x"})
UNITS = {path.stem for path in (ROOT / "deploy" / "systemd").iterdir()}

MADE = {"exporter.env", "breaker.env", "newapi-monitor.tar.gz", ".env.example"}
"""Files that a reader has by then without a clone, or has written."""

_COMPOSE = {
    "build": set[str](),
    "config": {"-q"},
    "cp": set[str](),
    "down": {"--volumes"},
    "exec": {"-T"},
    "logs": {"-f"},
    "ps": set[str](),
    "pull": {"--ignore-buildable"},
    "restart": set[str](),
    "run": {"--rm", "-T", "--no-deps"},
    "start": set[str](),
    "stop": set[str](),
    "up": {"-d", "--build"},
}
"""Subcommands of Docker Compose, with the flags that each may have here."""


def check(line: str) -> None:
    """Fail unless every program, flag, service, file and folder that a line names exists."""
    words = [word for word in _without_redirection(line) if word != "&"]
    program = Path(words[0]).name or words[0]
    if program in OURS:
        parse([program, *words[1:]])
        return
    assert program in _CHECKS, f"nobody checks this: {line}"
    _CHECKS[program](words[1:])


def parse(words: Sequence[str]) -> None:
    """Have one of our commands read its arguments, and do nothing with them."""
    command: click.Command | None = OURS[words[0]]
    arguments, parent = list(words[1:]), None
    while command is not None:
        parent = command.make_context(str(words[0]), arguments, parent=parent)
        if not isinstance(command, click.Group) or not parent._protected_args:
            return
        name, *arguments = [*parent._protected_args, *parent.args]
        command = command.get_command(parent, name)
        assert command is not None, f"no such command: {name}"


def _without_redirection(line: str) -> list[str]:
    words = shlex.split(line)
    return [word for word in words if not re.fullmatch(r"[<>].*", word)]


def _docker(words: Sequence[str]) -> None:
    kind, *rest = words
    if kind == "compose":
        _docker_compose(rest)
    elif kind == "volume":
        assert rest[0] == "rm"
        assert set(rest[1:]) <= {f"{FILE['name']}_{volume}" for volume in FILE["volumes"]}
    elif kind in {"build", "buildx"}:
        flags = {word for word in words if word.startswith("-")}
        assert flags <= {"-t", "--tag", "--platform", "--push"}, words
    elif kind == "network":
        assert rest == ["ls"]
    else:
        assert kind == "inspect", words
        assert rest[0] == "--format"


def _docker_compose(words: Sequence[str]) -> None:
    rest, profiles = list(words), set[str]()
    while rest[0] in {"-p", "--profile"}:
        if rest[0] == "--profile":
            profiles.add(rest[1])
        rest = rest[2:]
    assert profiles - {None} <= {
        p for s in FILE["services"].values() for p in s.get("profiles", [])
    }
    name, *rest = rest
    assert name in _COMPOSE, f"docker compose {name}"
    while rest and rest[0].startswith("-"):
        assert rest[0] in _COMPOSE[name], f"docker compose {name} {rest[0]}"
        rest.pop(0)
    if name == "cp":
        for place in rest:
            service, colon, path = place.partition(":")
            if colon:
                writable(service, path)
    elif name in {"exec", "run"}:
        service, *inside = rest
        assert service in FILE["services"], service
        _inside(service, inside)
    else:
        assert set(rest) <= set(FILE["services"]), rest


def _inside(service: str, words: Sequence[str]) -> None:
    """Check what runs in a container: our commands by their arguments, others by their paths."""
    if words[0] in OURS:
        parse(words)
        for word in words:
            if word.startswith("/"):
                mounted(service, word)
        return
    assert words[0] in {"sh", "tar"}, words
    text = " ".join(words)
    for part in re.split(r"&&|;", text.removeprefix("sh -c ")):
        if part.split()[0] in OURS:
            parse(part.split())
    for path in re.findall(r"(?<![\w.])/[\w./*]+", text):
        mounted(service, path)
    for path in re.findall(r"(?:>|rm -rf |tar -x -C )(/[\w./*]+)", text):
        writable(service, path)


def _mounts(service: str) -> dict[str, bool]:
    """Give where a service has volumes and folders, each with whether it may write there."""
    read: dict[str, Any] = FILE["services"][service]
    found = {}
    for mount in read.get("volumes", []):
        _, target, *options = mount.split(":")
        found[target] = "ro" not in options
    return found | {"/tmp": True}


def mounted(service: str, path: str) -> None:
    """Fail unless a service has something of ours at a path."""
    assert any(path == m or path.startswith(f"{m}/") for m in _mounts(service)), (service, path)


def writable(service: str, path: str) -> None:
    """Fail unless a service may write at a path."""
    found = [may for m, may in _mounts(service).items() if path == m or path.startswith(f"{m}/")]
    assert found == [True], (service, path)


def _systemctl(words: Sequence[str]) -> None:
    name, *units = (word for word in words if word != "--now")
    assert name in {"start", "stop", "enable", "restart", "edit", "daemon-reload"}, name
    assert set(units) <= UNITS | {"prometheus", "prometheus-alertmanager"}, units


@cache
def _flags(server: str) -> str:
    """What a real server says about its flags."""
    done = subprocess.run([find(server), "--help"], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def _server(server: str) -> Callable[[Sequence[str]], None]:
    def known(words: Sequence[str]) -> None:
        for word in words:
            flag = word.partition("=")[0]
            assert re.search(rf"^\s*{re.escape(flag)}[=\s]", _flags(server), re.MULTILINE), flag

    return known


def _files(words: Sequence[str]) -> None:
    """All but the last are files that are there; the last is where they go."""
    operands = [word for word in words if not re.fullmatch(r"-\w+|\d{3}", word)]
    assert all(name in MADE or (ROOT / name).exists() for name in operands[:-1]), words


def _pip(words: Sequence[str]) -> None:
    assert words[0] == "install"
    flags = {word for word in words if word.startswith("-")}
    known = {"-r", "--require-hashes", "--no-deps", "--no-build-isolation"}
    assert flags <= known, flags
    operands = [word for word in words[1:] if not word.startswith("-")]
    assert all((ROOT / name).exists() for name in operands), operands
    # What is fetched is what was locked.
    assert "--require-hashes" in flags or flags >= {"--no-deps", "--no-build-isolation"}, words


def _archive(words: Sequence[str]) -> None:
    """The folders of systemd's units, as it makes them for users that exist only meanwhile."""
    place = Path(words[words.index("-C") + 1])
    for unit in UNITS:
        text = (ROOT / "deploy" / "systemd" / f"{unit}.service").read_text()
        assert "\nDynamicUser=yes\n" in text
        state = re.search(r"^StateDirectory=(.+)$", text, re.MULTILINE)
        assert state is not None
        assert place == (Path("/var/lib/private") / state[1]).parent


def _removes(words: Sequence[str]) -> None:
    for path in words[1:]:
        _archive(["-C", str(Path(path).parent)])


def _anything(words: Sequence[str]) -> None:
    del words


_CHECKS: dict[str, Callable[[Sequence[str]], None]] = {
    "docker": _docker, "systemctl": _systemctl, "pip": _pip, "tar": _archive, "rm": _removes,
    "prometheus": _server("prometheus"), "prometheus-alertmanager": _server("alertmanager"),
    "cp": _files, "install": _files,
    **dict.fromkeys(("git", "python3", ".", "set", "getent"), _anything),
    **dict.fromkeys(("mkdir", "chgrp", "chmod", "chown"), _anything),
}  # fmt: skip
