"""The rules of prometheus/rules: what fires and what does not, by the tools that will run them."""

import json
from pathlib import Path

import pytest

from tests.rule_cases import KINDS, Kind, documents
from tests.servers import promtool

REPOSITORY = Path(__file__).parent.parent
RULES = REPOSITORY / "prometheus" / "rules"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.type)
def test_each_type_fires_when_it_should_and_only_then(kind: Kind, tmp_path: Path) -> None:
    promtool("test", "rules", *_written(kind, tmp_path))


def _written(kind: Kind, folder: Path, **options: bool) -> list[Path]:
    """Write the test files of a type; JSON is YAML, and is written sooner."""
    paths = []
    for number, document in enumerate(documents(kind, str(RULES / f"{kind.type}.yml"), **options)):
        path = folder / f"{kind.type}-{number}.yml"
        path.write_text(json.dumps(document))
        paths.append(path)
    return paths
