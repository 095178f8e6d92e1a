"""The documents as tests read them: prose, blocks of code, tables."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
ENGLISH = [Path("README.md"), *(p.relative_to(ROOT) for p in sorted(ROOT.glob("docs/*.md")))]
ENGLISH = [path for path in ENGLISH if ".zh-CN." not in path.name]
TWINS = [(path, path.with_suffix(".zh-CN.md")) for path in ENGLISH]
DOCUMENTS = [path for twins in TWINS for path in twins] + [Path("CHANGELOG.md")]

BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)

Rows = list[list[str]]


class Block(NamedTuple):
    """A block of code."""

    language: str
    code: str


@cache
def read(path: Path | str) -> str:
    """Give the text of a document, whose path is from the root."""
    return (ROOT / path).read_text(encoding="utf-8")


def blocks(path: Path) -> list[Block]:
    """Give the blocks of code of a document."""
    return [
        Block(language, re.sub(f"^{indent}", "", code, flags=re.MULTILINE))
        for indent, language, code in BLOCK.findall(read(path))
    ]


def prose(path: Path) -> str:
    """Give a document without its code."""
    return BLOCK.sub("", read(path))


def tables(path: Path | str) -> list[Rows]:
    """Give each table of a document, its header first."""
    found = re.findall(r"(?:^\|.*\n)+", read(path), re.MULTILINE)
    lines = (
        [line for line in table.splitlines() if not line.startswith("| ---")] for table in found
    )
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in table] for table in lines
    ]


def codes(cell: str) -> list[str]:
    """Give what a cell shows as code."""
    return re.findall(r"`([^`]+)`", cell)


def differences(told: Mapping[str, object], there: Mapping[str, object]) -> dict[str, Any]:
    """Give what is told and what is there, by the names where they differ."""
    return {
        name: (told.get(name), there.get(name))
        for name in sorted(told.keys() | there.keys())
        if told.get(name) != there.get(name)
    }
