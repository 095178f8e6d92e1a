"""The exporter's settings."""

from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AliasChoices, Field, SecretStr
from sqlalchemy.engine import URL

from newapi.dsn import EXPECTED, DsnError, parse_dsn
from service.settings import Address, Listen, SettingError, Settings, Url, Zone

_EVERY_INTERFACE = ("0.0.0.0", "::")  # noqa: S104


class ExporterSettings(Settings):
    """What the exporter reads from the environment."""

    sql_dsn: SecretStr = Field(
        SecretStr(""),
        validation_alias=AliasChoices("SQL_DSN", "DATABASE_URL"),
        description=EXPECTED,
    )
    log_sql_dsn: SecretStr = Field(
        SecretStr(""), description=f"empty where the gateway keeps no log database, or {EXPECTED}"
    )
    sqlite_path: str = Field("one-api.db", description="the path of the gateway's SQLite file")
    exporter_listen: Listen = Field(
        Address("127.0.0.1", 9847), description="host:port, as 127.0.0.1:9847"
    )
    exporter_state: Path = Field(Path("state/exporter"), description="a folder")
    exporter_url: Url | None = Field(
        None, description="http://host:port of the exporter, as Prometheus reaches it"
    )
    backfill_days: Annotated[int, Field(ge=0, le=3650)] = Field(
        0, description="whole days of history, 0 to 3650"
    )
    alerts_file: Path = Field(Path("alerts.yml"), description="a file of alert rules")
    # Alerts need numbers that are younger than a minute.
    poll_interval: Annotated[int, Field(ge=1, le=30)] = Field(
        2, description="whole seconds, 1 to 30"
    )
    new_series_hold: Annotated[float, Field(ge=0, le=3600)] = Field(
        20, description="seconds, 0 to 3600"
    )
    max_series_per_metric: Annotated[int, Field(ge=1, le=10_000_000)] = Field(
        20_000, description="a whole number, 1 to 10000000"
    )
    db_statement_timeout: Annotated[float, Field(gt=0, le=300)] = Field(
        10, description="seconds, above 0, at most 300"
    )
    tz: Zone = Field(ZoneInfo("UTC"), description="the name of a time zone, as Asia/Shanghai")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="DEBUG, INFO, WARNING or ERROR"
    )

    def gateway(self) -> URL:
        """Give the gateway's database.

        Raises:
            SettingError: SQL_DSN cannot be read.
        """
        return _url("SQL_DSN", self.sql_dsn, self.sqlite_path)

    def log_database(self) -> URL:
        """Give the database that holds the logs, the gateway's own where none is apart.

        Raises:
            SettingError: LOG_SQL_DSN cannot be read.
        """
        if not self.log_sql_dsn.get_secret_value():
            return self.gateway()
        return _url("LOG_SQL_DSN", self.log_sql_dsn, self.sqlite_path)

    def scraped_as(self) -> str:
        """Give host:port by which Prometheus reaches this exporter: the label `instance`.

        Raises:
            SettingError: EXPORTER_URL has no port (Prometheus 2 adds one to the label, 3 does not),
                or a user, whose password the label would show.
        """
        if self.exporter_url is not None:
            if self.exporter_url.port is None or self.exporter_url.username is not None:
                raise SettingError(
                    "EXPORTER_URL (not shown): expected http://host:port and no user"
                )
            return self.exporter_url.netloc
        host, port = self.exporter_listen
        return str(Address("127.0.0.1" if host in _EVERY_INTERFACE else host, port))


def _url(variable: str, dsn: SecretStr, sqlite_path: str) -> URL:
    try:
        return parse_dsn(dsn.get_secret_value(), sqlite_path)
    except DsnError as error:
        raise SettingError(f"{variable} (not shown): {error}; expected {EXPECTED}") from None
