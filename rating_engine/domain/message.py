"""Messages: SMS, queries of where a number is (HLR), SIP messages and spoken ones; sent, received, and what became of
them.

Laws: a message is sent once however often it is told; what it costs is taken before anybody is handed it, and given
back where it was not sent; its text is told to its owner and its carrier, and to no log.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from rating_engine.domain.errors import InvalidRequest, RatingEngineError
from rating_engine.domain.outcomes import DeclineReason
from rating_engine.domain.sms_text import MAX_PARTS, Encoding, encode_text

MAX_TEXT: Final = 4_000  # characters: more than MAX_PARTS parts have of any letters
MAX_SIP_TEXT: Final = 1_300  # characters: RFC 3428 has a MESSAGE over UDP below 1,300 bytes; what is longer may be cut
MAX_REFERENCE: Final = 200  # as of ledger entries

_LOGIN: Final = re.compile(r"[0-9A-Za-z_.+-]{1,64}")
_FORMED: Final = re.compile(r"[\s()./-]+")
_NUMBER: Final = re.compile(r"\+?[0-9]{3,15}")
# As SMPP 3.4 (5.2.28, appendix B) and gateways over HTTP write them; digits as Kannel's.
_DELIVERED: Final = frozenset({"DELIVERED", "DELIVRD", "SUCCESS", "OK", "READ", "1"})
_UNDELIVERED: Final = frozenset(
    {"UNDELIVERED", "UNDELIV", "EXPIRED", "DELETED", "REJECTED", "REJECTD", "FAILED", "UNDELIVERABLE", "2", "16"}
)
_ON_ITS_WAY: Final = frozenset(
    {"ACCEPTED", "ACCEPTD", "ENROUTE", "BUFFERED", "QUEUED", "SENT", "PENDING", "SCHEDULED", "UNKNOWN", "0", "4", "8"}
)
_NAME: Final = re.compile(r"[A-Za-z0-9 ]{1,11}")  # 3GPP TS 23.040: eleven letters fit into an address


class MessageKind(StrEnum):
    """What is sent. Stored."""

    SMS = "sms"
    HLR = "hlr"
    SIP = "sip"
    VOICE = "voice"


class Direction(StrEnum):
    """Whether it came in or went out. Stored."""

    IN = "in"
    OUT = "out"


class MessageState(StrEnum):
    """How it stands. Stored."""

    QUEUED = "queued"  # waits for its carrier
    SENDING = "sending"  # handed over now
    SENT = "sent"  # its carrier has it
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"  # not sent, or nobody knows; it costs nothing
    RECEIVED = "received"


class InvalidSender(InvalidRequest):
    """A message cannot be from that."""

    code = "invalid_sender"


class InvalidRecipient(InvalidRequest):
    """A message cannot go there."""

    code = "invalid_recipient"


class CarrierFailed(RatingEngineError):
    """The carrier refused, or could not be asked; what it would have cost is given back."""

    code = "carrier_failed"


class MessageDeclined(RatingEngineError):
    """The message may not be sent, for a reason that a call may not be made for; nothing was taken."""

    code = "message_declined"

    def __init__(self, reason: DeclineReason, problem: str = "") -> None:
        super().__init__(problem or reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class NewMessage:
    """`login` sends and pays. `sender` None: the caller id of the line. `reference`: a name by which the same told
    again is the same message; None: each is another. Numbers become digits. Raises InvalidSender, InvalidRecipient,
    InvalidRequest (text, reference).
    """

    login: str
    recipient: str
    text: str
    sender: str | None = None
    reference: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "recipient", recipient_of(self.recipient))
        if self.sender is not None:
            object.__setattr__(self, "sender", sender_of(self.sender))
        check_text(self.text)
        if self.reference is not None and not 1 <= len(self.reference) <= MAX_REFERENCE:
            raise InvalidRequest("reference", f"must have 1 to {MAX_REFERENCE} characters")


@dataclass(frozen=True, slots=True)
class NewSipMessage:
    """`login` sends, `recipient` is the login of a line with a telephone. `sender` None: the caller id of the line.

    Raises InvalidRequest (text), InvalidRecipient.
    """

    login: str
    recipient: str
    text: str = field(repr=False)
    sender: str | None = None

    def __post_init__(self) -> None:
        if not _LOGIN.fullmatch(self.recipient):
            raise InvalidRecipient("to", "is no login of a line")
        check_text(self.text)
        if len(self.text) > MAX_SIP_TEXT:
            raise InvalidRequest("text", f"must have {MAX_SIP_TEXT} characters at the most")


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `price`: what the payer was taken for it, in `currency` ('': nobody had to pay).

    `number`: its id for people and programs. `answer`: of a query. `error`: why it failed, in words. `offered`: the
    carriers that may be asked; (): whichever serves the number. `carrier_cost`: what the one that has it takes, and
    `margin` what that leaves of what we were paid in `margin_currency`; None: not known, or it was not sent.
    """

    bucket: int
    number: int
    kind: MessageKind
    direction: Direction
    state: MessageState
    party_id: int
    login: str
    did: str
    sender: str
    recipient: str
    text: str = field(repr=False)
    encoding: str
    parts: int
    price: Decimal
    currency: str
    carrier: str
    carrier_id: str
    answer: str
    error: str
    attempts: int
    created_at: datetime
    sent_at: datetime | None
    ended_at: datetime | None
    read_at: datetime | None
    offered: tuple[str, ...] = ()
    carrier_cost: Decimal | None = None
    carrier_currency: str = ""
    margin: Decimal | None = None
    margin_currency: str = ""


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Which messages are wanted; None: all. `number`: one of ours that was written to. `is_done`: came in and was read,
    or went out and was delivered. `succeeded`: came in, or its carrier has taken it and has not said that it was lost.
    `owner`: of that user and all below it, `alone`: and of nobody below.
    """

    direction: Direction | None = None
    kinds: frozenset[MessageKind] | None = None
    is_done: bool | None = None
    succeeded: bool | None = None
    number: str | None = None
    login: str | None = None
    owner: str | int | None = None
    alone: bool = False


@dataclass(frozen=True, slots=True)
class MessageCount:
    """How many messages there were, and how many of them succeeded, as of MessageFilter."""

    total: int
    succeeded: int


class MessageDimension(StrEnum):
    """What messages are summed up by."""

    DAY = "day"
    KIND = "kind"
    CARRIER = "carrier"
    LOGIN = "login"


@dataclass(frozen=True, slots=True)
class MessageSum:
    """Messages that went out: how many, how many of them a carrier has taken, their parts; what those brought in
    `currency`, what their carriers took in `carrier_currency`, and what that left of the `costed` ones, whose cost is
    known.

    `day`, `kind`, `carrier`, `login`: None where they are not summed up by it.
    """

    day: date | None
    kind: str | None
    carrier: str | None
    login: str | None
    currency: str
    carrier_currency: str
    messages: int
    sent: int
    parts: int
    sold: Decimal
    carrier_cost: Decimal
    costed: int
    margin: Decimal


@dataclass(frozen=True, slots=True)
class MessagePrice:
    """What a tariff takes for messages to a prefix ('': to every number)."""

    kind: MessageKind
    prefix: str
    price: Decimal


class CarrierOffer(NamedTuple):
    """What a carrier takes for a message, in `currency`, and what that leaves of what we are paid; None: not known."""

    carrier: str
    cost: Decimal | None = None
    currency: str = ""
    margin: Decimal | None = None


@dataclass(frozen=True, slots=True)
class MessageQuote:
    """What a message would take and cost now, and the carriers that would be asked for it, in their order; what each
    takes is in `offers`."""

    encoding: Encoding
    units: int
    parts: int
    price: Decimal
    currency: str
    offers: tuple[CarrierOffer, ...]

    @property
    def carriers(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(offer.carrier for offer in self.offers)


@dataclass(frozen=True, slots=True)
class ListedCarrier:
    """A carrier of the settings, as it may be shown."""

    name: str
    kinds: tuple[MessageKind, ...]
    prefixes: tuple[str, ...]
    cost_tariff: str = ""


def delivered_of(word: str) -> bool | None:
    """What a carrier's word says of a delivery; None: it is still on its way. Raises InvalidRequest (status)."""
    said = word.strip().upper()
    if said in _DELIVERED:
        return True
    if said in _UNDELIVERED:
        return False
    if said in _ON_ITS_WAY:
        return None
    raise InvalidRequest("status", f"is no word of a delivery report, such as DELIVERED: {word[:20]!a}")


