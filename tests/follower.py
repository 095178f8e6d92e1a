"""The exporter's reading in process: a real database, a real state, a clock that the test sets."""

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import column, table

from demo.schema import create
from exporter.fill import Filler
from exporter.ledger import Ledger
from exporter.poll import Poller
from exporter.state import State
from exporter.status import Status
from exporter.stock import Stock
from exporter.totals import Labels
from exporter.windows import Window
from newapi.database import Database
from newapi.dsn import parse_dsn

NOON = 1_800_014_400
"""2027-01-15 12:00:00 UTC."""

_COLUMNS = (
    "id", "created_at", "type", "channel_id", "model_name", "user_id", "token_id", "token_name",
    "quota", "prompt_tokens", "completion_tokens", "use_time", "is_stream", "request_id", "other",
)  # fmt: skip
LOGS = table("logs", *map(column, _COLUMNS))

REQUEST = {
    "type": 2, "channel_id": 7, "model_name": "gpt-4o", "user_id": 3, "token_id": 5,
    "token_name": "key", "quota": 10, "prompt_tokens": 20, "completion_tokens": 30,
    "use_time": 1, "is_stream": False, "request_id": "", "other": "",
}  # fmt: skip


class Follower:
    """A gateway's database with its tables, and an exporter that reads it when told to."""

    def __init__(self, url: str, folder: Path, **settings: Any) -> None:
        self.database = Database(parse_dsn(url), writable=True)
        self.folder = folder
        self.now: float = NOON
        self.set_by: float = 0
        """Seconds by which somebody set the clock, in all."""
        self.zone = ZoneInfo(settings.get("zone", "UTC"))
        self.hold: float = settings.get("hold", 0)
        self.limit: int = settings.get("limit", 1000)
        self.windows: list[Window] = settings.get("windows", [])
        create(parse_dsn(url))
        self.start()

    def start(self) -> None:
        """Begin as a process does: with nothing but the state."""
        self.state = State(self.folder)
        self.ledger = Ledger(self.state, self.zone, self.hold, self.limit, self.clock)
        self.status = Status()
        self.filler = Filler(self.ledger, self.clock)
        self.poller = Poller(
            self.database, self.ledger, self.filler, self.status, self.clock, self.steady
        )
        self.poller.follow(self.windows)
        self.stock = Stock(self.database, self.database, self.ledger, self.status, self.clock)

    def restart(self) -> None:
        """End as kill -9 does, and begin again."""
        self.state.close()
        self.start()

    def clock(self) -> float:
        return self.now

    def steady(self) -> float:
        return self.now - self.set_by

    def set_clock(self, seconds: float) -> None:
        """Set the exporter's clock forward, or back."""
        self.now += seconds
        self.set_by += seconds

    def write(self, *rows: dict[str, Any], **same: Any) -> None:
        """Write log rows in one transaction, with what they do not say as in REQUEST."""
        with self.database.begin() as connection:
            for row in rows or ({},):
                whole = {"created_at": int(self.now), **REQUEST, **same, **row}
                connection.execute(LOGS.insert().values(whole))

    def execute(self, sql: str) -> None:
        with self.database.begin() as connection:
            connection.exec_driver_sql(sql)

    def add_channel(self, number: int, name: str) -> None:
        channels = table("channels", *map(column, ("id", "type", "status", "name", "key")))
        row = {"id": number, "type": 1, "status": 1, "name": name, "key": "sk-none"}
        with self.database.begin() as connection:
            connection.execute(channels.insert().values(row))

    def poll(self, after: float = 0) -> None:
        """Let time go by, and read; what goes wrong fails the test."""
        self.now += after
        self.poller.poll()
        assert self.status.troubles == {}

    def sum(self, metric: str = "newapi_requests_total") -> int:
        """Give a metric, summed over all its series, as it may be seen."""
        return sum(self.ledger.sums().get(metric, {}).values())

    def values(self, metric: str) -> dict[Labels, int]:
        return self.ledger.sums().get(metric, {})

    def close(self) -> None:
        self.state.close()
        self.database.close()
