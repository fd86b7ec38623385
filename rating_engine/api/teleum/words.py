"""The words that people read: Russian as the document prints them, and English for users of that language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Words:
    """Of one language. `forwards` and `caller_ids`: from their first id, 1, on; `days`: from Monday on."""

    forwards: tuple[str, str, str, str]
    caller_ids: tuple[str, str, str]
    days: tuple[str, str, str, str, str, str, str]
    forwarded: str
    recurring: str
    once: str


RUSSIAN: Final = Words(
    ("SIP", "Телефон", "Автоответчик", "Факс"),
    ("вызывающего", "групповой", "свой"),
    ("Понедельник", "Вторник", "Среда", "Четверг", "Пятница", "Суббота", "Воскресенье"),
    "Переадресация на: ",
    "абонентка",
    "разовый",
)
ENGLISH: Final = Words(
    ("SIP", "Telephone", "Voicemail", "Fax"),
    ("of the caller", "of the group", "own"),
    ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "Forwarded to: ",
    "recurring",
    "once",
)


def words_for(language: str) -> Words:
    """Of a user by its language; who has none reads the document's."""
    return ENGLISH if language and language != "ru" else RUSSIAN
