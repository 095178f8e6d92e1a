"""Where the servers and their tools are: named by the environment, on the PATH, or unpacked."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MORE_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Searched after PATH: where Debian keeps servers, which a normal user's PATH leaves out."""


class MissingBinaryError(Exception):
    """A program is not on this machine; the text is one line that says what to do."""


@dataclass(frozen=True)
class _Binary:
    """How one program is found.

    Attributes:
        variable: of the environment, naming the program or, with `folder`, its folder.
        names: of the file on PATH; the first one also in .tools/bin.
        beside: the variable of a server, beside whose program this one may stand.
        folders: patterns of more places, the newest version last in order.
        unpacked: whether `make servers` provides it.
    """

    variable: str
    names: tuple[str, ...]
    folder: bool = False
    beside: str = ""
    folders: tuple[str, ...] = ()
    unpacked: bool = True


_POSTGRES = ("/usr/lib/postgresql/*/bin",)
_GRAFANA = ("/usr/share/grafana/bin",)
_BINARIES = {
    "prometheus": _Binary("PROMETHEUS", ("prometheus",)),
    "promtool": _Binary("PROMTOOL", ("promtool",), beside="PROMETHEUS"),
    "alertmanager": _Binary("ALERTMANAGER", ("alertmanager", "prometheus-alertmanager")),
    "amtool": _Binary("AMTOOL", ("amtool",), beside="ALERTMANAGER"),
    "mariadbd": _Binary("MARIADBD", ("mariadbd",)),
    "mariadb-install-db": _Binary("", ("mariadb-install-db",), beside="MARIADBD"),
    "mariadb": _Binary("", ("mariadb", "mysql"), beside="MARIADBD"),
    "postgres": _Binary("POSTGRES_BIN", ("postgres",), folder=True, folders=_POSTGRES),
    "initdb": _Binary("POSTGRES_BIN", ("initdb",), folder=True, folders=_POSTGRES),
    "grafana": _Binary("GRAFANA", ("grafana",), folders=_GRAFANA, unpacked=False),
}


def find(name: str) -> Path:
    """Find a program: the environment's variable, then PATH, then what `make servers` unpacked.

    Args:
        name: prometheus, promtool, alertmanager, amtool, mariadbd, mariadb-install-db, mariadb,
            postgres, initdb or grafana.

    Raises:
        MissingBinaryError: it is nowhere, or the variable names no program.
    """
    binary = _BINARIES[name]
    named = os.environ.get(binary.variable, "") if binary.variable else ""
    if named:
        wanted = Path(named, binary.names[0]) if binary.folder else named
        if found := shutil.which(wanted):
            return Path(found).absolute()
        raise MissingBinaryError(f"{binary.variable}={named}: no program {wanted}")
    for folder in _places(binary):
        for candidate in binary.names:
            if found := shutil.which(candidate, path=folder):
                return Path(found).absolute()
    remedy = f"name it in {binary.variable or binary.beside}"
    if binary.unpacked:
        remedy += " or run `make servers`"
    raise MissingBinaryError(f"{name} is missing: {remedy}")


def _places(binary: _Binary) -> Iterator[str]:
    """The folders to look in, best first."""
    server = os.environ.get(binary.beside, "") if binary.beside else ""
    if found := shutil.which(server):
        home = Path(found).absolute().parent
        yield from map(str, (home, home.parent / "bin", home.parent / "scripts"))
    yield os.environ.get("PATH", os.defpath)
    yield from MORE_FOLDERS
    for pattern in binary.folders:
        yield from sorted(map(str, Path("/").glob(pattern[1:])), key=_version, reverse=True)
    yield str(Path(__file__).parent.parent / ".tools" / "bin")
    yield str(Path.cwd() / ".tools" / "bin")


def _version(folder: str) -> tuple[int, ...]:
    """The numbers in a folder's name, so that 9 comes before 16."""
    return tuple(int(part) for part in folder.replace(".", "/").split("/") if part.isdigit())
