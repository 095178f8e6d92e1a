"""Settings of the breaker, from the environment."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, Field, HttpUrl, SecretStr
from sqlalchemy.engine import URL

from breaker.mode import Mode
from newapi.dsn import EXPECTED, parse_dsn
from service.settings import Address, Listen, Settings

Language = Literal["en", "zh"]


def _readable(dsn: SecretStr | None) -> SecretStr | None:
    if dsn is not None:
        parse_dsn(dsn.get_secret_value())
    return dsn


def _presentable(token: SecretStr) -> SecretStr:
    text = token.get_secret_value()
    if len(text) < 16 or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("not a token")
    return token


Dsn = Annotated[SecretStr | None, AfterValidator(_readable)]


class RecordSettings(Settings):
    """Where the record is, which is all that `history` needs."""

    breaker_state: Path = Field(Path("state/breaker"), description="a folder that can be written")


class BreakerSettings(RecordSettings):
    """What the service needs."""

    breaker_listen: Listen = Field(
        Address("127.0.0.1", 9848), description="host:port, as 127.0.0.1:9848"
    )
    breaker_token: Annotated[SecretStr, AfterValidator(_presentable)] = Field(
        description="at least 16 printable ASCII characters without blanks; Alertmanager"
        " presents them"
    )
    breaker_mode: Mode = Field(Mode.ENFORCE, description=", ".join(Mode))
    breaker_history_days: int = Field(90, ge=1, le=3650, description="days, 1 to 3650")
    breaker_sql_dsn: Dsn = Field(None, description=EXPECTED)
    sql_dsn: Dsn = Field(
        None, validation_alias=AliasChoices("SQL_DSN", "DATABASE_URL"), description=EXPECTED
    )
    sqlite_path: str = Field("one-api.db", description="the path of the gateway's SQLite file")
    db_statement_timeout: float = Field(10, ge=0.1, le=3600, description="seconds, 0.1 to 3600")
    alertmanager_url: HttpUrl | None = Field(None, description="a URL, as http://localhost:9093")
    grafana_url: HttpUrl | None = Field(None, description="a URL, as http://localhost:3000")
    monitor_lang: Language = Field("en", description="en or zh")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="DEBUG, INFO, WARNING or ERROR"
    )

    @property
    def database(self) -> URL:
        """The gateway's database under the breaker's own account, else under the common one."""
        dsn = self.breaker_sql_dsn or self.sql_dsn
        return parse_dsn(dsn.get_secret_value() if dsn else "", self.sqlite_path)
