"""Every dialplan variable the engine sets, once; the dialplan in config/asterisk reads the same names.

Law: an answer sets ALL variables of its script, empty where there is nothing to say, so that no value of an
earlier attempt on the same channel survives. RATING_CAUSE is the one that is set by a refusal alone.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

RATING_STATUS: Final = "RATING_STATUS"  # a RatingStatus
RATING_REASON: Final = "RATING_REASON"  # a DeclineReason, SPOOLED, or empty when all went well
RATING_MAX_SECONDS: Final = "RATING_MAX_SECONDS"  # whole seconds, 0 = no call; Dial's S(). getBalance: of a number
RATING_MAX_MS: Final = "RATING_MAX_MS"  # the same in milliseconds; Dial's L()
RATING_QUOTA: Final = "RATING_QUOTA"  # 1: RATING_MAX_SECONDS is a slice, which the engine lengthens (AMI); else empty
# The caller is to hear that little is left: the sound that its user has chosen, 1 for that of [globals]; else empty.
RATING_LOW_BALANCE: Final = "RATING_LOW_BALANCE"
RATING_DESTINATION: Final = "RATING_DESTINATION"  # normalised E.164 digits
RATING_CALLERID: Final = "RATING_CALLERID"
RATING_DIRECTION: Final = "RATING_DIRECTION"
RATING_ROUTE_PREFIX: Final = "RATING_ROUTE_PREFIX"  # what Dial puts before the destination
RATING_ROUTE_NAME: Final = "RATING_ROUTE_NAME"
# The cause that MOR documents for a refusal by a black or white list, above Q.850's 127. No other answer sets it: the
# dialplan keeps the hangup cause of the route that was tried before in it.
RATING_CAUSE: Final = "RATING_CAUSE"
RATING_CALL_ID: Final = "RATING_CALL_ID"  # exchange/uniqueid/attempt, as in the CDR
RATING_RESULT: Final = "RATING_RESULT"  # the answer as one line, in the words of the Narayana API
RATING_COST: Final = "RATING_COST"  # plain decimal notation, exact
RATING_CURRENCY: Final = "RATING_CURRENCY"
RATING_BILLED_SECONDS: Final = "RATING_BILLED_SECONDS"
RATING_BALANCE: Final = "RATING_BALANCE"  # plain decimal notation, exact
RATING_AVAILABLE: Final = "RATING_AVAILABLE"  # the same, or `unlimited` (postpaid without a limit)
RATING_CARD_LOGIN: Final = "RATING_CARD_LOGIN"  # by which a caller's card calls; empty: none may be used
RATING_CARD_LANGUAGE: Final = "RATING_CARD_LANGUAGE"  # of what its caller is told; empty: the channel's
RATING_CARD_CALLERID: Final = "RATING_CARD_CALLERID"  # what its calls show; empty: nothing of the caller
RATING_CARD_EXTERNAL: Final = "RATING_CARD_EXTERNAL"  # 1: a function of the exchange's own is asked before each call
RATING_CARD_CONTEXT: Final = "RATING_CARD_CONTEXT"  # where the menu goes on; empty: in its own
RATING_DID: Final = "RATING_DID"  # the number that a call came in by, in digits
RATING_DID_LOGIN: Final = "RATING_DID_LOGIN"  # who pays for it
RATING_DID_NEXT: Final = "RATING_DID_NEXT"  # where didNext goes on
RATING_DID_ACTION: Final = "RATING_DID_ACTION"  # an exten of [rating-did-actions]; empty: no rule is left
RATING_DID_DESTINATION: Final = "RATING_DID_DESTINATION"
RATING_DID_SHOWN: Final = "RATING_DID_SHOWN"  # the caller's number as it is to be shown
RATING_DID_SERVER: Final = "RATING_DID_SERVER"  # the exchange that has the line; empty: the one that asks
RATING_DID_TIMEOUT: Final = "RATING_DID_TIMEOUT"  # seconds that it rings
RATING_DID_MUSIC: Final = "RATING_DID_MUSIC"  # class of music that the caller hears meanwhile; empty: ringing
RATING_DID_RECORD: Final = "RATING_DID_RECORD"  # the name of the file that keeps the conversation; empty: none does


class RatingStatus(StrEnum):
    """The values of RATING_STATUS."""

    ALLOWED = "ALLOWED"  # callPrepare: the call may start
    DECLINED = "DECLINED"  # callPrepare, getBalance or an unknown script: no
    SAVED = "SAVED"  # callFinish: charged, exactly once; or SPOOLED, and charged as soon as the database is back
    FAILED = "FAILED"  # callFinish: not charged by this request
    OK = "OK"  # getBalance, ping


SPOOLED: Final = "spooled"  # RATING_REASON of a finish that waits on disk; its cost may be empty
UNLIMITED: Final = "unlimited"  # RATING_AVAILABLE of an account without a credit limit

CALL_PREPARE_VARIABLES: Final = (
    RATING_STATUS,
    RATING_REASON,
    RATING_MAX_SECONDS,
    RATING_MAX_MS,
    RATING_QUOTA,
    RATING_LOW_BALANCE,
    RATING_DESTINATION,
    RATING_CALLERID,
    RATING_DIRECTION,
    RATING_ROUTE_PREFIX,
    RATING_ROUTE_NAME,
    RATING_CALL_ID,
    RATING_RESULT,
)
CALL_FINISH_VARIABLES: Final = (
    RATING_STATUS,
    RATING_REASON,
    RATING_COST,
    RATING_CURRENCY,
    RATING_BILLED_SECONDS,
    RATING_RESULT,
)
DID_PREPARE_VARIABLES: Final = (
    RATING_STATUS,
    RATING_REASON,
    RATING_MAX_SECONDS,
    RATING_MAX_MS,
    RATING_DID,
    RATING_DID_LOGIN,
    RATING_DID_NEXT,
    RATING_CALL_ID,
    RATING_RESULT,
)
DID_NEXT_VARIABLES: Final = (
    RATING_STATUS,
    RATING_REASON,
    RATING_DID_ACTION,
    RATING_DID_DESTINATION,
    RATING_DID_SHOWN,
    RATING_DID_SERVER,
    RATING_DID_TIMEOUT,
    RATING_DID_MUSIC,
    RATING_DID_RECORD,
    RATING_DID_NEXT,
    RATING_RESULT,
)
CARD_AUTHORIZE_VARIABLES: Final = (
    RATING_STATUS,
    RATING_REASON,
    RATING_CARD_LOGIN,
    RATING_BALANCE,
    RATING_CURRENCY,
    RATING_CARD_LANGUAGE,
    RATING_CARD_CALLERID,
    RATING_CARD_EXTERNAL,
    RATING_CARD_CONTEXT,
    RATING_RESULT,
)
GET_BALANCE_VARIABLES: Final = (
    RATING_STATUS,
    RATING_REASON,
    RATING_BALANCE,
    RATING_AVAILABLE,
    RATING_CURRENCY,
    RATING_MAX_SECONDS,
    RATING_RESULT,
)
