"""What is known of a call while it lasts: by its reservation, by its exchange, and what is made of both."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from rating_engine.domain.outcomes import CallKey
from rating_engine.domain.reservation import ResellerPrice


@dataclass(frozen=True, slots=True)
class OpenReservation:
    """A call that holds money, as stored. `answered_at` and `last_seen_at`: by the exchange's word; None: not seen.

    `quota`: in slices, which are shared when the money ends. `steered`: it may be lengthened. `resellers`: who pays for
    it besides, and what it may cost each.
    """

    call_key: CallKey
    bucket: int
    account_id: int
    granted: Decimal
    quota: bool
    steered: bool
    cap_seconds: int
    rate: str
    prepared_at: datetime
    expires_at: datetime
    answered_at: datetime | None
    last_seen_at: datetime | None
    carrier_rate: str = ""
    carrier_exchange: Decimal | None = None
    resellers: tuple[ResellerPrice, ...] = ()
    resellers_granted: tuple[Decimal, ...] = ()


@dataclass(frozen=True, slots=True)
class SeenCall:
    """A caller's channel as its exchange tells it. Times: seconds of this process's monotonic clock; None: not seen.

    `answered_at`: the called party did. `ended_at`: either side hung up, with `cause` (Q.850; 0: not said). `alive`:
    the conversation, or what leads to it, goes on; else, if nobody saw its end, it was alive at `last_seen`.
    """

    uniqueid: str
    channel: str
    called_channel: str = ""
    answered_at: float | None = None
    ended_at: float | None = None
    cause: int = 0
    alive: bool = True
    last_seen: float | None = None


@dataclass(frozen=True, slots=True)
class FailedLogin:
    """Somebody at `address` could not log in at an exchange, as `account`; `what`: the exchange's word for why.

    `session`: what the exchange says of one try several times has in common (of SIP its Call-ID).
    """

    address: str
    account: str
    what: str
    service: str
    session: str = ""


@dataclass(frozen=True, slots=True)
class LiveChannel:
    """One line of an exchange's list of channels. `bridge`: the conversation it is in, '' for none."""

    uniqueid: str
    channel: str
    bridge: str


class Decision(StrEnum):
    """What became of a reservation that nobody finished. Append only: it labels a metric."""

    HANGUP_SEEN = "hangup_seen"  # charged from the answer to the hangup that was seen
    LAST_SEEN = "last_seen"  # its channel is gone: charged until it was last seen alive
    NOT_ANSWERED = "not_answered"  # its channel is gone, and nobody had answered: voided
    SUPERSEDED = "superseded"  # its channel went on to another attempt: voided
    UNKNOWN_CHANNEL = "unknown_channel"  # the exchange never showed such a channel: left to its expiry
    FINISHED = "finished"  # its finish came first
    EXPIRED_SEEN = "expired_seen"  # expiry, policy `seen`: charged until it was last seen alive
    EXPIRED_GRANTED = "expired_granted"  # expiry, policy `granted`: charged for all it was granted
    EXPIRED_VOIDED = "expired_voided"  # expiry, policy `void`
    EXPIRED_UNANSWERED = "expired_unanswered"  # expiry of a call that was not seen to be answered: voided


class ExpiryPolicy(StrEnum):
    """How a call is charged that was seen answered and has expired without anybody knowing its end."""

    SEEN = "seen"
    GRANTED = "granted"
    VOID = "void"
