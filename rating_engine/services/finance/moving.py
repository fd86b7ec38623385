"""Money from one account to another: what transfers, codes and balances that are set have in common.

Laws: what is sent was there (balance and credit less what calls hold), asked under the account's lock; credit without a
limit is for calls, and no money to give away; what is taken is given or given back, once. Conversion is by the rate of
the moment, frozen with the transfer and rounded down: no money is made by it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import structlog

from rating_engine.domain.account import RefillAllowed
from rating_engine.domain.errors import Hint, NotFound, RatingEngineError
from rating_engine.domain.principal import Principal
from rating_engine.domain.transfer import (
    NoExchangeRate,
    Order,
    Transfer,
    TransfersLimited,
    TransfersLocked,
    TransferState,
)
from rating_engine.rating.exchange import ExchangeRates
from rating_engine.rating.money import AMOUNT_DECIMALS, EXACT, quantise
from rating_engine.storage.audit_log import note_of
from rating_engine.storage.finance import transfers as store
from rating_engine.storage.finance.purses import Purse, purse_of_party
from rating_engine.storage.parties.parties import find_party
from rating_engine.storage.postgres.pool import Database, Questions
from rating_engine.storage.tariffs.exchange_rates import load_exchange_rates

NO_FEE: Final = Decimal(0)

_log = structlog.get_logger(__name__)


class Moving:
    """What one principal moves. Whether it may has been asked before."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    async def own(self, who: str | int) -> Purse:
        """A user's own account. Errors: NotFound (the user, or it has none), Unavailable."""
        party = await find_party(self._database, who)
        purse = await purse_of_party(self._database, party.party_id)
        if purse is None:
            raise NotFound(f"user {party.login!r} has no account", field="account")
        return purse

    async def check(self, sender: Purse, receiver: Purse, least: RefillAllowed) -> Decimal:
        """Whether money may go from one to the other; by which exchange rate.

        Errors: AccountClosed, TransfersLocked, TransfersLimited, NoExchangeRate, Unavailable.
        """
        for purse in (sender, receiver):
            purse.check_open()
            if purse.refill_allowed < least:
                who = f"refill_allowed of account {purse.account_id} is {int(purse.refill_allowed)}"
                if purse.refill_allowed is RefillAllowed.NOTHING:
                    raise TransfersLocked(f"{who}: no money moves but by calls")
                raise TransfersLimited(f"{who}: money moves by codes and payments")
        return await self.rate(sender.currency, receiver.currency)

    async def move(self, sender: Purse, receiver: Purse, order: Order, *, fee: Decimal = NO_FEE) -> Transfer:
        """Send and give. What could not be given now is on its way, and need not be asked for again.

        Errors: those of `check`; InvalidRequest naming the field, InsufficientMoney, AlreadyExists (the reference was
        used otherwise), Unavailable.
        """
        rate = await self.check(sender, receiver, order.least)
        detail = {"to": receiver.account_id, "amount": order.amount, "rate": rate, "reference": order.reference}
        note = note_of(self._principal, "account.transfer", str(sender.account_id), detail)
        sent = await store.send(self._database, sender, receiver, order, fee, rate, note)
        state = sent.state
        if state is TransferState.SENT:
            state = await self._given(sender.bucket, sent.transfer_id)
        return Transfer(
            sent.transfer_id, sent.amount, sent.fee, sender.currency, sent.amount_to, receiver.currency, state,
            sent.repeated,
        )  # fmt: skip

    async def converted(self, amount: Decimal, currency_from: str, currency_to: str) -> Decimal:
        """An amount in another currency now, to six decimals. Errors: NoExchangeRate, Unavailable."""
        return await converted(self._database, amount, currency_from, currency_to)

    async def rate(self, currency_from: str, currency_to: str) -> Decimal:
        """What one of the first is in the second now. Errors: NoExchangeRate, Unavailable."""
        return await rate_of(self._database, currency_from, currency_to)

    async def _given(self, bucket: int, transfer_id: int) -> TransferState:
        try:
            return await store.carry_on(self._database, bucket, transfer_id)
        except RatingEngineError as error:  # it was sent, which is for good; the rest is done by the next turn
            _log.warning("transfer_waits", transfer_id=transfer_id, problem=str(error))
            return TransferState.SENT


async def converted(questions: Questions, amount: Decimal, currency_from: str, currency_to: str) -> Decimal:
    """An amount in another currency now, to six decimals. Errors: NoExchangeRate, Unavailable."""
    if currency_from == currency_to:
        return amount
    return quantise(EXACT.multiply(amount, await rate_of(questions, currency_from, currency_to)), AMOUNT_DECIMALS)


async def rate_of(questions: Questions, currency_from: str, currency_to: str) -> Decimal:
    """What one of the first is in the second now. Errors: NoExchangeRate, Unavailable."""
    if currency_from == currency_to:
        return Decimal(1)
    rates = ExchangeRates(await load_exchange_rates(questions))
    rate = rates.rate_at(currency_from, currency_to, datetime.now(UTC))
    if not rate:
        raise NoExchangeRate(
            f"there is no exchange rate of {currency_from} in {currency_to}",
            hint=Hint.NO_EXCHANGE_RATE,
            about={"currency_from": currency_from, "currency_to": currency_to},
        )
    return rate
