"""What subscriptions cost, taken a period at a time, whoever asks for it and whatever dies in between.

Laws: a period is charged once, at the price and the exchange rate of the moment; missed ones are made up for in their
order, one entry each. What is not there stays owed and is taken as soon as it is; what it would pay for is not given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import structlog

from rating_engine.domain.errors import Hint, NotFound, RatingEngineError
from rating_engine.domain.principal import Principal
from rating_engine.domain.subscription import (
    Charge,
    MoneyBack,
    Service,
    Subscription,
    SubscriptionState,
    charge_of,
    charge_reference,
)
from rating_engine.domain.transfer import NoExchangeRate
from rating_engine.rating.exchange import ExchangeRates
from rating_engine.storage.audit_log import note_of
from rating_engine.storage.finance import subscriptions as store
from rating_engine.storage.finance.subscriptions import Answer, Done
from rating_engine.storage.numbers.dids import find_did
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs.exchange_rates import load_exchange_rates

AHEAD: Final = timedelta(minutes=2)  # so long before it begins a period is paid: an option does not lapse in between
MAX_PERIODS: Final = 400  # made up for in one turn, of one subscription: more than a year of days; the rest at the next
BATCH: Final = 200  # subscriptions read at a time

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RecurringTurn:
    """What one turn did: periods charged, subscriptions found without money, and those ended for it."""

    charged: int = 0
    unpaid: int = 0
    ended: int = 0


class Recurring:
    """Takes what subscriptions cost. `now`: the instant that periods are counted by."""

    def __init__(self, database: Database, principal: Principal, now: Callable[[], datetime]) -> None:
        self._database = database
        self._principal = principal
        self._now = now

    async def turn(self) -> RecurringTurn:
        """All that is due. One that fails is logged, and the others go on. Errors: Unavailable (before the first)."""
        now = self._now()
        charged = unpaid = ended = 0
        after: int | None = None
        while numbers := await store.due_subscriptions(self._database, now + AHEAD, after, BATCH):
            for number in numbers:
                periods, lacking = await self._tried(number)
                charged += periods
                unpaid += lacking
            after = numbers[-1]
        after = None
        while numbers := await store.long_unpaid(self._database, now, after, BATCH):
            for number in numbers:
                ended += await self._end_unpaid(number)
            after = numbers[-1]
        return RecurringTurn(charged, unpaid, ended)

    async def catch_up(self, subscription_id: int) -> tuple[int, bool]:
        """Charge every period of one that is due: how many were, and whether money is missing for the next.

        Errors: NotFound, NoExchangeRate, Unavailable.
        """
        for periods in range(MAX_PERIODS):
            subscription = await store.find_subscription(self._database, subscription_id)
            if not subscription.is_due(self._now() + AHEAD):
                return periods, False
            if not await self._has_number(subscription):
                await self.end(subscription, SubscriptionState.ENDED, MoneyBack.NONE, "number gone")
                return periods, False
            answer = await self._charge(subscription, charge_of(subscription))
            if answer.outcome is Done.NOT_THERE:
                return periods, True
            if answer.outcome is Done.UNKNOWN:  # closed meanwhile: nobody pays
                return periods, False
        return MAX_PERIODS, False

    async def fee(self, service: Service, cost: Decimal, due: Charge, currency: str) -> Decimal:
        """What a period costs in a currency now, rounded once. Errors: NoExchangeRate, InvalidRequest, Unavailable."""
        return due.fee(cost, await self._rate(service.currency, currency))

    async def end(self, subscription: Subscription, state: SubscriptionState, back: MoneyBack, why: str) -> Answer:
        """End one now, once. Errors: Unavailable."""
        note = note_of(
            self._principal, "subscription.end", str(subscription.subscription_id),
            {"service": subscription.service.name, "state": state, "money_back": back, "why": why},
        )  # fmt: skip
        return await store.end(
            self._database, subscription, state, self._now(), back, f"{_label(subscription)}: money back", note
        )

    async def _charge(self, subscription: Subscription, due: Charge) -> Answer:
        service = subscription.service
        fee = await self.fee(service, service.cost, due, subscription.account_currency)
        reference = charge_reference(subscription.subscription_id, due.begins)
        return await store.charge(self._database, subscription, due, fee, reference, subject_of(subscription, due))

    async def _tried(self, number: int) -> tuple[int, bool]:
        try:
            periods, is_unpaid = await self.catch_up(number)
        except RatingEngineError as error:
            _log.warning("subscription_put_off", subscription=number, problem=str(error))
            return 0, False
        if is_unpaid:
            _log.info("subscription_unpaid", subscription=number)
        return periods, is_unpaid

    async def _end_unpaid(self, number: int) -> bool:
        try:
            subscription = await store.find_subscription(self._database, number)
            await self.end(subscription, SubscriptionState.ENDED, MoneyBack.NONE, "unpaid")
        except RatingEngineError as error:
            _log.warning("subscription_put_off", subscription=number, problem=str(error))
            return False
        _log.info("subscription_ended_unpaid", subscription=number)
        return True

    async def _has_number(self, subscription: Subscription) -> bool:
        """Whether the number that it is for is still its user's."""
        if subscription.number is None:
            return True
        try:
            return (await find_did(self._database, subscription.number)).party_id == subscription.party_id
        except NotFound:
            return False

    async def _rate(self, currency_from: str, currency_to: str) -> Decimal:
        if currency_from == currency_to:
            return Decimal(1)
        rates = ExchangeRates(await load_exchange_rates(self._database))
        rate = rates.rate_at(currency_from, currency_to, self._now())
        if not rate:
            raise NoExchangeRate(
                f"one {currency_from} in {currency_to} is not known",
                hint=Hint.NO_EXCHANGE_RATE,
                about={"currency_from": currency_from, "currency_to": currency_to},
            )
        return rate


def subject_of(subscription: Subscription, due: Charge) -> str:
    """What an entry says of a period: the service, whose, and from when to when."""
    until = "" if due.ends is None else f" to {due.ends:%Y-%m-%d}"
    return f"{_label(subscription)}: {due.begins:%Y-%m-%d}{until}"


def _label(subscription: Subscription) -> str:
    of = subscription.number or subscription.line
    return subscription.service.name if of is None else f"{subscription.service.name} of {of}"
