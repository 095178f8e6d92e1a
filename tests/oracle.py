"""What the counters must be: sums that the database itself makes over its log table."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Connection, text

from exporter.totals import DURATION_BOUNDS, FIRST_TOKEN_BOUNDS
from newapi.database import Database
from newapi.dsn import parse_dsn
from newapi.errors import Category, category
from tests.programs import Samples

COUNTED = (
    "newapi_requests_total",
    "newapi_request_errors_total",
    "newapi_tokens_total",
    "newapi_cached_tokens_total",
    "newapi_quota_total",
    "newapi_quota_refunded_total",
    "newapi_broken_streams_total",
    *(
        f"newapi_{who}_{what}_total"
        for who in ("api_key", "user")
        for what in ("requests", "errors", "tokens", "quota")
    ),
    *(
        f"newapi_{what}_seconds_{part}"
        for what in ("request_duration", "time_to_first_token")
        for part in ("bucket", "count", "sum")
    ),
)

_TEST = "token_id = 0 AND (token_name = '模型测试' OR (type = 5 AND token_name = ''))"
_SOURCE = (
    f"CASE WHEN {_TEST} THEN 'test'"
    " WHEN token_id = 0 AND token_name LIKE 'playground%' THEN 'playground' ELSE 'user' END"
)


def _json(dialect: str, *path: str) -> str:
    """Give the SQL for a value in `other`; NULL where the column holds no JSON."""
    steps = ".".join(path)
    if dialect == "sqlite":
        return f"CASE WHEN json_valid(other) THEN json_extract(other, '$.{steps}') END"
    if dialect == "mysql":
        return f"CASE WHEN json_valid(other) THEN json_value(other, '$.{steps}') END"
    keys = ",".join(path)
    return f"CASE WHEN other LIKE '{{%' THEN other::json #>> '{{{keys}}}' END"


def _number(dialect: str, expression: str) -> str:
    kind = {"sqlite": "REAL", "mysql": "DOUBLE", "postgresql": "double precision"}[dialect]
    return f"CAST({expression} AS {kind})"


class _Oracle:
    def __init__(self, connection: Connection, dialect: str, table: str) -> None:
        self.connection = connection
        self.dialect = dialect
        self.table = table
        self.samples: Samples = {}

    def rows(self, sql: str) -> list[Any]:
        return list(self.connection.execute(text(sql)))

    def put(self, name: str, value: object, **labels: object) -> None:
        series = frozenset((label, str(text)) for label, text in labels.items())
        self.samples.setdefault(name, {})[series] = float(str(value))

    def histogram(self, name: str, value: str, where: str, bounds: tuple[int, ...]) -> None:
        """Count by bound; `value` is SQL for seconds."""
        limits = [str(ms / 1000) for ms in bounds]
        counts = ", ".join(f"SUM(CASE WHEN {value} <= {b} THEN 1 ELSE 0 END)" for b in limits)
        for channel, model, total, seconds, *row in self.rows(
            f"SELECT channel_id, model_name, COUNT(*), SUM({value}), {counts} FROM {self.table}"
            f" WHERE type = 2 AND NOT ({_TEST}) AND {where} GROUP BY channel_id, model_name"
        ):
            labels = {"channel_id": channel, "model": model}
            self.put(f"{name}_count", total, **labels)
            self.put(f"{name}_sum", seconds, **labels)
            for bound, count in zip([*limits, "+Inf"], [*row, total], strict=True):
                self.put(f"{name}_bucket", count, **labels, le=bound)

    def by(self, column: str, label: str, name: str) -> None:
        for who, n, prompt, completion, quota in self.rows(
            f"SELECT {column}, COUNT(*), SUM(prompt_tokens), SUM(completion_tokens), SUM(quota)"
            f" FROM {self.table} WHERE type = 2 GROUP BY {column}"
        ):
            self.put(f"newapi_{name}_requests_total", n, **{label: who})
            self.put(f"newapi_{name}_tokens_total", prompt, **{label: who, "direction": "prompt"})
            self.put(
                f"newapi_{name}_tokens_total",
                completion,
                **{label: who, "direction": "completion"},
            )
            self.put(f"newapi_{name}_quota_total", quota, **{label: who})
        for who, n in self.rows(
            f"SELECT {column}, COUNT(*) FROM {self.table} WHERE type = 5 GROUP BY {column}"
        ):
            self.put(f"newapi_{name}_errors_total", n, **{label: who})


def newapi_sums(dsn: str, table: str = "logs") -> Samples:
    """Give every counter and histogram over a New API log table, by SQL.

    Args:
        dsn: the gateway's database.
        table: the log table, or one of the same columns.
    """
    return _ask(dsn, table, _newapi)


def differences(found: Samples, expected: Samples) -> list[str]:
    """Name every series that is not as expected, missing or too many."""
    return [
        f"{name}{dict(series)}: {have.get(series)}, not {want.get(series)}"
        for name in COUNTED
        for have, want in [(found.get(name, {}), expected.get(name, {}))]
        for series in have.keys() | want.keys()
        if have.get(series) != pytest.approx(want.get(series, 0.0), abs=1e-9, rel=1e-12)
    ]


def went_back(before: Samples, after: Samples) -> list[str]:
    """Name every series that decreased or is gone."""
    return [
        f"{name}{dict(series)}"
        for name in COUNTED
        for series, value in before.get(name, {}).items()
        if after.get(name, {}).get(series, -1) < value
    ]


def _ask(dsn: str, table: str, fill: Callable[[_Oracle], None]) -> Samples:
    database = Database(parse_dsn(dsn), statement_timeout=60)
    with database.connect() as connection:
        oracle = _Oracle(connection, database.dialect, table)
        fill(oracle)
    database.close()
    return oracle.samples


def _newapi(oracle: _Oracle) -> None:
    cached = _number(oracle.dialect, f"COALESCE({_json(oracle.dialect, 'cache_tokens')}, '0')")
    for channel, model, prompt, completion, quota, from_cache in oracle.rows(
        "SELECT channel_id, model_name, SUM(prompt_tokens), SUM(completion_tokens), SUM(quota),"
        f" SUM({cached}) FROM {oracle.table} WHERE type = 2 GROUP BY channel_id, model_name"
    ):
        labels = {"channel_id": channel, "model": model}
        oracle.put("newapi_tokens_total", prompt, **labels, direction="prompt")
        oracle.put("newapi_tokens_total", completion, **labels, direction="completion")
        oracle.put("newapi_quota_total", quota, **labels)
        oracle.put("newapi_cached_tokens_total", from_cache, **labels)
    for channel, model, source, n in oracle.rows(
        f"SELECT channel_id, model_name, {_SOURCE}, COUNT(*) FROM {oracle.table} WHERE type = 2"
        f" GROUP BY channel_id, model_name, {_SOURCE}"
    ):
        labels = {"channel_id": channel, "model": model, "source": source}
        oracle.put("newapi_requests_total", n, **labels)
    for channel, model, quota in oracle.rows(
        f"SELECT channel_id, model_name, SUM(quota) FROM {oracle.table} WHERE type = 6"
        " GROUP BY channel_id, model_name"
    ):
        oracle.put("newapi_quota_refunded_total", quota, channel_id=channel, model=model)
    _errors(oracle)
    _broken(oracle)
    oracle.histogram("newapi_request_duration_seconds", "use_time", "1 = 1", DURATION_BOUNDS)
    frt = _number(oracle.dialect, _json(oracle.dialect, "frt"))
    streamed = "is_stream" if oracle.dialect == "postgresql" else "is_stream = 1"
    oracle.histogram(
        "newapi_time_to_first_token_seconds",
        f"{frt} / 1000",
        f"{streamed} AND {frt} > 0",
        FIRST_TOKEN_BOUNDS,
    )
    oracle.by("token_id", "api_key_id", "api_key")
    oracle.by("user_id", "user_id", "user")


def _errors(oracle: _Oracle) -> None:
    status, code = _json(oracle.dialect, "status_code"), _json(oracle.dialect, "error_code")
    counts: dict[tuple[Any, ...], int] = {}
    for channel, model, source, found, why, n in oracle.rows(
        f"SELECT channel_id, model_name, {_SOURCE}, {status}, {code}, COUNT(*) FROM {oracle.table}"
        f" WHERE type = 5 GROUP BY channel_id, model_name, {_SOURCE}, {status}, {code}"
    ):
        kind = category(int(found or 0), why).value
        key = (channel, model, source, kind)
        counts[key] = counts.get(key, 0) + n
    for (channel, model, source, kind), n in counts.items():
        labels = {"channel_id": channel, "model": model, "source": source, "category": kind}
        oracle.put("newapi_request_errors_total", n, **labels)


def _broken(oracle: _Oracle) -> None:
    status = _json(oracle.dialect, "stream_status", "status")
    end = _json(oracle.dialect, "stream_status", "end_reason")
    reason = f"CASE WHEN {end} IN ('done', 'eof', 'handler_stop') THEN 'chunk_error' ELSE {end} END"
    for channel, model, why, n in oracle.rows(
        f"SELECT channel_id, model_name, {reason}, COUNT(*) FROM {oracle.table}"
        f" WHERE type = 2 AND {status} = 'error' GROUP BY channel_id, model_name, {reason}"
    ):
        labels = {"channel_id": channel, "model": model, "reason": why}
        oracle.put("newapi_broken_streams_total", n, **labels)


@dataclass
class Used:
    """What a target used within a time."""

    tokens: int = 0
    quota: int = 0
    requests: int = 0
    errors: int = 0
    """Without the clients' own mistakes."""
    failures: int = 0
    seconds: list[int] = field(default_factory=list)
    """Durations of completed requests, in order."""


