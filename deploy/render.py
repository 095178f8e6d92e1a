"""Writes the configuration of Prometheus, Alertmanager and Grafana into a folder."""

import re
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from deploy.settings import RenderSettings
from grafana.source import database_source
from newapi.dsn import parse_dsn

# Package, folder in it; each keeps its name below the output folder.
_SOURCES = (
    ("prometheus", ""),
    ("prometheus", "rules"),
    ("alertmanager", ""),
    ("grafana", "provisioning"),
    ("grafana", "dashboards"),
)

# What rule files link to as they stand; they stay plain, so that promtool takes them.
_DASHBOARD = re.compile(r"http://127\.0\.0\.1:3001/d/(.+?)-en\b")
_RUNBOOK = re.compile(r"( *runbook_url: )docs/runbook\.md(#\w+\n)")

_LANGUAGES = {"en": "en-US", "zh": "zh-Hans"}
"""As Grafana calls them."""

_COPIED = (".yml", ".json")
_TEMPLATE = ".j2"


def render(settings: RenderSettings, out: Path, *, prune: bool = False) -> list[Path]:
    """Write all files below `out`, each the owner's alone; gives their paths.

    Files that are equal stay untouched, and each is replaced as a whole, so that a server that
    reloads never reads half of one.

    Args:
        settings: as loaded.
        out: the folder.
        prune: whether other files in the servers' folders there go: an older version's rules would
            go on firing.

    Raises:
        OSError: a file cannot be written.
    """
    variables = _variables(settings, out)
    jinja = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701  (YAML; values go through tojson)
    written = []
    for package, folder in _SOURCES:
        for relative, source in _files(files(package).joinpath(folder), Path(package, folder)):
            target, text = out / relative, source.read_text(encoding="utf-8")
            if target.suffix == _TEMPLATE:
                target, text = target.with_suffix(""), jinja.from_string(text).render(variables)
            elif package == "prometheus":
                text = _linked(text, settings)
            written.append(_write(target, text))
    written += _messages(out / "alertmanager" / "templates", settings.monitor_lang)
    # For Grafana's own menus: GF_USERS_DEFAULT_LANGUAGE__FILE.
    written.append(_write(out / "grafana" / "language", _LANGUAGES[settings.monitor_lang]))
    for folder in ("alerting", "plugins"):  # Grafana logs an error for each that is missing
        (out / "grafana" / "provisioning" / folder).mkdir(exist_ok=True)
    if prune:
        for folder in {package for package, _ in _SOURCES}:
            for path in (out / folder).rglob("*"):
                if path.is_file() and path not in written:
                    path.unlink()
    return written


def _messages(folder: Path, language: str) -> list[Path]:
    """Write what Telegram messages are made of, with the words of one language."""
    templates = files("alertmanager").joinpath("templates")
    names = {"telegram.tmpl": "telegram.tmpl", f"words.{language}.tmpl": "words.tmpl"}
    return [
        _write(folder / name, templates.joinpath(source).read_text(encoding="utf-8"))
        for source, name in names.items()
    ]


def _variables(settings: RenderSettings, out: Path) -> dict[str, Any]:
    telegram = None
    if settings.telegram_bot_token is not None:
        proxy = settings.telegram_proxy_url
        telegram = {
            "token": settings.telegram_bot_token.get_secret_value(),
            "chat_id": settings.telegram_chat_id,
            "api_url": settings.telegram_api_url.geturl(),
            "proxy_url": proxy.geturl() if proxy is not None else None,
        }
    dsn = settings.grafana_sql_dsn
    return {
        "database": database_source(parse_dsn(dsn.get_secret_value())) if dsn else None,
        "exporter": settings.exporter_url,
        "breaker": settings.breaker_url,
        "alertmanager": settings.alertmanager_url,
        "breaker_webhook": f"{settings.breaker_url.geturl()}/alerts",
        "breaker_token": settings.breaker_token.get_secret_value(),
        "prometheus": settings.prometheus_url,
        "prometheus_url": settings.prometheus_url.geturl(),
        "alertmanager_url": settings.alertmanager_url.geturl(),
        "dashboards_path": str((out / "grafana" / "dashboards").resolve()),
        "telegram": telegram,
    }


def _linked(text: str, settings: RenderSettings) -> str:
    """Lead the links of alerts to this Grafana, and to where the runbook is read.

    A path in this repository is no link: without RUNBOOK_URL there is none.
    """
    language, grafana, runbook = (
        settings.monitor_lang,
        settings.grafana_url.geturl(),
        settings.runbook_url,
    )
    text = _DASHBOARD.sub(lambda link: f"{grafana}/d/{link[1]}-{language}", text)
    if runbook is None:
        return _RUNBOOK.sub("", text)
    return _RUNBOOK.sub(lambda link: f"{link[1]}{runbook.geturl()}{link[2]}", text)


def _files(folder: Traversable, relative: Path) -> Iterator[tuple[Path, Traversable]]:
    """Give the files of a folder that are configuration; a package's top is not searched deeper."""
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        path = relative / entry.name
        if entry.is_file() and path.suffix in (*_COPIED, _TEMPLATE):
            yield path, entry
        elif entry.is_dir() and len(relative.parts) > 1:
            yield from _files(entry, path)


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return path
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
    return path
