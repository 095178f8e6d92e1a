"""Settings from the environment, and the one line that says which of them is wrong."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, NamedTuple, ParamSpec, TypeVar
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BeforeValidator,
    SecretStr,
    ValidationError,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

S = TypeVar("S", bound="Settings")
P = ParamSpec("P")
R = TypeVar("R")

EXIT_SETTING = 2


class SettingError(ValueError):
    """A setting that cannot be used; its text is one line: variable, value, what is expected."""


class Address(NamedTuple):
    """Where a server listens: a host name or address, and a port (0 = any free one)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: object) -> Address:
    """Read `host:port`, `[v6]:port` or `:port` (every interface).

    Raises:
        ValueError: it has another form, or the port is not within 0..65535.
    """
    if isinstance(text, Address):
        return text
    host, colon, port = str(text).rpartition(":")
    if not colon or not port.isascii() or not port.isdecimal() or int(port) > 65535:
        raise ValueError("not an address")
    return Address(host.strip("[]") or "0.0.0.0", int(port))  # noqa: S104  (asked for by ":port")


def parse_zone(name: object) -> ZoneInfo:
    """Read the name of a time zone, as `Asia/Shanghai`.

    Raises:
        ValueError: there is no such zone.
    """
    if isinstance(name, ZoneInfo):
        return name
    try:
        return ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError("no such time zone") from error


def parse_url(text: object) -> SplitResult:
    """Read an http or https URL; a path at its end is kept.

    Raises:
        ValueError: it is none.
    """
    if isinstance(text, SplitResult):
        return text
    url = urlsplit(str(text).rstrip("/"))
    if url.scheme not in {"http", "https"} or not url.hostname or url.query or url.fragment:
        raise ValueError("not a URL")
    _ = url.port  # ValueError where it is none
    return url


def _presentable(token: SecretStr) -> SecretStr:
    text = token.get_secret_value()
    if len(text) < 16 or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("not a token")
    return token


PRESENTABLE = "at least 16 printable ASCII characters without blanks; Alertmanager presents them"
"""What is expected of BREAKER_TOKEN."""

BearerToken = Annotated[SecretStr, AfterValidator(_presentable)]
Listen = Annotated[Address, NoDecode, BeforeValidator(parse_address)]
Url = Annotated[SplitResult, NoDecode, BeforeValidator(parse_url)]
Zone = Annotated[ZoneInfo, BeforeValidator(parse_zone)]


class Settings(BaseSettings):
    """Base of each program's settings.

    A field is read from the variable of its name in capitals, or from its validation alias. Its
    description says what is expected and ends the line that reports a wrong value. An empty
    variable counts as unset, since compose files pass unset ones on as empty.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        populate_by_name=True,
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
    )


def load(cls: type[S], **flags: object) -> S:
    """Read settings of a class from the environment; flags that are not None win.

    Raises:
        SettingError: the first setting that is wrong or missing.
    """
    given: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    try:
        return cls(**given)
    except ValidationError as error:
        raise SettingError(_line(cls, error)) from None


def exits_on_setting_error(command: Callable[P, R]) -> Callable[P, R]:
    """Make a command end with exit code 2 and one line where a setting is wrong."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except SettingError as error:
            sys.stderr.write(f"{error}\n")
            sys.exit(EXIT_SETTING)

    return run


def variables(cls: type[Settings]) -> dict[str, FieldInfo]:
    """Give the settings of a class by the name of the variable that each is read from."""
    return {_variable(name, field): field for name, field in cls.model_fields.items()}


def _variable(name: str, field: FieldInfo) -> str:
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        alias = alias.choices[0]
    if alias is None or isinstance(alias, AliasPath):
        return name.upper()
    return alias


def _line(cls: type[Settings], error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    if not first["loc"]:  # a rule between settings names its variables itself
        return str(first["msg"]).removeprefix("Value error, ")
    where = str(first["loc"][0])
    by_name = {name.upper(): (name, field) for name, field in cls.model_fields.items()}
    by_alias = {_variable(n, f).upper(): (n, f) for n, f in cls.model_fields.items()}
    name, field = (by_alias | by_name).get(where.upper(), (where, FieldInfo()))
    variable = _variable(name, field)
    expected = field.description or first["msg"]
    if first["type"] == "missing":
        return f"{variable} is not set: expected {expected}"
    secret = SecretStr in (field.annotation, *getattr(field.annotation, "__args__", ()))
    if secret or "@" in str(first["input"]):  # a URL may hold a password
        return f"{variable} has a wrong value (not shown): expected {expected}"
    return f"{variable}={first['input']!s}: expected {expected}"