_COLUMNS = {
    "channel": "channel_id", "model": "model_name", "api_key": "token_id", "user": "user_id",
    "gateway": "'gateway'",
}  # fmt: skip


def used_between(database: Database, scope: str, start: float, end: float) -> dict[str, Used]:
    """Give what each target of a scope used with start <= created_at < end, by SQL."""
    column = _COLUMNS[scope]
    within = f"created_at >= {start} AND created_at < {end}"
    found: dict[str, Used] = {}
    with database.connect() as connection:
        oracle = _Oracle(connection, database.dialect, "logs")
        for target, tokens, quota in oracle.rows(
            f"SELECT {column}, SUM(prompt_tokens + completion_tokens), SUM(quota) FROM logs"
            f" WHERE type = 2 AND {within} GROUP BY 1"
        ):
            found[str(target)] = Used(int(tokens), int(quota))
        for target, seconds in oracle.rows(
            f"SELECT {column}, use_time FROM logs WHERE type = 2 AND NOT ({_TEST}) AND {within}"
            " ORDER BY use_time"
        ):
            found[str(target)].seconds.append(int(seconds))
            found[str(target)].requests += 1
        status, code = (_json(oracle.dialect, key) for key in ("status_code", "error_code"))
        for target, answered, why, n in oracle.rows(
            f"SELECT {column}, {status}, {code}, COUNT(*) FROM logs"
            f" WHERE type = 5 AND NOT ({_TEST}) AND {within} GROUP BY 1, 2, 3"
        ):
            used = found.setdefault(str(target), Used())
            used.failures += n
            used.errors += 0 if category(int(answered or 0), why) is Category.CLIENT else n
    return found
