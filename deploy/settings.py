"""The settings that the configuration of the other servers is rendered from."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from newapi.dsn import EXPECTED, parse_dsn
from service.settings import PRESENTABLE, BearerToken, Settings, Url


def _readable(dsn: SecretStr | None) -> SecretStr | None:
    if dsn is not None:
        parse_dsn(dsn.get_secret_value())
    return dsn


class RenderSettings(Settings):
    """What `newapi-monitor render` reads from the environment."""

    exporter_url: Url = Field(
        urlsplit("http://127.0.0.1:9847"), description="http://host:port of the exporter"
    )
    breaker_url: Url = Field(
        urlsplit("http://127.0.0.1:9848"), description="http://host:port of the breaker"
    )
    prometheus_url: Url = Field(
        urlsplit("http://127.0.0.1:9090"), description="http://host:port of Prometheus"
    )
    alertmanager_url: Url = Field(
        urlsplit("http://127.0.0.1:9093"), description="http://host:port of Alertmanager"
    )
    grafana_url: Url = Field(
        urlsplit("http://127.0.0.1:3001"),
        description="http://host:port of Grafana for people",
    )
    runbook_url: Url | None = Field(
        None, description="http(s)://... where people read docs/runbook.md, or nothing"
    )
    breaker_token: BearerToken = Field(description=PRESENTABLE)
    grafana_sql_dsn: Annotated[SecretStr | None, AfterValidator(_readable)] = Field(
        None, description=f"nothing, or {EXPECTED}"
    )
    telegram_bot_token: SecretStr | None = Field(
        None, description="the token of a Telegram bot, or nothing"
    )
    telegram_chat_id: int | None = Field(
        None, description="the number of a Telegram chat, as -1001234567890"
    )
    telegram_api_url: Url = Field(
        urlsplit("https://api.telegram.org"), description="http(s)://host of the Telegram API"
    )
    telegram_proxy_url: Url | None = Field(None, description="http(s)://host:port of a proxy")
    monitor_lang: Literal["en", "zh"] = Field("en", description="en or zh")

    @model_validator(mode="after")
    def _chat_for_bot(self) -> "RenderSettings":
        if self.telegram_bot_token is not None and self.telegram_chat_id is None:
            raise ValueError(
                "TELEGRAM_CHAT_ID is not set: expected the number of a Telegram chat, as"
                " -1001234567890, since TELEGRAM_BOT_TOKEN is set"
            )
        return self
