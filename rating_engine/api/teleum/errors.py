"""What goes wrong, in the words of this surface: `err` 1 and one of these in `errmsg`.

Laws: HTTP's status is 200 but for an ended session (401), too many requests (429), a banned address (403) and an engine
that cannot answer now (503); what is somebody else's and what is not there are one answer; no word tells a secret or
what went on inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rating_engine.api.teleum.commands import COMMANDS
from rating_engine.domain.errors import (
    InvalidRequest,
    NotAllowed,
    NotFound,
    NotYours,
    OrderFailed,
    Overloaded,
    RatingEngineError,
    Unavailable,
)
from rating_engine.domain.sip_account import ExtensionInCall, NoSecretKey, NoSuchExchange
from rating_engine.domain.transfer import InsufficientMoney

SESSION_ENDED: Final = "SESSION ENDED"
WRONG_LOGIN: Final = "WRONG EMAIL OR PASSWORD"
TOO_MANY_ATTEMPTS: Final = "TOO MANY ATTEMPTS"
TOO_MANY_REQUESTS: Final = "TOO MANY REQUESTS"
UNKNOWN_COMMAND: Final = "UNKNOWN COMMAND"
ACCESS_DENIED: Final = "ACCESS DENIED"
NOT_FOUND: Final = "NOT FOUND"
NOT_ENOUGH_MONEY: Final = "NOT ENOUGH MONEY"
NUMBER_NOT_FREE: Final = "NUMBER IS NOT FREE"
LINE_IN_CALL: Final = "LINE HAS A CALL"
NO_LINES_HERE: Final = "NO SIP LINES CAN BE HAD"
REFUSED: Final = "NOT POSSIBLE NOW"
BAD_REQUEST: Final = "REQUEST CANNOT BE READ"
TRY_AGAIN: Final = "TRY AGAIN LATER"
INTERNAL: Final = "INTERNAL ERROR"


@dataclass(frozen=True, slots=True)
class Failure(Exception):
    """An answer with `err` 1."""

    message: str
    status: int = 200

    def __str__(self) -> str:
        return self.message


def wrong(parameter: str) -> Failure:
    """A parameter is missing, or cannot be so."""
    return Failure(f"WRONG PARAMETER: {parameter}")


# What services call fields, as this surface names them.
_FIELDS: Final[Mapping[str, str]] = {
    "destination": "rnum",
    "callerid": "rcid",
    "sip_callerid": "rcid",
    "sip_password": "paswd",
    "label": "descr",
    "series": "serie",
    "times": "dowjs2",
    "did": "nid",
}
_PARAMETERS: Final = frozenset({"dowjs2", *(each.name for command in COMMANDS.values() for each in command.parameters)})
_WORDS: Final[tuple[tuple[type[RatingEngineError], str], ...]] = (
    (InsufficientMoney, NOT_ENOUGH_MONEY),
    (ExtensionInCall, LINE_IN_CALL),
    (NoSecretKey, NO_LINES_HERE),
    (NoSuchExchange, NO_LINES_HERE),
    (NotFound, NOT_FOUND),
    (NotYours, NOT_FOUND),
    (NotAllowed, ACCESS_DENIED),
    (OrderFailed, NUMBER_NOT_FREE),
)


def failure_of(error: RatingEngineError) -> Failure:
    """What a use case refuses."""
    if isinstance(error, Unavailable | Overloaded):
        return Failure(TRY_AGAIN, 503)
    if isinstance(error, InvalidRequest):
        name = _FIELDS.get(error.field or "", error.field)
        return wrong(name) if name in _PARAMETERS else Failure(REFUSED)  # of what nobody has given here
    for kind, word in _WORDS:
        if isinstance(error, kind):
            return Failure(word)
    return Failure(REFUSED)
