"""The languages of the dashboards: texts stand in English in the code and are looked up here."""

from collections.abc import Callable
from enum import StrEnum

from grafana.chinese import CHINESE

Say = Callable[[str], str]
"""Gives an English text in the language of the dashboard."""


class Language(StrEnum):
    """A language, and the folder of its dashboards."""

    ENGLISH = "en"
    CHINESE = "zh"

    @property
    def own_name(self) -> str:
        """What its speakers call it."""
        return {Language.ENGLISH: "English", Language.CHINESE: "中文"}[self]

    def say(self, text: str) -> str:
        """Give an English text in this language.

        Raises:
            KeyError: it has not been translated.
        """
        return text if self is Language.ENGLISH else CHINESE[text]