def recipient_of(text: str) -> str:
    """A number to write to, in digits. Raises InvalidRecipient."""
    digits = _FORMED.sub("", text)
    if not _NUMBER.fullmatch(digits):
        raise InvalidRecipient("to", "must be a number of 3 to 15 digits")
    return digits.removeprefix("+")


def sender_of(text: str) -> str:
    """A number in digits, or a name. Raises InvalidSender."""
    digits = _FORMED.sub("", text)
    if _NUMBER.fullmatch(digits):
        return digits.removeprefix("+")
    if not _NAME.fullmatch(text) or not text.strip():
        raise InvalidSender("from", "must be a number of 3 to 15 digits, or 1 to 11 letters, digits and blanks")
    return text


def is_number(sender: str) -> bool:
    """Whether a sender is a number, and no name."""
    return sender.isascii() and sender.isdigit()


def check_text(text: str) -> None:
    """What may be said. Raises InvalidRequest (text)."""
    if not 1 <= len(text) <= MAX_TEXT or "\0" in text:
        raise InvalidRequest("text", f"must have 1 to {MAX_TEXT} characters")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise InvalidRequest("text", "has half a character")
    if len(encode_text(text).parts) > MAX_PARTS:
        raise InvalidRequest("text", f"takes more than {MAX_PARTS} parts")
