"""What the engine is asked about a call, and every answer it can give."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from rating_engine.domain.errors import InvalidRequest
from rating_engine.rating.fast_frozen import fast_frozen

MAX_ORIGIN: Final = 80  # characters, as of a number, which is the longest that is said there
MAX_CALL_KEY_LENGTH: Final = 200  # longest exchange + uniqueid + attempt seen is about 90; the column holds this


class DeclineReason(StrEnum):
    """Why a call may not start, or why a finish was not taken. Append only."""

    UNKNOWN_LOGIN = "unknown_login"
    INACTIVE = "inactive"
    INVALID_DESTINATION = "invalid_destination"
    NO_RATE = "no_rate"
    NO_ROUTE = "no_route"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    TOO_MANY_CALLS = "too_many_calls"
    CONFLICT = "conflict"
    ALREADY_FINISHED = "already_finished"
    BAD_REQUEST = "bad_request"
    UNAVAILABLE = "unavailable"
    OVERLOADED = "overloaded"
    INTERNAL = "internal"
    BLOCKED_DESTINATION = "blocked_destination"
    PRICE_TOO_HIGH = "price_too_high"
    DAILY_LIMIT = "daily_limit"
    MONTHLY_LIMIT = "monthly_limit"
    NO_EXCHANGE_RATE = "no_exchange_rate"
    NO_CAPACITY = "no_capacity"
    ACCOUNT_LOCKED = "account_locked"
    USER_BLOCKED = "user_blocked"  # whose line it is, or a party above: locked, deactivated, or blocked for all calls
    EXCHANGE_BANNED = "exchange_banned"  # the exchange that it comes from, by the address that it says
    EXTERNAL_BLOCKED = "external_blocked"  # only lines of the same party may be called
    UNKNOWN_NUMBER = "unknown_number"  # of a call that came in: it is none of ours
    NUMBER_CLOSED = "number_closed"  # switched off, not paid for, or nobody's
    SOURCE_REJECTED = "source_rejected"  # its rules reject the caller
    NUMBER_LOOP = "number_loop"  # its rules lead back to it
    RESELLER_INSUFFICIENT_FUNDS = (
        "reseller_insufficient_funds"  # who sells the call has no money for it, or may spend none
    )
    RESELLER_INACTIVE = "reseller_inactive"  # the account of who sells it is blocked or closed
    RESELLER_LIMIT = "reseller_limit"  # calls at a time, the price or the destination, by the limits of that account
    WRONG_CARD = "wrong_card"  # no card has that number and PIN, or it was tried too often
    CARD_NOT_VALID = "card_not_valid"  # not sold, blocked, not yet or not any more valid
    CALLED_BACK = "called_back"  # its line's calls are refused, and the trusted number is called instead
    DESTINATION_BLACKLISTED = "destination_blacklisted"  # by the list of whose line it is: domain/number_lists
    DESTINATION_NOT_WHITELISTED = "destination_not_whitelisted"
    SOURCE_BLACKLISTED = "source_blacklisted"  # of a call or a message that came in, by the list of who owns the number
    SOURCE_NOT_WHITELISTED = "source_not_whitelisted"


class CallKey(NamedTuple):
    """The idempotency key of one call attempt.

    `exchange` names the Asterisk, `uniqueid` its channel, `attempt` counts from 1 (Narayana's `prior`). A tuple: a call
    looks what is known of it up by its key ten times, and a dataclass hashes and compares in Python (0.3 us more each).
    """

    exchange: str
    uniqueid: str
    attempt: int = 1

    def __str__(self) -> str:
        return f"{self.exchange}/{self.uniqueid}/{self.attempt}"


def check_origin(field: str, value: str) -> None:
    """Whether the CDR keeps it. Raises InvalidRequest naming the field."""
    if len(value) > MAX_ORIGIN:
        raise InvalidRequest(field, f"longer than {MAX_ORIGIN} characters")
    if not value.isprintable():
        raise InvalidRequest(field, "has a character that can't be printed")


@fast_frozen
class Origin:
    """How a call began, in the exchange's own words, which the CDR keeps; '' where it says nothing.

    `from_originate`: "true" where nobody dialled it, or the DID number that it came to; `source_address`: the address
    of the exchange that began it; `originated_by`: who did (user, system …). Source: narayana-billing-api-2.2,
    callPrepare.
    """

    from_originate: str = ""
    source_address: str = ""
    originated_by: str = ""

    def __post_init__(self) -> None:
        for name in ("from_originate", "source_address", "originated_by"):
            check_origin(name, getattr(self, name))


NO_ORIGIN: Final = Origin()


INBOUND: Final = "inbound"  # in the CDR, where calls that go out have their route


@dataclass(frozen=True, slots=True)
class InboundTerms:
    """What calls coming in cost who has a tariff: the rate that `priced_by` has for the number, times `factor`.

    `priced_by` None: nothing is charged.
    """

    tariff_id: int
    priced_by: int | None
    factor: Decimal


@dataclass(frozen=True, slots=True)
class Inbound:
    """By what a call came in: a number of ours, and what that costs its owner.

    `tariff_id`: whose rate for the number is the price, multiplied by `factor`; None: nothing is charged. `limited`: it
    takes so many calls at a time. `resellers`: the same of the tariffs of those above who pay besides.
    """

    did_id: int
    number: str
    tariff_id: int | None
    factor: Decimal
    limited: bool
    resellers: tuple[InboundTerms, ...] = ()

    def terms_of(self, tariff_id: int) -> InboundTerms:
        """What they cost a reseller who has that tariff."""
        free = InboundTerms(tariff_id, None, Decimal(1))
        return next((each for each in self.resellers if each.tariff_id == tariff_id), free)


@fast_frozen
class PrepareCall:
    """May this call start, and for how long? `destination` is as dialled.

    `routing_number`: the number as translated for routing (LRN), E.164 digits; None: the destination. `channel`: the
    exchange's name of the caller's channel, by which two calls of one key are told apart; '' where it is not known.
    `route`: the name of the one that the exchange has chosen; '': the engine chooses.
    """

    call_key: CallKey
    login: str
    destination: str
    callerid: str | None = None
    routing_number: str | None = None
    channel: str = ""
    route: str = ""
    origin: Origin = NO_ORIGIN
    inbound: Inbound | None = None


@fast_frozen
class FinishCall:
    """How a call ended.

    `seconds` are answered seconds (0 = never answered). `disposition` is the exchange's word (ANSWER, BUSY,
    CANCEL, NOANSWER ...), `cause` the Q.850 hangup cause, 0 where unknown. Source: narayana-billing-api-2.2,
    callFinish: a status such as `0CANCEL` is the cause and the disposition in one word. `ended_at` None: now; a finish
    that had to wait carries the time it was said. `channel` as in PrepareCall; a transfer may have renamed it since.
    `is_did`: "true", or the DID number, where the call came in by one; the CDR keeps it. `leeway_seconds`: the same end
    is told by two who measure it by themselves; so far apart they mean the same, and so far beyond what is paid nobody
    has talked.
    """

    call_key: CallKey
    login: str
    destination: str
    seconds: int
    disposition: str
    cause: int = 0
    callerid: str | None = None
    ended_at: datetime | None = None
    channel: str = ""
    is_did: str = ""
    leeway_seconds: int = 0


class Claim(NamedTuple):
    """One request's part in a reservation. It is freed when every request that was told of it has given its claim back.

    `number`: any that no other request for the call has.
    """

    call_key: CallKey
    bucket: int
    account_id: int
    number: int


@fast_frozen
class Allowed:
    """The call may start. `max_seconds` never exceeds what the reservation pays for.

    `quota`: that is a first part, which the engine lengthens while the call lasts, until the money ends. `claim`: to
    be given back (ChargingService.abandon_call) by whoever could not deliver this answer; None: nothing is held.
    `low_balance`: the caller is to hear that little is left, before it rings; `low_balance_sound`: by which sound file,
    '': as the exchange has it.
    """

    call_key: CallKey
    max_seconds: int
    destination: str
    callerid: str
    direction: str
    route_prefix: str
    route_name: str
    reserved: Decimal
    currency: str
    quota: bool = False
    repeated: bool = False
    low_balance: bool = False
    low_balance_sound: str = ""
    claim: Claim | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Declined:
    """The call may not start. `detail` says it in words for the log; never shown as a traceback."""

    reason: DeclineReason
    detail: str = ""


@fast_frozen
class Saved:
    """The call is over and charged; exactly once, however often it is said."""

    call_key: CallKey
    cost: Decimal
    currency: str
    billed_seconds: int
    seconds: int
    direction: str
    destination: str
    callerid: str
    route_name: str
    disposition: str
    cause: int
    repeated: bool = False
    overrun: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Spooled:
    """The call is over and will be charged: its finish is on this engine's disk until the database is back.

    `cost`, `currency` and `billed_seconds` are by the rate frozen for the call; None where it is not in memory.
    """

    call_key: CallKey
    seconds: int
    destination: str
    callerid: str
    disposition: str
    cause: int
    cost: Decimal | None = None
    currency: str | None = None
    billed_seconds: int | None = None
    direction: str = ""
    route_name: str = ""


@dataclass(frozen=True, slots=True)
class NotSaved:
    """The finish was not taken; `reason.CONFLICT` when the call was finished before with other content."""

    reason: DeclineReason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Balance:
    """An account's money. `overdraft` and `available` are None where credit is unlimited (postpaid).

    `lasts`: the seconds that a call would last on what is available; None: none was asked for.
    """

    login: str
    currency: str
    balance: Decimal
    reserved: Decimal
    overdraft: Decimal | None
    available: Decimal | None
    lasts: int | None = None


@dataclass(frozen=True, slots=True)
class CardQuestion:
    """Which card a caller has: by number and PIN, or, where no number is given, by the caller's own.

    `register`: whether the caller's number opens the card from now on.
    """

    exchange: str
    number: str = field(default="", repr=False)
    pin: str = field(default="", repr=False)
    callerid: str = ""
    register: bool = False


@dataclass(frozen=True, slots=True)
class CardAdmitted:
    """A card that may be used: by which login it calls, what is told of its money, and how.

    `callerid`: what its calls show; '': nothing of the caller. `external`: whether the exchange's own function is asked
    before each call. `dialplan`: the context that goes on; '': the menu's.
    """

    login: str
    balance: Decimal
    currency: str
    language: str = ""
    callerid: str = ""
    external: bool = False
    dialplan: str = ""


@dataclass(frozen=True, slots=True)
class Extended:
    """An open call may last `max_seconds` from its answer, and cost `granted` in all.

    `final`: no more can be had now, of money or of time. `resellers_granted`: what it may cost each who pays besides.
    """

    max_seconds: int
    granted: Decimal
    final: bool
    resellers_granted: tuple[Decimal, ...] = ()


@dataclass(frozen=True, slots=True)
class InboundAllowed:
    """A call that came in by `number` may be taken, and `login` pays for it. `allowed`: for how long, and its claim."""

    number: str
    login: str
    allowed: Allowed


@dataclass(frozen=True, slots=True)
class InboundStep:
    """What is done with a call that came in: one action of the dialplan. `next`: where to go on when it has ended.

    `shown`: the caller's number as it is to be shown. `server`: the exchange of the line, '' for the one that asks.
    `music`: the class that the caller hears while it rings, '' for ringing. `record`: the name of the recording to be
    kept, '' for none.
    """

    action: str
    destination: str
    shown: str
    timeout: int
    server: str
    next: str
    music: str = ""
    record: str = ""


@dataclass(frozen=True, slots=True)
class InboundDone:
    """No rule is left for a call that came in."""


PrepareOutcome = Allowed | Declined
InboundOutcome = InboundAllowed | Declined
InboundNext = InboundStep | InboundDone | Declined
FinishOutcome = Saved | Spooled | NotSaved
BalanceOutcome = Balance | Declined
CardOutcome = CardAdmitted | Declined
