"""Settings of the breaker, from the environment."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    HttpUrl,
    SecretStr,
    model_validator,
)
from pydantic_settings import NoDecode
from sqlalchemy.engine import URL

from breaker.mode import Mode
from newapi.dsn import EXPECTED, parse_dsn
from service.settings import PRESENTABLE, Address, BearerToken, Listen, Settings

Language = Literal["en", "zh"]


def _readable(dsn: SecretStr | None) -> SecretStr | None:
    if dsn is not None:
        parse_dsn(dsn.get_secret_value())
    return dsn


def _sendable(token: SecretStr | None) -> SecretStr | None:
    """Take what fits into the header of a request."""
    text = token.get_secret_value() if token is not None else ""
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("not a token")
    return token


_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def _age(text: object) -> int:
    """Read a duration from 10s to 24h, as 10m or 600, in seconds."""
    found = re.fullmatch(r"([0-9]{1,9})([smhd]?)", str(text).strip())
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 10 <= seconds <= 86400:
        raise ValueError("not such a duration")
    return seconds


def _names(text: object) -> object:
    """Read a list with commas."""
    if not isinstance(text, str):
        return text
    return tuple(name for part in text.split(",") if (name := part.strip()))


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]
Age = Annotated[int, BeforeValidator(_age)]
Token = Annotated[SecretStr | None, AfterValidator(_sendable)]
Dsn = Annotated[SecretStr | None, AfterValidator(_readable)]


class RecordSettings(Settings):
    """Where the record is, which is all that `history` needs."""

    breaker_state: Path = Field(Path("state/breaker"), description="a folder that can be written")


class GatewaySettings(RecordSettings):
    """What it takes to touch the gateway, which `release` does too."""

    breaker_sql_dsn: Dsn = Field(None, description=EXPECTED)
    sql_dsn: Dsn = Field(
        None, validation_alias=AliasChoices("SQL_DSN", "DATABASE_URL"), description=EXPECTED
    )
    log_sql_dsn: Dsn = Field(
        None, description=f"empty where the gateway keeps no log database, or {EXPECTED}"
    )
    sqlite_path: str = Field("one-api.db", description="the path of the gateway's SQLite file")
    db_statement_timeout: float = Field(10, ge=0.1, le=3600, description="seconds, 0.1 to 3600")
    gateway_url: HttpUrl | None = Field(
        None, description="the URL of New API, as http://localhost:3000"
    )
    gateway_token: Token = Field(
        None,
        description="the access token of an administrator of New API, printable ASCII characters"
        " without blanks",
    )
    gateway_user_id: int | None = Field(
        None, ge=1, description="the id of the user whose token GATEWAY_TOKEN is"
    )
    monitor_lang: Language = Field("en", description="en or zh")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="DEBUG, INFO, WARNING or ERROR"
    )

    @model_validator(mode="after")
    def _token_for_url(self) -> "GatewaySettings":
        given = self.gateway_url is not None
        for name, value in (
            ("GATEWAY_TOKEN", self.gateway_token),
            ("GATEWAY_USER_ID", self.gateway_user_id),
        ):
            if given and value is None:
                expected = GatewaySettings.model_fields[name.lower()].description
                raise ValueError(
                    f"{name} is not set: expected {expected}, since GATEWAY_URL is set"
                )
        return self

    @property
    def database(self) -> URL:
        """The gateway's database under the breaker's own account, else under the common one."""
        dsn = self.breaker_sql_dsn or self.sql_dsn
        return parse_dsn(dsn.get_secret_value() if dsn else "", self.sqlite_path)

    @property
    def log_database(self) -> URL:
        """The database of the log table: LOG_SQL_DSN, or the gateway's only one."""
        if self.log_sql_dsn is None:
            return self.database
        return parse_dsn(self.log_sql_dsn.get_secret_value(), self.sqlite_path)


class AlertmanagerSettings(Settings):
    """Where Alertmanager is, which is what `test-notification` needs."""

    alertmanager_url: HttpUrl | None = Field(None, description="a URL, as http://localhost:9093")
    grafana_url: HttpUrl | None = Field(None, description="a URL, as http://localhost:3000")
    monitor_lang: Language = Field("en", description="en or zh")


class BreakerSettings(GatewaySettings, AlertmanagerSettings):
    """What the service needs."""

    breaker_listen: Listen = Field(
        Address("127.0.0.1", 9848), description="host:port, as 127.0.0.1:9848"
    )
    breaker_token: BearerToken = Field(description=PRESENTABLE)
    breaker_mode: Mode = Field(Mode.ENFORCE, description=", ".join(Mode))
    breaker_history_days: int = Field(90, ge=1, le=3650, description="days, 1 to 3650")
    breaker_protected_channels: Names = Field(
        (), description="ids and names of channels, with commas between"
    )
    breaker_protected_api_keys: Names = Field(
        (), description="ids and names of API keys, with commas between"
    )
    breaker_protected_groups: Names = Field((), description="groups, with commas between")
    breaker_max_trips_per_hour: int = Field(
        5, ge=1, le=10_000, description="a whole number, 1 to 10000"
    )
    breaker_max_alert_age: Age = Field(600, description="a duration from 10s to 24h, as 10m")
