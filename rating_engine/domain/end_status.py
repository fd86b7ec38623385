"""How a call ended, in the one word in which exchanges say it: a hangup cause and a disposition, `16ANSWER`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

MAX_DISPOSITION: Final = 32  # the longest of DIALSTATUS is CHANUNAVAIL
STATUSES_REMEMBERED: Final = 256  # an exchange says a few dozen

_STATUS: Final = re.compile(rf"([0-9]{{0,3}})([A-Za-z][A-Za-z_-]{{0,{MAX_DISPOSITION - 1}}})?")
_NO_WORD: Final = re.compile(r"[^A-Za-z_-]+")


@lru_cache(maxsize=STATUSES_REMEMBERED)
def read_status(text: str) -> tuple[int, str]:
    """Cause and disposition of `16ANSWER`, `0CANCEL`, `ANSWER`, `16`; 0 and empty where one is missing.

    A status only describes how the call ended. One that is malformed keeps what can be read of it and is never
    refused: the seconds beside it have to be charged.
    """
    match = _STATUS.fullmatch(text)
    if match is None:
        return 0, _NO_WORD.sub("", text)[:MAX_DISPOSITION]
    return int(match[1] or 0), match[2] or ""
