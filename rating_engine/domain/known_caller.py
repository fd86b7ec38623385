"""Caller ids that are known to belong to a line (MOR's CLIs): who rings from one is that line without saying so.

Law: one number is of one line; a banned one is known, and let in by nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rating_engine.domain.call_rules import digits_of
from rating_engine.domain.checks import check_text
from rating_engine.domain.errors import AlreadyExists, InvalidRequest

_DIGITS: Final = re.compile(r"\+?[0-9]{1,32}")


class CallerTaken(AlreadyExists):
    """The number is known as another line's. `login`: of that."""

    code = "caller_taken"

    def __init__(self, login: str) -> None:
        super().__init__(f"the number is known as that of {login}", field="number")
        self.login = login


@dataclass(frozen=True, slots=True)
class KnownCaller:
    """One of them. `login`, `line_id`, `owner_id`: of its line. `domain`: where it rings from; '': from anywhere."""

    caller_id: int
    number: str
    line_id: int
    login: str
    technology: str
    owner_id: int
    domain: str
    description: str
    comment: str
    banned: bool
    added_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class NewKnownCaller:
    """One to be known. `number` in digits. Raises InvalidRequest naming the field."""

    number: str
    domain: str = ""
    description: str = ""
    comment: str = ""
    banned: bool = False

    def __post_init__(self) -> None:
        check_caller(self.number)
        for name in ("domain", "description", "comment"):
            check_text(getattr(self, name), name)

    @property
    def digits(self) -> str:
        """The number as it is compared."""
        return digits_of(self.number)


def check_caller(number: str) -> str:
    """A caller id that can be known. Raises InvalidRequest."""
    if not _DIGITS.fullmatch(number):
        raise InvalidRequest("number", "must be 1 to 32 digits")
    return number
