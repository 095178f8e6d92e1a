"""The commands that documents show: ours run, others are held to what they name."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from breaker.store import FILE, Store
from demo.load import load
from demo.schema import create
from demo.world import Sizes
from exporter.changes import VERSION
from exporter.state import State
from newapi.dsn import parse_dsn
from tests import command_lines
from tests.documents import DOCUMENTS, blocks, prose, read

BIN = Path(sys.executable).parent
ARGS = re.compile(r'^ARGS="(.+)"$', re.MULTILINE)
BEGINNINGS = {"docker compose exec exporter", "docker compose exec breaker"}
"""What is to be written before another command."""


def scripts() -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Give the lines of each block of shell, each block once."""
    seen: set[tuple[str, ...]] = set()
    for path in DOCUMENTS:
        for block in blocks(path):
            if block.language == "sh":
                joined = re.sub(r"\\\n\s*", "", block.code)
                lines = (re.sub(r"\s+#.*", "", line).strip() for line in joined.splitlines())
                script = tuple(line for line in lines if line)
                if script not in seen:
                    seen.add(script)
                    yield path, script


SCRIPTS = list(scripts())


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a user has it: gateway, rules, two states, token-monitor's database."""
    folder = tmp_path_factory.mktemp("prepared")
    url = parse_dsn(f"sqlite:///{folder}/one-api.db")
    create(url)
    now = time.time()
    load(url, rows=300, start=now - 86400, end=now, sizes=Sizes(channels=3, keys=5, users=4))
    Store(folder / "state" / "breaker", writable=True).close()
    (folder / "state" / "exporter").mkdir()
    with closing(sqlite3.connect(folder / "monitor.db")) as db, db:
        db.execute(
            "CREATE TABLE alerts (id INTEGER PRIMARY KEY, name TEXT, rule TEXT, enabled INTEGER,"
            " trigger_action TEXT, notify_telegram INTEGER, start_time TEXT, end_time TEXT)"
        )
        rule = '{"alertType": "token_usage", "type": "channel", "target": "1", "period": "24h",'
        rule += ' "threshold": 1000000}'
        db.execute("INSERT INTO alerts VALUES (1, 'One', ?, 1, 'disable', 1, '', '')", (rule,))
    return folder


def run(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of shell there, without any setting but the secret that is required."""
    names = ("PATH", "HOME", "LANG", "PROMTOOL", "PROMETHEUS")
    environment = {name: os.environ[name] for name in names if name in os.environ}
    environment["PATH"] = f"{BIN}{os.pathsep}{environment['PATH']}"
    return subprocess.run(
        ["/bin/bash", "-c", line], cwd=folder, capture_output=True, text=True, check=False,
        env=environment | {"BREAKER_TOKEN": "only-for-tests-0123456789"}, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize(("path", "script"), SCRIPTS, ids=lambda value: str(value)[:40])
def test_commands_run(prepared: Path, tmp_path: Path, path: Path, script: tuple[str, ...]) -> None:
    folder = tmp_path / "folder"
    shutil.copytree(prepared, folder)
    (folder / "alerts.yml").write_text(rules_of(path), encoding="utf-8")
    for line in script:
        first, *rest = line.split()
        if first == "make":
            targets = re.findall(r"^([a-z-]+):", read(Path("Makefile")), re.MULTILINE)
            assert rest[0] in targets, line
        elif first in command_lines.OURS:
            check(folder, line)
        else:
            command_lines.check(line)


def inline() -> list[str]:
    """Give the commands within sentences that Docker or systemd would run."""
    found = [
        code
        for path in DOCUMENTS
        for code in re.findall(r"`((?:docker|systemctl) [^`\n]*)`", prose(path))
    ]
    return sorted(set(found))


@pytest.mark.parametrize("line", inline())
def test_commands_within_sentences_are_right(line: str) -> None:
    if line not in BEGINNINGS:
        command_lines.check(line)


def test_flags_in_debians_files_are_those_of_the_servers() -> None:
    found = ARGS.findall(read(Path("docs/installation.md")))
    assert len(found) == 2
    for server, line in zip(("prometheus", "prometheus-alertmanager"), found, strict=True):
        command_lines.check(f"{server} {line}")


def rules_of(path: Path) -> str:
    """Give the rules that a document speaks of: the example, or what its language shows."""
    if ".zh-CN." in path.name:
        return next(b.code for b in blocks(Path("docs/alerts.zh-CN.md")) if b.language == "yaml")
    return read(Path("alerts.yml"))


def check(folder: Path, line: str) -> None:
    """Run a command of ours: to its end, or, where it has none or needs others, up to its help."""
    if line.endswith("&") or "test-notification" in line:
        line = f"{line.removesuffix('&')} --help"
    done = run(folder, line)
    if " release " in line:  # nothing is held here
        assert done.stderr == "that is not held; held: nothing\n", line
    else:
        assert done.returncode == 0, f"{line}: {done.stderr}"


def test_what_a_state_of_a_newer_version_says(tmp_path: Path) -> None:
    said = [b.code for b in blocks(Path("docs/upgrades.md")) if "written by a newer" in b.code]
    known = VERSION
    State(tmp_path / "state" / "exporter").close()
    with closing(sqlite3.connect(tmp_path / "state" / "exporter" / "state.db")) as db, db:
        db.execute("REPLACE INTO meta VALUES ('version', ?)", (str(known + 1),))
    Store(tmp_path / "state" / "breaker", writable=True).close()
    with closing(sqlite3.connect(tmp_path / "state" / "breaker" / FILE)) as db:
        known = db.execute("PRAGMA user_version").fetchone()[0]
        db.execute(f"PRAGMA user_version = {known + 1}")
    done = [run(tmp_path, f"newapi-{name}") for name in ("exporter", "breaker")]
    assert [one.returncode for one in done] == [2, 2]
    assert [one.stderr for one in done] == said[0].splitlines(keepends=True)
