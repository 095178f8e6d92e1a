"""The rules of prometheus/rules: what fires and what does not, by the tools that will run them."""

import json
import os
from pathlib import Path

import pytest

from tests.rule_cases import KINDS, Kind
from tests.rule_stories import documents
from tests.servers import promtool
from tests.servers.prometheus import run_tool

REPOSITORY = Path(__file__).parent.parent
RULES = REPOSITORY / "prometheus" / "rules"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.type)
def test_each_type_fires_when_it_should_and_only_then(kind: Kind, tmp_path: Path) -> None:
    promtool("test", "rules", *_written(kind, tmp_path))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.type)
def test_vmalert_gives_the_same_alerts(kind: Kind, tmp_path: Path) -> None:
    tool = os.environ.get("VMALERT_TOOL", "")
    if not tool:
        pytest.skip("VMALERT_TOOL does not name vmalert-tool of VictoriaMetrics: not tested on it")
    files = [f"--files={path}" for path in _written(kind, tmp_path, metricsql=True)]
    run_tool(Path(tool), "unittest", *files, cwd=tmp_path, check=True)


def _written(kind: Kind, folder: Path, **options: bool) -> list[Path]:
    """Write the test files of a type; JSON is YAML, and is written sooner."""
    paths = []
    for number, document in enumerate(documents(kind, str(RULES / f"{kind.type}.yml"), **options)):
        path = folder / f"{kind.type}-{number}.yml"
        path.write_text(json.dumps(document))
        paths.append(path)
    return paths
