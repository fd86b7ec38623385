"""What calls need of others: a ledger that holds and charges, facts about who was told what, and help in an outage.

Law: nothing here knows PostgreSQL, a disk or an exchange, so that calls are planned and ended alike by the engine, by
its simulation, and by tests over facts in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from rating_engine.domain.call_rules import InboundCall
from rating_engine.domain.errors import Overloaded, Unavailable
from rating_engine.domain.outcomes import (
    Balance,
    BalanceOutcome,
    CallKey,
    CardOutcome,
    CardQuestion,
    Claim,
    Declined,
    DeclineReason,
    FinishCall,
    FinishOutcome,
    InboundNext,
    InboundOutcome,
    NotSaved,
    PrepareCall,
    PrepareOutcome,
)
from rating_engine.domain.reservation import (
    EndedCall,
    OpenCall,
    ReserveAnswer,
    ReserveRequest,
    SettleAnswer,
    SettleRequest,
)

Now = Callable[[], datetime]  # the instant that calls go by, with a time zone: of the clock the engine was given
ExchangeWatch = Callable[[str], bool]  # whether calls of this exchange can be lengthened now


def utc_now() -> datetime:
    """By the clock of this machine."""
    return datetime.now(UTC)


class CallLedger(Protocol):
    """Where money is held and charged. Errors of each: Unavailable (outcome unknown), Overloaded (nothing done)."""

    async def reserve(self, request: ReserveRequest, /) -> ReserveAnswer:
        """Hold money for a call."""
        ...

    async def settle(self, request: SettleRequest, /) -> SettleAnswer:
        """Charge a call and free the rest."""
        ...

    async def find(self, bucket: int, call_key: CallKey, /) -> OpenCall | EndedCall | None:
        """The call as stored, open or ended, or None."""
        ...


class ChargingService(Protocol):
    """What every surface asks of calls; a broken database is an answer (`unavailable`), not an exception."""

    async def prepare_call(self, call: PrepareCall) -> PrepareOutcome:
        """Allowed with the seconds its reservation pays for, or Declined with the reason. Repeats get the same."""
        ...

    async def prepare_inbound(self, call: PrepareCall) -> InboundOutcome:
        """May this call to a number of ours be taken, who pays for it, and for how long?"""
        ...

    async def next_inbound(self, call: InboundCall, asking: CallKey) -> InboundNext:
        """What is done next with a call that was taken?"""
        ...

    async def finish_call(self, call: FinishCall) -> FinishOutcome:
        """Saved with the charge, Spooled, or NotSaved with the reason. However often said, a call is charged once."""
        ...

    async def balance(self, login: str, call: PrepareCall | None = None) -> BalanceOutcome:
        """The money of a login's account, and how long a call would last on it, or why it may not be made."""
        ...

    async def authorize_card(self, asked: CardQuestion) -> CardOutcome:
        """The line of a caller's card and what is told of its money, or why the caller is not let use it."""
        ...

    async def abandon_call(self, call_key: CallKey, login: str, claim: Claim | None = None) -> bool:
        """Nobody heard that the call is allowed: give back what was held for that answer. Whether anything was."""
        ...


class Cards(Protocol):
    """Calling cards, as callers use them."""

    async def authorize(self, asked: CardQuestion) -> CardOutcome:
        """The line of a caller's card, or Declined; a broken database is a reason too."""
        ...

    async def told(self, balance: Balance) -> Balance:
        """What is told of an account's money: another amount of a card's. Errors: Unavailable, Overloaded."""
        ...


class Outage(Protocol):
    """What becomes of calls while the database cannot be asked."""

    async def prepare(self, call: PrepareCall, error: Unavailable, known: OpenCall | None) -> PrepareOutcome:
        """Allowed without a reservation, or Declined.

        `known`: the call as it was allowed with the database, where that is remembered: its repetition gets the same.
        """
        ...

    def promised(self, call_key: CallKey) -> OpenCall | None:
        """The call as it was allowed without the database, by whichever process of this machine; None: it was not."""
        ...

    def forget(self, call_key: CallKey) -> None:
        """The end of such a call is safe, or it never started."""
        ...

    async def keep(self, call: FinishCall, known: OpenCall | None, error: Exception, waited: float) -> FinishOutcome:
        """A finish that could not be charged, `waited` seconds after it was said: Spooled, or NotSaved.

        `known`: the call as it was allowed, where that is known. Raises `error` where it is a fault of ours and nothing
        keeps the finish.
        """
        ...


class NoOutage:
    """Without a disk: a call is declined, and its end is not saved."""

    async def prepare(self, call: PrepareCall, error: Unavailable, known: OpenCall | None) -> PrepareOutcome:
        """No."""
        return Declined(DeclineReason.UNAVAILABLE, str(error))

    def promised(self, call_key: CallKey) -> OpenCall | None:
        """None was."""
        return None

    def forget(self, call_key: CallKey) -> None:
        """Nothing."""

    async def keep(self, call: FinishCall, known: OpenCall | None, error: Exception, waited: float) -> FinishOutcome:
        """Not saved; the exchange says it again, or somebody reads the exchange's log."""
        if isinstance(error, Unavailable | Overloaded):
            return NotSaved(DeclineReason(error.code), str(error))
        raise error


class UnheardBook(Protocol):
    """Claims whose answer nobody has heard yet, where a process that is killed leaves them for another."""

    def note(self, claim: Claim) -> int | None:
        """Write it down before the ledger is asked; None: no room, then only its expiry frees it after a kill."""
        ...

    def clear(self, place: int) -> None:
        """It was told, or given back."""
        ...

    def adopt(self) -> Sequence[Claim]:
        """Those that processes left which have died since. Blocks: for a thread. Raises OSError."""
        ...


class NoBook:
    """Forgets with the process."""

    def note(self, claim: Claim) -> int | None:
        """Nothing."""
        return None

    def clear(self, place: int) -> None:
        """Nothing."""

    def adopt(self) -> Sequence[Claim]:
        """None."""
        return ()
