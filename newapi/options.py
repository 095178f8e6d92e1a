"""The gateway's options that may be read: a white list, since the table also holds secrets."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, column, select, table

from newapi.schema import OPTIONS_VIEW, Schema

DEFAULTS: Mapping[str, str] = {
    "QuotaPerUnit": "500000",
    "LogConsumeEnabled": "true",
    "DisplayInCurrencyEnabled": "true",
    "USDExchangeRate": "7.3",
    "general_setting.quota_display_type": "USD",
    "general_setting.custom_currency_symbol": "¤",
    "general_setting.custom_currency_exchange_rate": "1",
    "RetryTimes": "0",
    "AutomaticDisableChannelEnabled": "false",
    "AutomaticEnableChannelEnabled": "false",
    "DataExportEnabled": "true",
    "monitor_setting.auto_test_channel_enabled": "false",
}
"""What the gateway takes for an option that nobody has saved (New API common/constants.go,
setting/, v1.0.0-rc.24; rows exist only for saved options)."""

SWITCHES = (
    "LogConsumeEnabled",
    "AutomaticDisableChannelEnabled",
    "AutomaticEnableChannelEnabled",
    "DataExportEnabled",
    "monitor_setting.auto_test_channel_enabled",
)
"""The options that are on or off."""


@dataclass(frozen=True)
class Options:
    """The white-listed options with the gateway's defaults filled in."""

    values: Mapping[str, str]

    def enabled(self, name: str) -> bool:
        """Tell whether a switch is on."""
        return self.values[name].strip().lower() in {"true", "1"}

    def number(self, name: str) -> float:
        """Give an option as a positive number; the default where it holds none."""
        try:
            value = float(self.values[name])
        except ValueError:
            value = 0.0
        return value if 0 < value < float("inf") else float(DEFAULTS[name])

    @property
    def quota_per_usd(self) -> float:
        """Quota units to the US dollar."""
        return self.number("QuotaPerUnit")

    @property
    def currency(self) -> tuple[str, float]:
        """The currency in which the gateway shows money, and its units to the US dollar.

        A code of ISO 4217 (USD, CNY) or the gateway's custom symbol. A gateway that shows tokens
        has no currency of its own: USD.
        """
        kind = self.values["general_setting.quota_display_type"].strip().upper()
        if kind == "CNY":
            return "CNY", self.number("USDExchangeRate")
        if kind == "CUSTOM":
            symbol = self.values["general_setting.custom_currency_symbol"].strip() or "¤"
            return symbol, self.number("general_setting.custom_currency_exchange_rate")
        return "USD", 1.0


def read_options(connection: Connection, schema: Schema) -> Options:
    """Read the white-listed options, from the view that holds no others where there is one.

    Raises:
        DatabaseError: they are missing or not granted.
    """
    name = OPTIONS_VIEW if schema.has(OPTIONS_VIEW, "value") else "options"
    schema.require(name, "key", "value")
    options = table(name, column("key"), column("value"))
    statement = select(options.c.key, options.c.value).where(options.c.key.in_(list(DEFAULTS)))
    saved = {row[0]: row[1] or "" for row in connection.execute(statement)}
    return Options({**DEFAULTS, **saved})
