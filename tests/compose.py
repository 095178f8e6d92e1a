"""docker-compose.yml as Docker Compose reads it, and its services as processes of this machine."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests
import yaml

from service.binaries import find
from tests.servers.process import Server

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docker-compose.yml"
EXAMPLE = ROOT / ".env.example"

_NAME = re.compile(r"[A-Za-z_]\w*")


class RequiredError(Exception):
    """A variable with `:?` is empty."""


def interpolate(text: str, values: Mapping[str, str]) -> str:
    """Replace variables by the rules of the Compose specification, as far as they are used here.

    Raises:
        RequiredError: a variable that must not be empty is.
    """
    done = ""
    while text:
        before, dollar, text = text.partition("$")
        done += before
        if not dollar:
            break
        if text.startswith("$"):
            done, text = f"{done}$", text[1:]
            continue
        assert text.startswith("{"), f"a variable without braces: ${text}"
        inside, text = _closed(text[1:])
        found = _NAME.match(inside)
        assert found is not None, inside
        name, rest = found[0], inside[found.end() :]
        value = values.get(name, "")
        kind, word = rest[:2], rest[2:]
        if kind == ":?" and not value:
            raise RequiredError(f"{name}: {word}")
        if kind == ":-" and not value:
            value = interpolate(word, values)
        if kind == ":+":
            value = interpolate(word, values) if value else ""
        assert kind in {"", ":?", ":-", ":+"}, rest
        done += value
    return done


def _closed(text: str) -> tuple[str, str]:
    """Split at the brace that closes."""
    depth = 1
    for place, letter in enumerate(text):
        depth += (letter == "{") - (letter == "}")
        if not depth:
            return text[:place], text[place + 1 :]
    raise AssertionError(f"a brace is open: {text}")


def names(text: str) -> set[str]:
    """Give the variables that a text reads."""
    return set(re.findall(r"\$\{(\w+)", text))


def compose(values: Mapping[str, str]) -> dict[str, Any]:
    """Give the file with these variables, and the project's name, which Compose adds to them."""
    read = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    project = {"COMPOSE_PROJECT_NAME": values.get("COMPOSE_PROJECT_NAME") or read["name"]}
    found: dict[str, Any] = _replaced(read, {**values, **project})
    return found


def _replaced(node: Any, values: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: _replaced(value, values) for key, value in node.items()}
    if isinstance(node, list):
        return [_replaced(value, values) for value in node]
    return interpolate(node, values) if isinstance(node, str) else node


def dotenv(text: str) -> dict[str, str]:
    """Read a .env file."""
    values: dict[str, str] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            values[name] = interpolate(value.strip("'"), values)
    return values


class Service(Server):
    """A service of the file on this machine: its own command line and environment, with the paths
    of its volumes in a folder that services share, and a free port of 127.0.0.1.

    Args:
        file: what compose() gave.
        service: its name.
        volumes: the folder; each volume is a folder in it.
    """

    name = "service"

    def __init__(self, file: Mapping[str, Any], service: str, volumes: Path) -> None:
        super().__init__()
        self.service = service
        self._read: Mapping[str, Any] = file["services"][service]
        self._places = {}
        for mount in self._read.get("volumes", []):
            source, target = mount.split(":")[:2]
            place = volumes / source.removeprefix("./")
            place.mkdir(parents=True, exist_ok=True)
            self._places[target] = str(place)
            if target.startswith("/config/"):  # render is given /config, which has all three
                link = volumes / target[1:]
                link.parent.mkdir(exist_ok=True)
                if not link.exists():
                    link.symlink_to(place)
                self._places["/config"] = str(link.parent)

    def local(self, text: str) -> str:
        """Give a text with the paths that are right here."""
        for target, place in sorted(self._places.items(), reverse=True):
            text = re.sub(rf"(?<![\w/.]){target}(?!\w)", place, text)
        return text

    def arguments(self) -> list[str]:
        """The program, with its environment and its arguments."""
        environment = {
            name: self.local(value) for name, value in self._read.get("environment", {}).items()
        }
        command = [self.local(word) for word in self._read["command"]]
        pairs = [f"{name}={value}" for name, value in environment.items()]
        if command[0].startswith("--"):
            return ["env", *pairs, str(find(self.service.removeprefix("newapi-"))), *command]
        return ["env", *pairs, str(Path(sys.executable).parent / command[0]), *command[1:]]

    def command(self) -> list[str]:
        """What starts it, on a port of its own."""
        ours = not self._read["command"][0].startswith("--")
        address = f"127.0.0.1:{self.port}"
        return [
            *self.arguments(),
            *(["serve", f"--listen={address}"] if ours else [f"--web.listen-address={address}"]),
        ]

    def answers(self) -> bool:
        """Whether its health check passes, over HTTP."""
        path = re.sub(
            r".*?127\.0\.0\.1:\d+(/[\w/-]*).*", r"\1", self._read["healthcheck"]["test"][-1]
        )
        try:
            return requests.get(f"http://127.0.0.1:{self.port}{path}", timeout=5).ok
        except requests.RequestException:
            return False

    def once(self) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            self.arguments(), cwd=self.folder, capture_output=True, text=True, check=False,
            timeout=60,
        )  # fmt: skip

    def healthy(self) -> bool:
        """Run its health check, with the port that it has here."""
        kind, program, *words = self._read["healthcheck"]["test"]
        assert kind == "CMD"
        words = [re.sub(r"(127\.0\.0\.1:)\d+", rf"\g<1>{self.port}", word) for word in words]
        program = sys.executable if program == "python" else program
        return subprocess.run([program, *words], capture_output=True, check=False).returncode == 0
