"""Writes the dashboards: `python -m grafana.generate`; with --check it only compares."""

import sys
from importlib.resources import files
from pathlib import Path

import click

from grafana import (
    alerts,
    api_keys,
    channels,
    errors,
    logs,
    model_status,
    models,
    monitor,
    overview,
    performance,
    users,
)
from grafana.dashboard import to_json
from grafana.language import Language

_DASHBOARDS = {
    page.NAME: page.build
    for page in (
        overview,
        channels,
        models,
        model_status,
        api_keys,
        users,
        logs,
        errors,
        performance,
        alerts,
        monitor,
    )
}


def documents() -> dict[str, str]:
    """Give the text of every dashboard by its path below the folder of dashboards."""
    return {
        f"{language}/{name}.json": to_json(build(language))
        for name, build in _DASHBOARDS.items()
        for language in Language
    }


def outdated(folder: Path) -> list[str]:
    """Give the files of a folder that are not what is generated, missing and left over ones too."""
    made = documents()
    there = {str(path.relative_to(folder)) for path in folder.glob("*/*.json")}
    changed = {
        name
        for name, text in made.items()
        if name in there and (folder / name).read_text("utf-8") != text
    }
    return sorted(changed | (there ^ made.keys()))


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 where a file differs.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=str(files("grafana") / "dashboards"),
    show_default=True,
    help="Folder of the dashboards.",
)
def main(check: bool, out: Path) -> None:
    """Write the dashboards, each in every language."""
    if check:
        different = outdated(out)
        for name in different:
            click.echo(f"{name}: not what grafana.generate makes", err=True)
        sys.exit(1 if different else 0)
    for name, text in documents().items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
