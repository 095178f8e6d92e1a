"""What Grafana makes of the answers to a table's queries, before it draws them.

Of its source, what the dashboards use: transformDFToTable of the Prometheus source, and the
transformations configFromData, merge and organize, as they are since Grafana 9.5.10.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.servers import Sample

Row = dict[str, Any]


@dataclass(frozen=True)
class Field:
    """A column; None where a row has no value."""

    name: str
    values: list[Any]
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers."""
        return not any(isinstance(value, str) for value in self.values)


@dataclass(frozen=True)
class Frame:
    """A table, and the query that it came from."""

    ref: str
    fields: list[Field]

    @property
    def rows(self) -> list[Row]:
        """Its rows, without what they lack."""
        lines = zip(*(one.values for one in self.fields), strict=True)
        names = [one.name for one in self.fields]
        return [
            {name: value for name, value in zip(names, line, strict=True) if value is not None}
            for line in lines
        ]


def tables(answers: Mapping[str, Sequence[Sample]]) -> list[Frame]:
    """Give the frames of instant queries in table format; the time stands for all of them."""
    frames = []
    for ref, samples in answers.items():
        labels = sorted({name for sample in samples for name in sample.labels})
        columns = [Field("Time", [0] * len(samples))]
        columns += [Field(name, [one.labels.get(name, "") for one in samples]) for name in labels]
        shown = f"Value #{ref}" if len(answers) > 1 else "Value"
        frames.append(Frame(ref, [*columns, Field(shown, [one.value for one in samples])]))
    return frames


def transformed(frames: list[Frame], transformations: Sequence[Mapping[str, Any]]) -> list[Frame]:
    """Give what the transformations of a panel make of frames."""
    for one in transformations:
        frames = _TRANSFORMERS[one["id"]](frames, one["options"])
    return frames


def _config_from_data(frames: list[Frame], options: Mapping[str, Any]) -> list[Frame]:
    """Configure fields from a frame, and drop that; change nothing where there is none."""
    found = [frame for frame in frames if frame.ref == options["configRefId"]]
    if not found:
        return frames
    given = {one.name: one.values for one in found[0].fields}
    config: dict[str, Any] = {}
    for mapping in options["mappings"]:
        values = given.get(mapping["fieldName"], [])
        whole = mapping["handlerKey"].startswith("mappings.")
        if values:
            config[mapping["handlerKey"]] = values if whole else values[-1]
    matches = _matcher(options.get("applyTo", {"id": "numeric"}))
    return [
        Frame(frame.ref, [
            replace(one, config={**one.config, **config}) if matches(one) else one
            for one in frame.fields
        ])
        for frame in frames
        if frame is not found[0] or len(frames) == 1
    ]  # fmt: skip


def _matcher(wanted: Mapping[str, Any]) -> Callable[[Field], bool]:
    if wanted["id"] == "byName":
        return lambda one: bool(one.name == wanted["options"])
    if wanted["id"] == "byRegexp":
        pattern = re.compile(wanted["options"].strip("/"))
        return lambda one: bool(pattern.search(one.name))
    assert wanted["id"] == "numeric"
    return lambda one: one.numeric


def _merge(frames: list[Frame], _: Mapping[str, Any]) -> list[Frame]:
    """Join rows by the fields that all frames have, where nothing contradicts."""
    if len(frames) < 2:
        return frames
    fields: dict[str, Field] = {}
    for frame in frames:
        for one in frame.fields:
            fields.setdefault(one.name, Field(one.name, [], one.config))
    keys = [name for name in fields if all(name in map(_name, frame.fields) for frame in frames)]
    if not keys:
        return frames
    by_key: dict[tuple[Any, ...], list[Row]] = {}
    order: list[tuple[tuple[Any, ...], int]] = []
    for row in (row for frame in frames for row in frame.rows):
        key = tuple(row[name] for name in keys)
        there = by_key.setdefault(key, [])
        fitting = [old for old in there if all(old.get(name, v) == v for name, v in row.items())]
        for old in fitting:
            old.update(row)
        if not fitting:
            there.append(dict(row))
            order.append((key, len(there) - 1))
    rows = [by_key[key][index] for key, index in order]
    merged = [replace(one, values=[row.get(name) for row in rows]) for name, one in fields.items()]
    return [Frame("", merged)]


def _organize(frames: list[Frame], options: Mapping[str, Any]) -> list[Frame]:
    """Drop, order and rename fields; those that are not mentioned come last."""
    index, names = options["indexByName"], options["renameByName"]
    return [
        Frame(frame.ref, [
            replace(one, name=names.get(one.name) or one.name)
            for one in sorted(frame.fields, key=lambda one: index.get(one.name, len(index)))
            if not options["excludeByName"].get(one.name)
        ])
        for frame in frames
    ]  # fmt: skip


def _name(one: Field) -> str:
    return one.name


_TRANSFORMERS: dict[str, Callable[[list[Frame], Mapping[str, Any]], list[Frame]]] = {
    "configFromData": _config_from_data,
    "merge": _merge,
    "organize": _organize,
}
