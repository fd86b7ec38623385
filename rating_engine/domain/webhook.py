"""Addresses that a tenant has its events sent to."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

from rating_engine.domain.addresses import is_public
from rating_engine.domain.checks import check_amount
from rating_engine.domain.errors import InvalidRequest

MAX_WEBHOOKS: Final = 10  # of one party: each is an account's every event once more
STATES: Final = ("queued", "sent", "failed")  # of a delivery
MAX_URL: Final = 2_000
MAX_EVENTS: Final = 500  # characters


class Event(StrEnum):
    """What a webhook hears of: each but the last is one entry of a ledger. Append only."""

    CALL_CHARGED = "call.charged"
    CALL_CORRECTED = "call.corrected"
    TOPUP = "balance.topup"
    FEE = "balance.fee"
    ADJUSTED = "balance.adjusted"
    TRANSFERRED = "balance.transferred"
    LOW = "balance.low"


@dataclass(frozen=True, slots=True)
class NewWebhook:
    """`events` '': all, else names by commas. `low_balance`: below which balance.low is sent, once a crossing."""

    url: str
    events: str = ""
    low_balance: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        check_url(self.url)
        if len(self.events) > MAX_EVENTS:
            raise InvalidRequest("events", f"has more than {MAX_EVENTS} characters")
        for name in filter(None, (each.strip() for each in self.events.split(","))):
            if name not in {*Event}:
                raise InvalidRequest("events", f"{name[:40]!r} is none of {', '.join(Event)}")
        check_amount(abs(self.low_balance), "low_balance")  # of an account with credit it may be below 0

    @property
    def wanted(self) -> list[str]:
        """The events, each once, in their order."""
        names = {each.strip() for each in self.events.split(",")} - {""}
        return [event.value for event in Event if not names or event.value in names]


@dataclass(frozen=True, slots=True)
class Webhook:
    """`queued`, `failed`: deliveries that wait, and those given up within a week. `error`: the last one's."""

    webhook_id: int
    party_id: int
    url: str
    events: tuple[str, ...]
    low_balance: Decimal
    created_at: datetime
    queued: int = 0
    failed: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way. `secrets`: sealed, the new one first."""

    delivery_id: int
    url: str
    event_id: str
    body: str
    attempts: int
    secrets: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ListedDelivery:
    """What became of one event. `state`: queued, sent or failed. `due_at`: when it is tried next, where it is queued.

    `attempts`: those that were not taken; `error`: why the last one was not.
    """

    delivery_id: int
    event_id: str
    event: str
    state: str
    attempts: int
    created_at: datetime
    due_at: datetime | None
    ended_at: datetime | None
    error: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a ledger as events are made of it. `call`: what is told of its call; None: it is of none."""

    bucket: int
    account_id: int
    entry_id: int
    kind: str
    amount: Decimal
    balance_after: Decimal
    currency: str
    created_at: datetime
    call: dict[str, Any] | None


_OF_KIND: Final = {
    "charge": Event.CALL_CHARGED, "opening": Event.TOPUP, "topup": Event.TOPUP, "fee": Event.FEE,
    "adjustment": Event.ADJUSTED, "transfer": Event.TRANSFERRED,
}  # fmt: skip


def events_of(entry: Entry, low_balance: Decimal) -> list[Event]:
    """What an entry means."""
    if entry.kind == "correction":
        event = Event.ADJUSTED if entry.call is None else Event.CALL_CORRECTED
    else:
        event = _OF_KIND.get(entry.kind, Event.ADJUSTED)
    crossed = entry.balance_after < low_balance <= entry.balance_after - entry.amount
    return [event, Event.LOW] if crossed else [event]


def check_place(url: str, private_hosts: Collection[str]) -> None:
    """Whether events may go there at all: by https to what is public, or however to hosts that the operator lists; what
    a name is of is looked at with each delivery. Raises InvalidRequest."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if host in private_hosts:
        return
    if parts.scheme != "https":
        raise InvalidRequest("url", "must be https://HOST/…")
    try:
        public = is_public(host)
    except ValueError:  # a name
        return
    if not public:
        raise InvalidRequest("url", "is no public address")


def check_url(url: str) -> None:
    """Raises InvalidRequest."""
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidRequest("url", f"is no address of {MAX_URL} characters at the most")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidRequest("url", "is no address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise InvalidRequest("url", "must be https://HOST/…")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise InvalidRequest("url", "has a user, a password or a fragment, which it must not")
