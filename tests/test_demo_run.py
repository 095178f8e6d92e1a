"""`make demo` itself: its addresses answer, it tells its story, it ends without a trace."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO

import psutil
import pytest
import requests

from demo.telling import TELLINGS
from tests.servers.process import wait_until

PARTS = {"exporter", "breaker", "prometheus", "alertmanager", "telegram"}


def test_the_story_has_the_same_places_in_both_languages() -> None:
    def places(text: object) -> set[str]:
        return set(re.findall(r"\{(\w+)", str(text)))

    english, chinese = (asdict(TELLINGS[language]) for language in ("en", "zh"))
    assert {name: places(text) for name, text in chinese.items()} == {
        name: places(text) for name, text in english.items()
    }
    assert english["parts"].keys() == chinese["parts"].keys()


class Demo:
    """A running demo; its output is kept in a file."""

    def __init__(self, folder: Path, out: IO[bytes]) -> None:
        self.folder = folder
        self.process = psutil.Popen(
            [
                Path(sys.executable).parent / "newapi-demo",
                "run",
                "--folder",
                str(folder),
                "--incident-after",
                "1",
                "--history",
                "1",
            ],
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._out = Path(out.name)
        self.family: set[psutil.Process] = set()

    def output(self) -> str:
        return self._out.read_text(errors="replace")

    def says(self, pattern: str) -> re.Match[str] | None:
        self.family.update(self.process.children(recursive=True))
        if self.process.poll() is not None:
            raise AssertionError(f"the demo ended:\n{self.output()}")
        return re.search(pattern, self.output())

    def urls(self) -> dict[str, str]:
        return dict(re.findall(r"^  (\w+) +(http://127\.0\.0\.1:\d+)", self.output(), re.MULTILINE))

    def kill(self) -> None:
        for process in self.family:
            if process.is_running():
                process.kill()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    with (tmp_path / "out").open("wb") as out:
        running = Demo(tmp_path / "demo", out)
        try:
            wait_until(lambda: running.says("runs away on channel"), 60, "the incident")
            yield running
        finally:
            running.kill()


def test_it_shows_the_story_and_leaves_nothing_behind(demo: Demo) -> None:
    urls = demo.urls()
    assert urls.keys() >= PARTS
    for name, url in urls.items():
        path = "/messages" if name == "telegram" else "/-/ready"
        assert requests.get(f"{url}{path}", timeout=5).ok, name
    assert "New API Monitor" in requests.get(urls["exporter"], timeout=5).text
    for step in (
        "exporter: channel",
        "Prometheus: NewAPITokenUsageTrip fires",
        "breaker: told by Alertmanager",
        "database: channel .* has status 2, and 0 of",
        "Telegram: ⛔",
        "gateway: the last request on channel",
    ):
        wait_until(lambda step=step: demo.says(step), 120, step)  # type: ignore[misc]
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(20) == 0
    assert demo.output().splitlines()[-1].startswith("demo: everything has ended")
    assert "Traceback" not in demo.output()
    assert len(demo.family) >= len(PARTS)
    assert [p for p in demo.family if p.is_running() and p.status() != "zombie"] == []


def test_it_ends_as_a_whole_when_a_part_dies(demo: Demo) -> None:
    running = [p for p in demo.family if p.is_running()]
    exporters = [p for p in running if "newapi-exporter" in " ".join(p.cmdline())]
    exporters[-1].kill()
    assert demo.process.wait(20) == 1
    assert "a part ended by itself" in demo.output()
    assert [p for p in demo.family if p.is_running() and p.status() != "zombie"] == []
