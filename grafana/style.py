"""Colours and what else panels look like: the same colour means the same on every dashboard."""

from collections.abc import Mapping

from grafana_foundation_sdk.builders.dashboard import FieldColor, ThresholdsConfig
from grafana_foundation_sdk.models.dashboard import (
    DashboardRegexMapOptions,
    DynamicConfigValue,
    FieldColorModeId,
    RegexMap,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)

GOOD, WARNING, BAD, NEUTRAL, IDLE = "green", "orange", "red", "blue", "#8e8e8e"
PLAIN = "text"
"""The theme's own colour for text."""

CATEGORIES = {
    "client": ("Client", IDLE),
    "auth": ("Authentication", "dark-blue"),
    "rate_limit": ("Rate limit", "yellow"),
    "upstream": ("Upstream", BAD),
    "timeout": ("Timeout", WARNING),
    "network": ("Network", "purple"),
    "no_key": ("No key", "light-blue"),
    "other": ("Other", "#5c5c5c"),
}
"""Error categories: name, colour. `client` counts in no error rate: as grey as what is idle."""


def fixed(color: str) -> FieldColor:
    """Give a colour that does not depend on the value."""
    return FieldColor().mode(FieldColorModeId.FIXED).fixed_color(color)


def by_threshold() -> FieldColor:
    """Take the colour from the thresholds."""
    return FieldColor().mode(FieldColorModeId.THRESHOLDS)


def palette() -> FieldColor:
    """Give each series a colour of its own."""
    return FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC)


def thresholds(base: str, *steps: tuple[float, str]) -> ThresholdsConfig:
    """Colour values from a number on, and the others with the base colour."""
    values = [Threshold(value=None, color=base)]
    values += [Threshold(value=value, color=color) for value, color in steps]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(values)


def color(name: str) -> DynamicConfigValue:
    """Give the override that sets a fixed colour."""
    return DynamicConfigValue("color", {"mode": FieldColorModeId.FIXED, "fixedColor": name})


def from_one(name: str) -> list[DynamicConfigValue]:
    """Give the overrides that colour a count from 1 on."""
    steps = [{"value": None, "color": PLAIN}, {"value": 1, "color": name}]
    return [
        DynamicConfigValue("color", {"mode": FieldColorModeId.THRESHOLDS}),
        DynamicConfigValue("thresholds", {"mode": ThresholdsMode.ABSOLUTE, "steps": steps}),
    ]


def show_as(name: str) -> DynamicConfigValue:
    """Give the override that shows a series or a column by another name."""
    return DynamicConfigValue("displayName", name)


def words(texts: Mapping[str, tuple[str, str]]) -> ValueMap:
    """Show values as (text, colour)."""
    return ValueMap(
        {
            value: ValueMappingResult(text=text, color=shade, index=index)
            for index, (value, (text, shade)) in enumerate(texts.items())
        }
    )


def pattern(regex: str, text: str) -> RegexMap:
    """Show values that match as a text, which may hold what groups found as $1."""
    result = ValueMappingResult(text=text, color=PLAIN, index=0)
    return RegexMap(DashboardRegexMapOptions(pattern=f"/^{regex}$/", result=result))


def cell(base: str, *steps: tuple[float, str]) -> list[DynamicConfigValue]:
    """Give the overrides that colour the text of a cell from numbers on."""
    values: list[dict[str, object]] = [{"value": None, "color": base}]
    values += [{"value": value, "color": shade} for value, shade in steps]
    return [
        DynamicConfigValue("custom.cellOptions", {"type": "color-text"}),
        DynamicConfigValue("color", {"mode": FieldColorModeId.THRESHOLDS}),
        DynamicConfigValue("thresholds", {"mode": ThresholdsMode.ABSOLUTE, "steps": values}),
    ]


def error_cell() -> list[DynamicConfigValue]:
    """Colour an error rate: amber above 1 %, red above 5 %."""
    return [*cell(PLAIN, (0.01, WARNING), (0.05, BAD)), DynamicConfigValue("decimals", 2)]


def slow_cell() -> list[DynamicConfigValue]:
    """Colour a duration in seconds: amber above 2, red above 5."""
    return [*cell(PLAIN, (2, WARNING), (5, BAD)), DynamicConfigValue("decimals", 1)]


def width(pixels: int) -> DynamicConfigValue:
    """Give the override that sets the width of a column."""
    return DynamicConfigValue("custom.width", pixels)


def as_word(texts: Mapping[str, tuple[str, str]], pixels: int) -> list[DynamicConfigValue]:
    """Give the overrides that show the values of a column as (text, colour)."""
    return [
        DynamicConfigValue("mappings", [words(texts)]),
        DynamicConfigValue("custom.cellOptions", {"type": "color-text"}),
        width(pixels),
    ]


def linked(title: str, url: str) -> DynamicConfigValue:
    """Give the override that makes the cells of a column links."""
    return DynamicConfigValue("links", [{"title": title, "url": url}])
