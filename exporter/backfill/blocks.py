"""Blocks of Prometheus from OpenMetrics text, made by promtool beside their place, then moved."""

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

WORK = ".newapi-backfill"
"""Folder in Prometheus's data folder, which Prometheus passes over: a block is made on the same
file system and appears in one step."""

WIDEST = 54 * 3600
"""Seconds of a block, at most: one of promtool's own sizes (2 h times a power of 3), below the
tenth of 35 days that Prometheus itself makes at most."""

_ENVIRONMENT = {"GOGC": "400", "GOMEMLIMIT": "256MiB"}
"""A fifth faster; a bound to its memory besides the text, which is mapped."""


class BlockError(Exception):
    """A block cannot be made; its text is one line."""


class Job:
    """One file of text that becomes a block.

    Args:
        folder: a new folder for it.
        promtool: the program.
    """

    def __init__(self, folder: Path, promtool: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._promtool = promtool
        self._text = folder / "samples.txt"
        self._blocks = folder / "blocks"
        self._process: subprocess.Popen[bytes] | None = None
        self.file: BinaryIO = self._text.open("wb", buffering=2**20)
        self.samples = 0

    def start(self) -> None:
        """Close the text and let promtool begin."""
        self.file.close()
        self._process = subprocess.Popen(
            [self._promtool, "tsdb", "create-blocks-from", f"--max-block-duration={WIDEST}s",
             "--quiet", "openmetrics", self._text, self._blocks],
            env=os.environ | _ENVIRONMENT | {"TMPDIR": str(self._folder)},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip

    def finish(self) -> list[str]:
        """Wait for promtool, if it was started, and give the names of the blocks.

        Raises:
            BlockError: it failed.
        """
        if self._process is None:
            self.file.close()
            return []
        _, said = self._process.communicate()
        if self._process.returncode:
            words = " ".join(said.decode(errors="replace").split()) or "it said nothing"
            raise BlockError(f"promtool ended with {self._process.returncode}: {words}")
        self._text.unlink()
        return sorted(path.name for path in self._blocks.iterdir() if (path / "meta.json").exists())

    def cancel(self) -> None:
        """End it, whatever it does."""
        self.file.close()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            self._process.communicate()


class Workshop:
    """Makes blocks in a folder of its own within Prometheus's data folder, and moves them there.

    Raises:
        OSError: the folder cannot be made.
    """

    def __init__(self, out: Path, promtool: Path) -> None:
        self.out = out
        self._work = out / WORK
        self._work.mkdir(parents=True, exist_ok=True)
        self._promtool = promtool
        self._number = 0

    def job(self) -> Job:
        """Begin another block."""
        self._number += 1
        return Job(self._work / f"{os.getpid()}-{self._number}", self._promtool)

    def move(self, blocks: Iterable[str]) -> None:
        """Move finished blocks to where they belong; those that are there already stay.

        Raises:
            BlockError: a block is in neither place.
        """
        for block in blocks:
            target = self.out / block
            made = next(self._work.glob(f"*/blocks/{block}"), None)
            if made is not None:
                _give_to_owner(made, self.out)
                made.rename(target)
            elif not target.is_dir():
                raise BlockError(f"{target} is not there any more, and cannot be made again")
        _sync(self.out)

    def clear(self) -> None:
        """Remove all that is no finished block in its place."""
        shutil.rmtree(self._work, ignore_errors=True)
        self._work.mkdir(exist_ok=True)

    def close(self) -> None:
        """Remove the folder of its own."""
        shutil.rmtree(self._work, ignore_errors=True)


def _give_to_owner(block: Path, folder: Path) -> None:
    """Let a block that root made belong to whom the folder belongs to: Prometheus's account."""
    if os.geteuid() == 0:
        owner = folder.stat()
        for path in (block, *block.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)


def _sync(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
