"""The exporter and what people would use instead, each set up for the same four numbers."""

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar, NamedTuple

import requests

from tests.programs import Exporter, Samples, parse
from tests.servers.http import HttpServer

INTERVAL = 15
"""Seconds between two scrapes, and between two queries of those that have the database sum up."""

TOOLS = Path(__file__).parent.parent / ".tools"

QUERY = (
    "SELECT channel_id, model_name AS model, COUNT(*) AS requests,"
    " SUM(prompt_tokens) AS prompt_tokens, SUM(completion_tokens) AS completion_tokens,"
    " SUM(quota) AS quota FROM logs WHERE type = 2 GROUP BY channel_id, model_name"
)
"""What both rivals ask: everything in one pass. No index of the gateway's serves it (EXPLAIN), and
a second query, so that tokens have a label for their direction, would be a second pass."""


class Figures(NamedTuple):
    """What is counted, summed over all channels and models."""

    requests: float
    prompt_tokens: float
    completion_tokens: float
    quota: float

    def since(self, before: "Figures") -> "Figures":
        """Give what was added."""
        return Figures(*(now - then for now, then in zip(self, before, strict=True)))


class Ours(Exporter):
    """The exporter as it ships, without alert rules.

    Args:
        server: host and port of MariaDB.
        database: on it; the account is named as the program.
    """

    title: ClassVar[str] = "exporter"

    def __init__(self, server: str, database: str) -> None:
        dsn = f"mysql://{self.name}@{server}/{database}"
        super().__init__({"SQL_DSN": dsn, "NEW_SERIES_HOLD": "20"})

    def has_begun(self, rows: int) -> bool:  # noqa: ARG002  (it counts what comes after its start)
        """Whether it has read once what is of today, and only follows from now on."""
        return self.metrics()["newapi_today_complete"] == {frozenset(): 1.0}

    def figures(self) -> Figures:
        """Scrape it."""
        page = self.metrics()

        def total(name: str, *label: tuple[str, str]) -> float:
            series = page.get(f"newapi_{name}_total", {}).items()
            return sum(value for labels, value in series if labels.issuperset(label))

        return Figures(
            total("requests"),
            total("tokens", ("direction", "prompt")),
            total("tokens", ("direction", "completion")),
            total("quota"),
        )


class Rival(HttpServer):
    """A program that has the database sum up, and remembers the answer until it asks again."""

    title: ClassVar[str]

    @abstractmethod
    def figures(self) -> Figures:
        """Scrape it."""

    def has_begun(self, rows: int) -> bool:
        """Whether it has counted all rows that there are."""
        return self.figures().requests == rows

    def answers(self) -> bool:
        """Whether it can be scraped."""
        try:
            return self._session.get(f"{self.url}/metrics", timeout=5).ok
        except requests.RequestException:
            return False

    def metrics(self) -> Samples:
        """Scrape it."""
        answer = self._session.get(f"{self.url}/metrics", timeout=10)
        answer.raise_for_status()
        return parse(answer.text)


class QueryExporter(Rival):
    """query-exporter with counters that are set to what the query gives.

    Its documentation names SQLAlchemy[mysql] for a driver, which has to be compiled; PyMySQL, in
    plain Python, has 60 rows to read in 15 s.
    """

    name = "query-exporter"
    title = "query-exporter"

    def __init__(self, server: str, database: str) -> None:
        metrics = "\n".join(
            f"  {name}: {{type: counter, labels: [channel_id, model]}}" for name in Figures._fields
        )
        super().__init__(
            f"databases:\n"
            f"  gateway: {{dsn: 'mysql+pymysql://{self.name}@{server}/{database}'}}\n"
            f"metrics:\n{metrics}\n"
            f"queries:\n"
            f"  usage:\n"
            f"    databases: [gateway]\n"
            f"    interval: {INTERVAL}\n"
            f"    metrics: [{', '.join(Figures._fields)}]\n"
            f"    sql: {QUERY}\n"
        )

    def command(self) -> list[str]:
        """The program and its arguments."""
        program = TOOLS / "query-exporter" / "bin" / "query-exporter"
        place = ["--host", "127.0.0.1", "--port", str(self.port)]
        return [str(program), *place, "--config", str(self.config)]

    def figures(self) -> Figures:
        """Scrape it."""
        page = self.metrics()
        return Figures(*(sum(page.get(f"{name}_total", {}).values()) for name in Figures._fields))


class SqlExporter(Rival):
    """prometheus-sql-exporter, whose interval is the pause between two queries, with the settings
    of Debian's package."""

    name = "sql-exporter"
    title = "prometheus-sql-exporter"

    def __init__(self, server: str, database: str) -> None:
        super().__init__(
            f"jobs:\n"
            f"- name: gateway\n"
            f"  interval: {INTERVAL}s\n"
            f"  connections: ['mysql://{self.name}@tcp({server})/{database}']\n"
            f"  queries:\n"
            f"  - name: usage\n"
            f"    help: By channel and model\n"
            f"    labels: [channel_id, model]\n"
            f"    values: [{', '.join(Figures._fields)}]\n"
            f"    query: {QUERY}\n"
        )

    def command(self) -> list[str]:
        """The program and its arguments."""
        package = TOOLS / "sql-exporter"
        chosen = (package / "etc/default/prometheus-sql-exporter").read_text().split()
        program = package / "usr/bin/prometheus-sql-exporter"
        place = f"-web.listen-address=127.0.0.1:{self.port}"
        return ["env", *chosen, str(program), place, f"-config.file={self.config}"]

    def figures(self) -> Figures:
        """Scrape it."""
        sums = dict.fromkeys(Figures._fields, 0.0)
        for series, value in self.metrics().get("sql_usage", {}).items():
            sums[dict(series)["col"]] += value
        return Figures(**sums)


Contender = Ours | QueryExporter | SqlExporter
CONTENDERS: tuple[type[Contender], ...] = (Ours, QueryExporter, SqlExporter)
