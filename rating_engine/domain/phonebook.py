"""Phonebooks of users: names with numbers, and short ones by which any line of the user dials them."""

from __future__ import annotations

from dataclasses import dataclass

from rating_engine.domain.checks import check_text
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.numbering import Alias, check_alias

MAX_ENTRIES = 1_000  # of a user: every engine keeps them beside the lines that call


@dataclass(frozen=True, slots=True)
class PhonebookEntry:
    """One entry. `speeddial` '': there is none to dial. Raises InvalidRequest naming the field."""

    name: str
    number: str
    speeddial: str = ""
    entry_id: int = 0
    party_id: int = 0

    def __post_init__(self) -> None:
        check_text(self.name, "name")
        if not self.name.strip() or len(self.name) > 200:
            raise InvalidRequest("name", "must have 1 to 200 characters")
        check_alias(Alias(None, self.speeddial or "0", self.number))
