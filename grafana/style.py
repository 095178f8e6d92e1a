"""Colours and what else panels look like: the same colour means the same on every dashboard."""

from collections.abc import Mapping

from grafana_foundation_sdk.builders.dashboard import FieldColor, ThresholdsConfig
from grafana_foundation_sdk.models.dashboard import (
    DynamicConfigValue,
    FieldColorModeId,
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
