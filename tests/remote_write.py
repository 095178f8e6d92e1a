"""Samples written into a real Prometheus by remote write (prompb/types.proto)."""

import itertools
import re
import struct
from collections.abc import Iterable

import requests

from tests.servers import Prometheus

RECEIVER = "--web.enable-remote-write-receiver"
"""The option of prometheus that takes what is written."""

_AT_ONCE = 2000
"""Series of a request."""


def labels_of(series: str) -> list[tuple[str, str]]:
    """The labels of a series as PromQL writes it, by name."""
    name, _, rest = series.partition("{")
    return sorted([("__name__", name), *re.findall(r'(\w+)="([^"]*)"', rest)])


def samples(times: Iterable[int], values: Iterable[float]) -> bytes:
    """Samples of a series, with their unix seconds."""
    return b"".join(
        _field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + uvarint(time * 1000))
        for time, value in zip(times, values, strict=True)
    )


def one_series(labels: Iterable[tuple[str, str]], encoded: bytes) -> bytes:
    """A series of these samples; its labels must be in the order of their names."""
    pairs = (_field(1, name.encode()) + _field(2, value.encode()) for name, value in labels)
    return _field(1, b"".join(_field(1, pair) for pair in pairs) + encoded)


def write(server: Prometheus, series: Iterable[bytes]) -> None:
    """Write series into a server that was started with RECEIVER."""
    left = iter(series)
    while batch := list(itertools.islice(left, _AT_ONCE)):
        answer = requests.post(
            f"{server.url}/api/v1/write",
            data=_snappy(b"".join(batch)),
            headers={"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"},
            timeout=60,
        )
        assert answer.status_code == 204, answer.text


def uvarint(number: int) -> bytes:
    """A number that is not negative, seven bits a byte."""
    parts = []
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + uvarint(len(content)) + content


def _snappy(content: bytes) -> bytes:
    """Wrap bytes as snappy does what cannot be compressed (format_description.txt)."""
    parts = [uvarint(len(content))]
    for start in range(0, len(content), 65536):
        piece = content[start : start + 65536]
        parts.append(b"\xf4" + struct.pack("<H", len(piece) - 1) + piece)
    return b"".join(parts)
