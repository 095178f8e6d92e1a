"""Numbers and checksums as Prometheus writes them, and a chunk of samples."""

import struct
from collections.abc import Sequence

from tests.remote_write import uvarint

_POLYNOMIAL = 0x82F63B78
"""Castagnoli's, its bits reversed."""

START = 0xFFFFFFFF
"""The state of a checksum before any byte."""


def _table() -> list[int]:
    table = []
    for number in range(256):
        state = number
        for _ in range(8):
            state = state >> 1 ^ (_POLYNOMIAL if state & 1 else 0)
        table.append(state)
    return table


_TABLE = _table()


def crc_state(content: bytes, state: int = START) -> int:
    """Give the state of a CRC-32C after more bytes."""
    table = _TABLE
    for byte in content:
        state = table[(state ^ byte) & 0xFF] ^ state >> 8
    return state


def crc(content: bytes) -> bytes:
    """Give the CRC-32C of bytes."""
    return struct.pack(">I", crc_state(content) ^ START)


class Tail:
    """Bytes that many entries end in: their part of a checksum is computed once.

    A CRC is linear, so that what the tail makes of a state is put together from what it makes of
    each of the state's bytes.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        none = crc_state(content, 0)
        bits = [crc_state(content, 1 << bit) ^ none for bit in range(32)]
        self._parts = [[0] * 256 for _ in range(4)]
        for place, part in enumerate(self._parts):
            for byte in range(1, 256):
                low = byte & -byte
                part[byte] = part[byte ^ low] ^ bits[8 * place + low.bit_length() - 1]
        self._parts[0] = [entry ^ none for entry in self._parts[0]]

    def crc(self, state: int) -> bytes:
        """Give the CRC-32C of something, told by the state after it, and this behind it."""
        first, second, third, fourth = self._parts
        state = (
            first[state & 0xFF]
            ^ second[state >> 8 & 0xFF]
            ^ third[state >> 16 & 0xFF]
            ^ fourth[state >> 24]
        )
        return struct.pack(">I", state ^ START)


def varint(number: int) -> bytes:
    """Give a number that may be negative."""
    return uvarint(number << 1 if number >= 0 else ~(number << 1))


def text(value: str) -> bytes:
    """Give a text with its length."""
    encoded = value.encode()
    return uvarint(len(encoded)) + encoded


def xor_chunk(start: int, step: int, values: Sequence[float]) -> bytes:
    """Encode samples at equal distances (tsdb/chunkenc/xor.go).

    Args:
        start: milliseconds of the first.
        step: milliseconds between two.
        values: of the samples.
    """
    raw = struct.unpack(f">{len(values)}Q", struct.pack(f">{len(values)}d", *values))
    head = struct.pack(">H", len(values)) + varint(start) + struct.pack(">Q", raw[0])
    if len(values) == 1:
        return head
    bits, length = int.from_bytes(uvarint(step)), 8 * len(uvarint(step))
    leading = trailing = 64
    for index in range(1, len(raw)):
        if index > 1:  # as far from the one before as that from its own
            bits <<= 1
            length += 1
        changed = raw[index] ^ raw[index - 1]
        if not changed:
            bits <<= 1
            length += 1
            continue
        zeros = min(64 - changed.bit_length(), 31)
        behind = (changed & -changed).bit_length() - 1
        if zeros >= leading and behind >= trailing:
            size = 64 - leading - trailing
            bits = (bits << 2 | 0b10) << size | changed >> trailing
            length += 2 + size
            continue
        leading, trailing = zeros, behind
        size = 64 - leading - trailing
        bits = ((bits << 2 | 0b11) << 5 | leading) << 6 | size & 0x3F
        bits = bits << size | changed >> trailing
        length += 13 + size
    spare = -length % 8
    return head + (bits << spare).to_bytes((length + spare) // 8)
