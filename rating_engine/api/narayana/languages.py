"""Languages as they are named in queries: by the English word or by ISO 639 code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

LANGUAGES: Final[Mapping[str, str]] = {
    "english": "en",
    "russian": "ru",
    "german": "de",
    "french": "fr",
    "spanish": "es",
}


def language_code(text: str) -> str:
    """The code of a language; what is no known word is taken for one. '': none."""
    word = text.strip().lower()
    return LANGUAGES.get(word, word)
