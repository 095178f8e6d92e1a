"""docs/configuration.md and its Chinese twin against the settings and commands of the programs."""

import re
from collections.abc import Iterator
from typing import Any

import click
import pytest
from pydantic import AliasChoices, SecretStr
from pydantic_core import PydanticUndefined

from breaker.cli import main as breaker
from breaker.settings import BreakerSettings
from demo.cli import main as demo
from deploy.cli import main as monitor
from deploy.settings import RenderSettings
from exporter.cli import main as exporter
from exporter.settings import ExporterSettings
from service.binaries import _BINARIES
from service.settings import Settings, variables
from tests.documents import ROOT, Rows, codes, differences, tables

DOCUMENTS = ("docs/configuration.md", "docs/configuration.zh-CN.md")
READERS: dict[str, type[Settings]] = {
    "E": ExporterSettings, "B": BreakerSettings, "R": RenderSettings,
}  # fmt: skip
PROGRAMS = {
    "newapi-exporter": exporter, "newapi-breaker": breaker, "newapi-monitor": monitor,
    "newapi-demo": demo,
}  # fmt: skip


def settings_rows(document: str) -> Rows:
    return [row for table in tables(document) if len(table[0]) == 4 for row in table[1:]]


def shown(default: Any) -> str:
    """Give a default as a person would type it."""
    if default is None or default is PydanticUndefined or default == ():
        return ""
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    return default.geturl() if hasattr(default, "geturl") else str(default)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_variable_is_there_with_its_readers_and_its_default(document: str) -> None:
    told = {
        codes(name)[0]: (set(readers.split(", ")), set(codes(default)))
        for name, readers, default, _ in settings_rows(document)
    }
    there: dict[str, tuple[set[str], set[str]]] = {}
    for reader, cls in READERS.items():
        for name, field in variables(cls).items():
            readers, defaults = there.setdefault(name, (set(), set()))
            readers.add(reader)
            defaults |= {shown(field.default)} - {""}
    assert differences(told, there) == {}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_secrets_are_called_so_and_other_names_are_named(document: str) -> None:
    secret = "Secret" if document == DOCUMENTS[0] else "密钥"
    for name, readers, _, value in settings_rows(document):
        for reader in readers.split(", "):
            field = variables(READERS[reader])[codes(name)[0]]
            hidden = SecretStr in (field.annotation, *getattr(field.annotation, "__args__", ()))
            assert value.rstrip("。.").endswith(secret) == hidden, name
            if isinstance(field.validation_alias, AliasChoices):
                assert {f"`{alias}`" in value for alias in field.validation_alias.choices} == {True}


def commands(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """Give all commands that a person can type."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for part in command.list_commands(context):
            below = command.get_command(context, part)
            assert below is not None
            yield from commands(f"{name} {part}", below)
    else:
        yield name, command


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_is_there_with_its_flags(document: str) -> None:
    told: dict[str, set[str]] = {}
    name = ""
    for table in tables(document):
        if table[0][0] in {"command", "命令"}:
            for command, flag, _ in table[1:]:
                name = codes(command)[0] if command else name
                told.setdefault(name, set()).update(codes(flag))
    there = {
        name: {o for p in command.params if isinstance(p, click.Option) for o in p.opts}
        for program, group in PROGRAMS.items()
        for name, command in commands(program, group)
    }
    assert differences(told, there) == {}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_variable_that_names_a_program_is_there(document: str) -> None:
    told = {
        name
        for table in tables(document)
        if table[0][1] in {"program", "程序"}
        for row in table[1:]
        for name in codes(row[0])
    }
    assert told == {binary.variable for binary in _BINARIES.values()} - {""}


def test_both_languages_tell_the_same_settings() -> None:
    english, chinese = map(settings_rows, DOCUMENTS)
    assert [row[:3] for row in english] == [row[:3] for row in chinese]


def test_no_variable_is_named_elsewhere_that_nobody_reads() -> None:
    known = {name for cell in _first_cells() for name in codes(cell)} | ALIASES | OTHERS
    named = {
        (str(file.relative_to(ROOT)), name)
        for file in (*ROOT.glob("docs/*.md"), *ROOT.glob("README*.md"))
        for name in re.findall(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)[`=]", file.read_text("utf-8"))
    }
    assert {(file, name) for file, name in named if name not in known} == set()


ALIASES = {"DATABASE_URL", "ACCESS_PASSWORD"}
OTHERS = {
    "ERROR_LOG_ENABLED", "SYNC_FREQUENCY", "MEMORY_CACHE_ENABLED", "REDIS_CONN_STRING",
    "BATCH_UPDATE_ENABLED", "CHANNEL_TEST_FREQUENCY", "QUOTA_PER_UNIT", "GF_PATHS_PROVISIONING",
    "PROVISIONING_CFG_DIR",
}  # fmt: skip
"""Variables of the gateways, of token-monitor and of Grafana."""


def _first_cells() -> Iterator[str]:
    for table in tables(DOCUMENTS[0]):
        if table[0][0] == "variable":
            yield from (row[0] for row in table[1:])
