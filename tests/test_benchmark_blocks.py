"""The blocks that benchmarks write, read by a real Prometheus."""

import math

from benchmarks.panels_series import Grown, Same
from benchmarks.tsdb.blocks import HOUR, Month, Shape, spans
from benchmarks.tsdb.encoding import START, Tail, crc, crc_state, xor_chunk
from tests.servers import Prometheus, promtool

BEGIN = 1_767_225_600 // (54 * HOUR) * 54 * HOUR
END = BEGIN + 62 * HOUR
SHAPES = {
    "counter": Shape(Grown(3.7), 15),
    "steady": Shape(Same(1), 15),
    "odd": Shape(math.sqrt, 120),
    "brief": Shape(Same(2), 15, BEGIN + 3 * HOUR + 5, BEGIN + 4 * HOUR),
}


def test_what_is_written_is_read() -> None:
    series = [
        ((("__name__", name), ("number", str(number))), shape)
        for name, shape in SHAPES.items()
        for number in range(3)
    ]
    server = Prometheus("scrape_configs: []\n")
    for begin, end in spans(BEGIN, END):
        Month(series).write(server.data, begin, end)
    with server:
        for name, shape in SHAPES.items():
            moments = shape.moments(BEGIN, END)
            for what, expected in (
                ("count_over_time", len(moments)),
                ("sum_over_time", math.fsum(map(shape.value, moments))),
                ("last_over_time", shape.value(moments[-1])),
            ):
                found = server.query(f"{what}({name}[62h])", at=END - 1)
                assert [one.labels["number"] for one in found] == ["0", "1", "2"]
                assert all(math.isclose(one.value, expected) for one in found), (name, what)
        assert len(server.query('{number="1"}', at=BEGIN + 3 * HOUR + 60)) == len(SHAPES)
        assert len(server.query('{number="1"}', at=BEGIN + 60)) == len(SHAPES) - 1
        # As Prometheus divides time itself: nothing is left to compact.
        lengths = promtool("tsdb", "list", server.data).stdout.split("\n")[1:]
        assert sum("54h0m0s" in line for line in lengths) == 1
        assert sum("6h0m0s" in line for line in lengths) == 1
        assert sum("2h0m0s" in line for line in lengths) == 1


def test_checksums() -> None:
    assert crc(b"123456789").hex() == "e3069283"  # RFC 3720, B.4 and the catalogue of CRCs
    for cut in (0, 1, 5, 9):
        head, tail = b"123456789"[:cut], b"123456789"[cut:]
        assert Tail(tail).crc(crc_state(head)) == crc(b"123456789")
    assert crc_state(b"") == START


def test_a_chunk_of_one_sample() -> None:
    assert xor_chunk(1000, 15_000, [1.0]).hex() == "0001" + "d00f" + "3ff0000000000000"
