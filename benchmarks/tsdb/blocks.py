"""Blocks: their chunks, their index, and how a month is divided into them."""

import json
import struct
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from benchmarks.tsdb.encoding import Tail, crc, crc_state, text, varint, xor_chunk
from tests.remote_write import uvarint

Labels = tuple[tuple[str, str], ...]
"""Names and values, by name."""

HOUR = 3600
HEAD_CHUNK = 2 * HOUR
"""Seconds: chunks end where Prometheus would have cut a block off its memory."""
SAMPLES_A_CHUNK = 120
SIZES = (54 * HOUR, 18 * HOUR, 6 * HOUR, 2 * HOUR)
"""Seconds of blocks that Prometheus has compacted, at a retention of 35 days: at most a tenth."""


@dataclass(frozen=True)
class Shape:
    """How the values of many series run.

    Attributes:
        value: by its unix seconds; equal shapes must have the same.
        interval: seconds between two samples.
        since, until: unix seconds, where the series were not there all the time.
    """

    value: Callable[[int], float]
    interval: int
    since: int = 0
    until: int = 1 << 40

    def moments(self, begin: int, end: int) -> range:
        """Give the times of its samples from `begin` to before `end`, which it divides."""
        first = max(begin, -(-self.since // self.interval) * self.interval)
        return range(first, min(end, self.until), self.interval)


class Chunk(NamedTuple):
    """A chunk of a block: its first and last moment in milliseconds, and where it is."""

    first: int
    last: int
    ref: int


class Month:
    """Series with their shapes, written as blocks."""

    def __init__(self, series: Sequence[tuple[Labels, Shape]]) -> None:
        ordered = sorted(series, key=lambda one: one[0])
        self._shapes = [shape for _, shape in ordered]
        symbols = {part for labels, _ in ordered for pair in labels for part in pair}
        self._symbols = sorted(symbols)
        numbers = {symbol: uvarint(index) for index, symbol in enumerate(self._symbols)}
        self._labels = []
        self._postings: dict[tuple[str, str], array[int]] = defaultdict(lambda: array("I"))
        for index, (labels, _) in enumerate(ordered):
            parts = b"".join(numbers[name] + numbers[value] for name, value in labels)
            encoded = uvarint(len(labels)) + parts
            self._labels.append((encoded, crc_state(encoded)))
            for pair in (("", ""), *labels):
                self._postings[pair].append(index)

    def write(self, folder: Path, begin: int, end: int) -> None:
        """Write a block below a folder, from a moment to before another, in unix seconds."""
        name = _ulid(begin)
        (folder / name / "chunks").mkdir(parents=True)
        with (folder / name / "chunks" / "000001").open("wb") as file:
            file.write(struct.pack(">IB3x", 0x85BD40DD, 1))
            chunks = {shape: _chunks(file, shape, begin, end) for shape in set(self._shapes)}
        with (folder / name / "index").open("wb") as file:
            self._index(file, chunks)
        there = [chunks[shape] for shape in self._shapes if chunks[shape]]
        stats = {
            "numSeries": len(there),
            "numChunks": sum(map(len, there)),
            "numSamples": sum(
                len(shape.moments(begin, end)) for shape in self._shapes if chunks[shape]
            ),
        }
        level = len(SIZES) - SIZES.index(end - begin)
        about: dict[str, Any] = {
            "version": 1,
            "ulid": name,
            "minTime": begin * 1000,
            "maxTime": end * 1000,
            "stats": stats,
            "compaction": {"level": level, "sources": [name]},
        }
        (folder / name / "meta.json").write_text(json.dumps(about))

    def _index(self, file: BinaryIO, chunks: dict[Shape, list[Chunk]]) -> None:
        file.write(struct.pack(">IB", 0xBAAAD700, 2))
        symbols = struct.pack(">I", len(self._symbols)) + b"".join(map(text, self._symbols))
        file.write(_sized(symbols))
        file.write(b"\0" * (-file.tell() % 16))
        series = file.tell()
        refs = self._series(file, chunks)
        offsets = []
        for (name, value), members in sorted(self._postings.items()):
            listed = array("I", (refs[index] for index in members if refs[index]))
            if not listed:
                continue
            file.write(b"\0" * (-file.tell() % 4))
            offsets.append(b"\2" + text(name) + text(value) + uvarint(file.tell()))
            count = struct.pack(">I", len(listed))
            listed.byteswap()
            file.write(_sized(count + listed.tobytes()))
        table = file.tell()
        file.write(_sized(struct.pack(">I", len(offsets)) + b"".join(offsets)))
        # Two sections that nothing reads any more are left out.
        contents = struct.pack(">6Q", 5, series, table, table, series, table)
        file.write(contents + crc(contents))

    def _series(self, file: BinaryIO, chunks: dict[Shape, list[Chunk]]) -> "array[int]":
        """Write what the series are and where their chunks are; gives the place of each, or 0."""
        tails = {shape: Tail(_listed(found)) for shape, found in chunks.items() if found}
        refs = array("I", bytes(4 * len(self._shapes)))
        place = file.tell()
        for index, (shape, (labels, state)) in enumerate(
            zip(self._shapes, self._labels, strict=True)
        ):
            tail = tails.get(shape)
            if tail is None:
                continue
            length = uvarint(len(labels) + len(tail.content))
            entry = length + labels + tail.content + tail.crc(state)
            entry += b"\0" * (-len(entry) % 16)
            file.write(entry)
            refs[index] = place // 16
            place += len(entry)
        return refs


def spans(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Divide a time, which begins and ends at a multiple of two hours, as Prometheus does."""
    while begin < end:
        size = next(s for s in SIZES if begin % s == 0 and begin + s <= end)
        yield begin, begin + size
        begin += size


def _chunks(file: BinaryIO, shape: Shape, begin: int, end: int) -> list[Chunk]:
    found = []
    for stretch in range(begin, end, HEAD_CHUNK):
        moments = shape.moments(stretch, stretch + HEAD_CHUNK)
        for first in range(0, len(moments), SAMPLES_A_CHUNK):
            part = moments[first : first + SAMPLES_A_CHUNK]
            values = [shape.value(moment) for moment in part]
            content = b"\1" + xor_chunk(part[0] * 1000, shape.interval * 1000, values)
            place = file.tell()
            file.write(uvarint(len(content) - 1) + content + crc(content))
            found.append(Chunk(part[0] * 1000, part[-1] * 1000, place))
    return found


def _listed(chunks: list[Chunk]) -> bytes:
    first = chunks[0]
    parts = [uvarint(len(chunks)), varint(first.first), uvarint(first.last - first.first)]
    parts.append(uvarint(first.ref))
    for before, chunk in pairwise(chunks):
        parts += (
            uvarint(chunk.first - before.last),
            uvarint(chunk.last - chunk.first),
            varint(chunk.ref - before.ref),
        )
    return b"".join(parts)


def _sized(content: bytes) -> bytes:
    """Give a section with its length and checksum."""
    return struct.pack(">I", len(content)) + content + crc(content)


def _ulid(moment: int) -> str:
    """Give a name for a block, which Prometheus wants to be a ULID."""
    digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    number = moment * 1000 << 80 | moment
    return "".join(digits[number >> 5 * place & 31] for place in reversed(range(26)))
