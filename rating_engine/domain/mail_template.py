"""Mails that are sent again and again, with {words} in them that stand for what is said of whom they go to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rating_engine.domain.checks import check_name, check_text
from rating_engine.domain.errors import InvalidRequest

MAX_SUBJECT: Final = 200
MAX_BODY: Final = 20_000
MAX_TEMPLATES: Final = 1_000

_WORD: Final = re.compile(r"\{([a-z0-9_]{1,40})\}")


@dataclass(frozen=True, slots=True)
class MailTemplate:
    """One of them. Raises InvalidRequest naming the field."""

    name: str
    subject: str
    body: str

    def __post_init__(self) -> None:
        check_name(self.name)
        check_text(self.body, "body")
        if not 1 <= len(self.subject) <= MAX_SUBJECT or not self.subject.isprintable():
            raise InvalidRequest("subject", f"must have 1 to {MAX_SUBJECT} printable characters")
        if not 1 <= len(self.body) <= MAX_BODY:
            raise InvalidRequest("body", f"must have 1 to {MAX_BODY} characters")

    def filled(self, words: Mapping[str, str]) -> tuple[str, str]:
        """Subject and body with the words that are known; others stay as they are. A subject is one line."""

        def word(match: re.Match[str]) -> str:
            return words.get(match[1], match[0])

        subject = "".join(sign for sign in _WORD.sub(word, self.subject) if sign.isprintable())
        return subject[:MAX_SUBJECT], _WORD.sub(word, self.body)[: 2 * MAX_BODY]
