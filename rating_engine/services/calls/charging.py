"""callPrepare and callFinish as every surface asks them: may this call start and for how long, and what did it cost?

Laws: nothing is answered as done that is not committed; a broken database is an answer too (`UNAVAILABLE`), never a
free call; the end of a call is never lost while anything can keep it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from rating_engine.domain.account import AccountState
from rating_engine.domain.call_rules import InboundCall
from rating_engine.domain.errors import Overloaded, Unavailable
from rating_engine.domain.outcomes import (
    Allowed,
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
from rating_engine.services.calls.finish import Finishing
from rating_engine.services.calls.inbound import InboundCalls
from rating_engine.services.calls.ports import Cards, Outage
from rating_engine.services.calls.prepare import InDoubt, Preparing
from rating_engine.services.calls.undo import Undo


class Charging:
    """Credit control over the ledger. Safe for any number of calls at once and of engines side by side."""

    def __init__(
        self,
        *,
        preparing: Preparing,
        finishing: Finishing,
        undo: Undo,
        outage: Outage,
        read_account: Callable[[str], Awaitable[AccountState | None]],
        inbound: InboundCalls | None = None,
        cards: Cards | None = None,
    ) -> None:
        """`inbound` None: no call comes in; `cards` None: nobody has one."""
        self._cards = cards
        self._inbound = inbound
        self._preparing = preparing
        self._finishing = finishing
        self._undo = undo
        self._outage = outage
        self._read_account = read_account

    async def prepare_call(self, call: PrepareCall) -> PrepareOutcome:
        """Allowed with the seconds its reservation pays for, or Declined with the reason. Repeats get the same."""
        try:
            return await self._preparing.prepare(call)
        except Unavailable as error:
            return await self._without_database(call, error)
        except Overloaded as error:
            return Declined(DeclineReason(error.code), str(error))

    async def _without_database(self, call: PrepareCall, error: Unavailable) -> PrepareOutcome:
        """No, unless it is a call that may start without a reservation. One whose reservation is in doubt is undone."""
        outcome: PrepareOutcome | None = None
        try:
            outcome = await self._outage.prepare(call, error, self._finishing.known(call.call_key))
            return outcome
        finally:
            if isinstance(error, InDoubt):
                if isinstance(outcome, Allowed):
                    self._undo.told(error.claim)
                else:
                    self._undo.give_back(error.claim)

    async def prepare_inbound(self, call: PrepareCall) -> InboundOutcome:
        """Whether a call to a number of ours may be taken; as prepare_call, but never without the database."""
        if self._inbound is None:
            return Declined(DeclineReason.UNKNOWN_NUMBER)
        try:
            return await self._inbound.prepare(call)
        except InDoubt as error:
            self._undo.give_back(error.claim)
            return Declined(DeclineReason.UNAVAILABLE, str(error))
        except (Unavailable, Overloaded) as error:
            return Declined(DeclineReason(error.code), str(error))

    async def next_inbound(self, call: InboundCall, asking: CallKey) -> InboundNext:
        """What is done with a call that was taken."""
        if self._inbound is None:
            return Declined(DeclineReason.UNKNOWN_NUMBER)
        try:
            return await self._inbound.next(call, asking)
        except (Unavailable, Overloaded) as error:
            return Declined(DeclineReason(error.code), str(error))

    async def finish_call(self, call: FinishCall) -> FinishOutcome:
        """Saved with the charge, Spooled, or NotSaved with the reason. However often said, a call is charged once."""
        started = time.monotonic()
        known = self._finishing.known(call.call_key)
        promised = self._outage.promised(call.call_key) if known is None else None
        outcome: FinishOutcome
        try:
            outcome = await self._finishing.finish(call, None if promised is None else promised.details, known)
        except Exception as error:
            outcome = await self._outage.keep(call, known or promised, error, time.monotonic() - started)
        if promised is not None and not isinstance(outcome, NotSaved):
            self._outage.forget(call.call_key)
        return outcome

    async def balance(self, login: str, call: PrepareCall | None = None) -> BalanceOutcome:
        """The money of a login's account, and how long `call` would last on it, or why it may not be made."""
        try:
            found = await self._balance(login, call)
        except Unavailable as error:
            return Declined(DeclineReason.UNAVAILABLE, str(error))
        except Overloaded as error:
            return Declined(DeclineReason(error.code), str(error))
        return found

    async def _balance(self, login: str, call: PrepareCall | None) -> BalanceOutcome:
        """The same. Errors: Unavailable, Overloaded."""
        state = await self._read_account(login)
        if state is None:
            return Declined(DeclineReason.UNKNOWN_LOGIN)
        lasts = None if call is None else await self._preparing.lasts(call, state)
        if isinstance(lasts, Declined):
            return lasts
        found = Balance(
            login=state.login,
            currency=state.currency,
            balance=state.balance,
            reserved=state.reserved,
            overdraft=state.overdraft,
            available=state.available,
            lasts=lasts,
        )
        return found if self._cards is None else await self._cards.told(found)

    async def authorize_card(self, asked: CardQuestion) -> CardOutcome:
        """The line of a caller's card and what is told of its money, or why the caller is not let use it."""
        return Declined(DeclineReason.WRONG_CARD) if self._cards is None else await self._cards.authorize(asked)

    async def abandon_call(self, call_key: CallKey, login: str, claim: Claim | None = None) -> bool:
        """The exchange left before it heard that the call is allowed: what was held for that answer is freed.

        `claim`: of the answer; None: that of the request by which this process reserved the call. Answers whether
        anything was to be freed; a call that another request was told of goes on.
        """
        claim = self._finishing.forget(call_key, claim)
        self._outage.forget(call_key)
        if claim is None:
            return False
        self._undo.give_back(claim)
        await self._undo.turn()
        return True
