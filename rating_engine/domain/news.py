"""News: what users are shown, by their level, their language or by name; a broadcast is shown with the user itself.

Law: what is not for a reader's level, language or name is not there for that reader, whatever it asks for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from rating_engine.domain.change import LEAVE, Leave
from rating_engine.domain.checks import check_line, check_long_text, check_name, check_whole
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.party import Level

MAX_NEWS: Final = 20_000  # characters: some five pages; a longer text is a link in it

_LANGUAGE: Final = re.compile("(?:[a-z]{2,3})?")


class NewsType(StrEnum):
    """How it looks."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    SUCCESS = "success"


@dataclass(frozen=True, slots=True)
class NewsItem:
    """One of them. `access`: the least level of who reads it, 0: anybody. `user`: the one who may, by login; None: all.

    `language` '': of any. `broadcast`: what is shown in place of it where it is broadcast.
    """

    news_id: str
    header: str
    message: str
    broadcast: str
    is_broadcast: bool
    access: int
    language: str
    user: str | None
    type: NewsType
    author: str
    updated_by: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class NewNews:
    """One to be added. Raises InvalidRequest naming the field."""

    news_id: str
    header: str
    message: str
    broadcast: str = ""
    is_broadcast: bool = False
    access: int = 0
    language: str = ""
    user: str | None = None
    type: NewsType = NewsType.INFO

    def __post_init__(self) -> None:
        check_name(self.news_id, "id")
        _check(self)


@dataclass(frozen=True, slots=True)
class NewsChanges:
    """What is to be changed; LEAVE: as it is. `user` None: everybody may read it."""

    header: str | Leave = LEAVE
    message: str | Leave = LEAVE
    broadcast: str | Leave = LEAVE
    is_broadcast: bool | Leave = LEAVE
    access: int | Leave = LEAVE
    language: str | Leave = LEAVE
    user: str | Leave | None = LEAVE
    type: NewsType | Leave = LEAVE

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True)
class NewsFilter:
    """Which of what may be read: all; or one; or what is broadcast alone. `everybodys`: for administrators, whatever it
    is for.
    """

    news_id: str | None = None
    broadcast: bool = False
    everybodys: bool = False


def _check(news: NewNews | NewsChanges) -> None:
    if news.header is not LEAVE:
        check_line(news.header, "header")
    for field, text in (("message", news.message), ("broadcast", news.broadcast)):
        if text is not LEAVE:
            check_long_text(text, field, MAX_NEWS, empty=field == "broadcast")
    if news.access is not LEAVE:
        check_whole(news.access, "access", most=Level.ROOT_ADMIN)
    if news.language is not LEAVE and not _LANGUAGE.fullmatch(news.language):
        raise InvalidRequest("language", f"{news.language[:40]!r} is no ISO 639 code such as en")
