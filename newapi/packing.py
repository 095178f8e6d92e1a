"""A log row's numbers as one text, for a driver that takes long for each value.

PyMySQL, which is written in Python, takes half a microsecond for every value of every row. Eleven
numbers in one value take less than two together, and the server as good as nothing to join them.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import CHAR, ColumnElement, cast, func

from newapi.rows import LogRow

NUMBERS = LogRow._fields.index("is_stream") + 1
"""How many fields of a LogRow, from the first on, are numbers."""

_BETWEEN = "\x1f"
"""Stands in no number, nor in what somebody writes for one: "1,000" has to be read, too."""


def pack(columns: Sequence[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
    """Join the numbers among the columns of a LogRow. NULL becomes 0, as which it counts."""
    numbers = (func.coalesce(column, 0) for column in columns[:NUMBERS])
    joined: ColumnElement[Any] = cast(func.concat_ws(_BETWEEN, *numbers), CHAR)
    return [joined.label("numbers"), *columns[NUMBERS:]]


def unpack(row: Sequence[Any]) -> LogRow:
    """Give the LogRow whose columns were packed."""
    numbers, *texts = row
    parts = numbers.split(_BETWEEN)
    try:
        return LogRow._make((*map(int, parts), *texts))
    except ValueError:  # a column that somebody made a DECIMAL: read_event reads text, too
        return LogRow._make((*(int(p) if p.isdecimal() else p for p in parts), *texts))
