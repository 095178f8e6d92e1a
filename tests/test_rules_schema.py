"""The JSON Schema of alerts.yml, by a validator: what editors mark, and what they cannot."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from exporter.rules.schema import schema

REPOSITORY = Path(__file__).parent.parent
FIXTURES = sorted((Path(__file__).parent / "rules").glob("*.yml"))
PUBLISHED = REPOSITORY / "docs" / "alerts.schema.json"

NO_YAML = {"not-yaml", "tab"}
"""No YAML at all."""

ONLY_THE_EXPORTER = {
    # What rules say together.
    "name-twice", "says-the-same", "says-the-same-hours-overlap",
    # Editors mark a key that is there twice by themselves; the validator gets the last one.
    "key-twice",
    # Which days and moments there are, what is before what, and which zones.
    "range-backwards", "range-for-ever", "range-no-such-day", "unknown-zone",
    "active-unknown-day", "active-hours-equal",
    # How YAML 1.1 reads a number.
    "number-octal", "number-sexagesimal",
}  # fmt: skip
"""Mistakes that a schema cannot see."""


class _Loader(yaml.SafeLoader):
    """Reads as editors do, for whom a date is a text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _mistakes(path: Path) -> list[str]:
    content: Any = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506  (it is safe)
    validator = Draft202012Validator(schema())
    return [error.message for error in validator.iter_errors(content)]


def test_it_is_a_schema_and_the_published_one() -> None:
    Draft202012Validator.check_schema(schema())
    assert json.loads(PUBLISHED.read_text(encoding="utf-8")) == schema()


def test_the_example_has_no_mistake() -> None:
    assert _mistakes(REPOSITORY / "alerts.yml") == []


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_each_kind_of_mistake_is_marked_but_for_those_that_are_listed(path: Path) -> None:
    if path.stem in NO_YAML:
        with pytest.raises(yaml.YAMLError):
            _mistakes(path)
    else:
        assert bool(_mistakes(path)) == (path.stem not in ONLY_THE_EXPORTER)
