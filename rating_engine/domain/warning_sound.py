"""Sound files that callers hear where their balance is low, which users have by their number (MOR: u24)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from rating_engine.domain.errors import InvalidRequest

_FILE: Final = re.compile(r"[A-Za-z0-9_./-]{1,100}")  # what a dialplan hands to Playback as it is


@dataclass(frozen=True, slots=True)
class WarningSound:
    """One of them. `file`: as exchanges play it, without its ending: custom/low-balance. `sound_id` 0: not kept yet.

    Raises InvalidRequest naming the field.
    """

    file: str
    sound_id: int = 0

    def __post_init__(self) -> None:
        if not _FILE.fullmatch(self.file) or ".." in self.file:
            raise InvalidRequest("file", f"{self.file[:100]!r}: letters, digits and . _ / - only, such as custom/low")
