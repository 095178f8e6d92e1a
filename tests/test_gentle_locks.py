"""Between two statements the exporter holds nothing of the gateway's database."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from psycopg.pq import TransactionStatus
from pymysql.constants import SERVER_STATUS
from sqlalchemy import Connection, Engine, event

from newapi.logs import PIECE
from tests.bulk import fill
from tests.follower import NOON, Follower


@contextmanager
def watched() -> Iterator[dict[str, bool]]:
    """Gives each SELECT that this process carries out meanwhile, and whether a transaction was open
    after it."""
    found: dict[str, bool] = {}

    def look(connection: Connection, _cursor: Any, sql: str, *_more: Any) -> None:
        if sql.lstrip().startswith("SELECT"):
            found[sql] = found.get(sql, False) or _in_transaction(connection)

    event.listen(Engine, "after_cursor_execute", look)
    try:
        yield found
    finally:
        event.remove(Engine, "after_cursor_execute", look)


def _in_transaction(connection: Connection) -> bool:
    """Tell what the server said last."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "mysql":
        driver.ping(reconnect=False)  # of its answer alone the driver keeps this
        return bool(driver.server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS)
    if connection.dialect.name == "postgresql":
        return bool(driver.info.transaction_status is not TransactionStatus.IDLE)
    return bool(driver.in_transaction)


def test_no_statement_leaves_a_transaction_open(gateway_url: str, tmp_path: Path) -> None:
    follower = Follower(gateway_url, tmp_path / "state")
    follower.poll()
    fill(follower.database, 2 * PIECE, start=NOON, first=10)
    with watched() as statements:
        follower.poll(2)
        follower.stock.read()
        follower.poll(60)  # looks into the gap
    assert len(statements) > 5
    assert [sql for sql, open_ in statements.items() if open_] == []
    assert follower.sum() == 2 * PIECE
    follower.close()
