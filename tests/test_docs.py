"""The documents: links, the Chinese twins, and the commands and SQL that they show."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Row, text

from breaker.notice import PREFIX
from demo.load import load
from demo.schema import create
from demo.world import Sizes
from newapi.database import Database
from newapi.dsn import parse_dsn
from tests.documents import DOCUMENTS, ROOT, TWINS, Block, blocks, prose, read

ELSEWHERE = (
    "https://github.com/QuantumNous/new-api", "https://github.com/songquanpeng/one-api",
    "https://github.com/GLH08/token-monitor", "https://prometheus.io/docs/",
)  # fmt: skip
"""What links may lead to outside: others. This project has no address of its own in them."""


def headings(path: Path) -> list[tuple[int, str]]:
    found = re.findall(r"^(#+) (.+)$", prose(path), re.MULTILINE)
    return [(len(marks), title) for marks, title in found]


def anchors(path: Path) -> set[str]:
    """Give the anchors of headings, as GitHub makes them."""
    titles = [re.sub(r"[^\w\- ]", "", title.lower()) for _, title in headings(path)]
    names = [title.replace(" ", "-") for title in titles]
    assert len(names) == len(set(names)), f"{path}: two headings have the same anchor"
    return set(names)


def links(path: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose(path)))


@pytest.mark.parametrize("path", DOCUMENTS, ids=str)
def test_links_lead_somewhere(path: Path) -> None:
    for link in links(path):
        if "://" in link:
            assert link.startswith(ELSEWHERE), link
            continue
        place, _, anchor = link.partition("#")
        target = (ROOT / path).parent / place if place else ROOT / path
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.resolve().relative_to(ROOT)), link


@pytest.mark.parametrize("path", DOCUMENTS, ids=str)
def test_links_stay_in_the_language(path: Path) -> None:
    chinese = ".zh-CN." in path.name
    twin = path.name.replace(".zh-CN.md", ".md") if chinese else path.with_suffix(".zh-CN.md").name
    for link in links(path):
        target = (ROOT / path).parent / link.partition("#")[0]
        if link == twin or target.suffix != ".md":
            continue
        if chinese:
            assert not target.with_suffix(".zh-CN.md").exists(), link
        else:
            assert ".zh-CN." not in link, link


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_the_readme_leads_to_every_document(readme: str) -> None:
    number = ["README.md", "README.zh-CN.md"].index(readme)
    wanted = {str(twins[number]) for twins in TWINS} - {readme}
    assert wanted - set(links(Path(readme))) == set()


@pytest.mark.parametrize(("english", "chinese"), TWINS, ids=lambda path: path.name)
def test_twins_have_the_same_headings_tables_and_code(english: Path, chinese: Path) -> None:
    assert read(english).splitlines()[2] == f"[中文]({chinese.name})"
    assert read(chinese).splitlines()[2] == f"[English]({english.name})"
    assert [n for n, _ in headings(chinese)] == [n for n, _ in headings(english)]
    assert shapes(chinese) == shapes(english)
    there = [(block.language, bare(block)) for block in blocks(english)]
    assert [(block.language, bare(block)) for block in blocks(chinese)] == there


def shapes(path: Path) -> list[list[int]]:
    """Give the number of cells in each row of each table."""
    found = re.findall(r"(?:^ *\|.*\n)+", prose(path), re.MULTILINE)
    return [[row.count("|") for row in table.splitlines()] for table in found]


def bare(block: Block) -> str:
    """Give the code without what people read: comments and names, of a drawing all but paths."""
    if "─" in block.code or "▼" in block.code:
        return " ".join(re.findall(r"[a-z_]+/[a-z_./]+", block.code))
    if not block.language:
        return block.code
    code = re.sub(r"\s*(#|--) .*", "", block.code)
    return re.sub(r"(name: ).*|\"[^\"*]*\"", r"\1", code)


@pytest.mark.parametrize("runbook", ["docs/runbook.md", "docs/runbook.zh-CN.md"])
def test_the_runbook_names_every_alert_of_the_breaker(runbook: str) -> None:
    code = read(Path("breaker/notice.py"))
    sent = {f"{PREFIX}{name}" for name in re.findall(r'f"\{PREFIX\}(\w+)"', code)}
    assert len(sent) > 6
    sent.remove(f"{PREFIX}Test")  # of newapi-breaker test-notification
    assert sent <= titled(runbook)


@pytest.mark.parametrize("runbook", ["docs/runbook.md", "docs/runbook.zh-CN.md"])
def test_the_runbook_names_every_alert_of_prometheus(runbook: str) -> None:
    rules = "".join(path.read_text() for path in (ROOT / "prometheus" / "rules").iterdir())
    fired = set(re.findall(r"alert: (NewAPI\w+)", rules))
    assert len(fired) > 25
    assert fired <= titled(runbook)


def titled(runbook: str) -> set[str]:
    """Give the alerts that headings name."""
    return {name for _, title in headings(Path(runbook)) for name in re.findall(r"\w+", title)}


FROM, TO = 1767196800, 1767312000
"""The times that the SQL of docs/migration.md names, unix seconds."""


def test_the_sql_of_documents_runs_everywhere(gateway_url: str) -> None:
    url = parse_dsn(gateway_url)
    create(url)
    load(url, rows=4000, start=FROM, end=TO, sizes=Sizes(channels=3, keys=5, users=4))
    statements = [
        block.code
        for path in DOCUMENTS
        for block in blocks(path)
        if block.language == "sql" and block.code.startswith("SELECT")
    ]
    assert len(statements) > 15
    database = Database(url)
    with closing(database), database.connect() as connection:
        for statement in dict.fromkeys(statements):
            rows = list(connection.execute(text(statement)))
            if "FROM options" not in statement:
                assert rows, statement
            if "token_monitor" in statement or "day_in_utc" in statement:
                differs(rows[0], statement)


def differs(row: Row[tuple[object, ...]], statement: str) -> None:
    """Hold a statement to what it is there to show."""
    figures = [float(str(figure)) for figure in row]
    assert len(set(figures)) == len(figures), f"{statement}: {figures}"


def test_the_sql_on_the_database_of_token_monitor_runs() -> None:
    found = [b for b in blocks(Path("docs/migration.md")) if b.language == "sqlite"]
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("CREATE TABLE stats (hour INTEGER, request_count INTEGER, quota INTEGER)")
        db.execute(f"INSERT INTO stats VALUES ({FROM + 28800}, 2, 30)")
        assert [db.execute(b.code).fetchall() for b in found] == [[(FROM + 28800, 2, 30)]]
