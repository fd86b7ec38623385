"""Why a call was refused, or did not come about: hangup causes (Q.850) and the words of DIALSTATUS. No I/O.

Law: the same as config/asterisk/extensions.conf says ([rating-causes], RATING_FAILOVER, RATING_FINAL), which a test
compares: whoever changes from one surface to the other finds the same routes tried, and phones told the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from rating_engine.domain.number_lists import LIST_CAUSES
from rating_engine.domain.outcomes import DeclineReason

NORMAL: Final = 16
BUSY: Final = 17
NO_ANSWER: Final = 19
FORBIDDEN: Final = 21
UNAVAILABLE: Final = 34

ANSWERED: Final = "ANSWER"
CANCELLED: Final = "CANCEL"
SILENCE: Final = "SILENCE"
UNREACHED: Final = "CHANUNAVAIL"

CAUSES: Final[Mapping[DeclineReason, int]] = MappingProxyType(
    {
        DeclineReason.UNKNOWN_LOGIN: FORBIDDEN,
        DeclineReason.INACTIVE: FORBIDDEN,
        DeclineReason.USER_BLOCKED: FORBIDDEN,
        DeclineReason.EXTERNAL_BLOCKED: FORBIDDEN,
        DeclineReason.EXCHANGE_BANNED: FORBIDDEN,
        DeclineReason.BLOCKED_DESTINATION: FORBIDDEN,
        DeclineReason.PRICE_TOO_HIGH: FORBIDDEN,
        DeclineReason.SOURCE_REJECTED: FORBIDDEN,
        DeclineReason.CALLED_BACK: FORBIDDEN,
        **dict.fromkeys(LIST_CAUSES, FORBIDDEN),
        DeclineReason.WRONG_CARD: FORBIDDEN,
        DeclineReason.CARD_NOT_VALID: FORBIDDEN,
        DeclineReason.INSUFFICIENT_FUNDS: FORBIDDEN,
        DeclineReason.DAILY_LIMIT: FORBIDDEN,
        DeclineReason.MONTHLY_LIMIT: FORBIDDEN,
        DeclineReason.TOO_MANY_CALLS: BUSY,
        DeclineReason.ACCOUNT_LOCKED: 31,
        DeclineReason.NO_RATE: 1,
        DeclineReason.UNKNOWN_NUMBER: 1,
        DeclineReason.NUMBER_CLOSED: 22,
        DeclineReason.NUMBER_LOOP: 38,
        DeclineReason.INVALID_DESTINATION: 28,
        DeclineReason.BAD_REQUEST: 38,
        DeclineReason.CONFLICT: 38,
        DeclineReason.ALREADY_FINISHED: 38,
        DeclineReason.INTERNAL: 38,
    }
)
FAILOVER: Final = frozenset({UNREACHED, "CONGESTION", "BUSY", SILENCE})
# SIP codes, and causes where SIP said nothing: the number's or the person's fault, whom another carrier would ring too.
FINAL: Final = frozenset(
    {404, 410, 480, 484, 485, 486, 600, 603, 604, 606, 607, 608, 1, BUSY, FORBIDDEN, 22, 28}
)  # fmt: skip
TIMED_OUT: Final = 408  # behind ringing it is the person who did not answer


def cause_of(reason: DeclineReason) -> int:
    """What a refused caller is hung up with; a reason that is not there is the service's."""
    return CAUSES.get(reason, UNAVAILABLE)


def word_of(cause: int) -> str:
    """The word of DIALSTATUS for a leg that ended unanswered, as app_dial has it."""
    return {BUSY: "BUSY", UNAVAILABLE: "CONGESTION", NORMAL: CANCELLED, 18: "NOANSWER", NO_ANSWER: "NOANSWER"}.get(
        cause, UNREACHED
    )


def may_try_next(word: str, cause: int, sip: int, *, rang: bool) -> bool:
    """Whether the next route may mend what this one failed with. `word`: SILENCE where nothing was heard at all."""
    said = sip or cause
    if said in FINAL or (said == TIMED_OUT and rang):
        return False
    return word in FAILOVER
