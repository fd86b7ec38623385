"""What users connect by themselves: listed, connected, and what they have connected.

Laws: what is connected is paid before it is there; a number that was ordered for an offer whose price is not there goes
back to its pool, with its money; the same asked again is answered as before and costs nothing more. Who dies between
the number and the rest has the number, and ends it by asking again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from rating_engine.domain.did import Did, DidState
from rating_engine.domain.errors import InvalidRequest, NotFound, OrderFailed, Refused
from rating_engine.domain.number_stock import FreeNumber, Named
from rating_engine.domain.page import MAX_LIMIT, Cursor
from rating_engine.domain.party import Party
from rating_engine.domain.principal import Principal
from rating_engine.domain.subscription import MoneyBack, NewSubscription, Subscription, SubscriptionFilter
from rating_engine.domain.tariff_card import SwitchOutcome
from rating_engine.domain.tariff_offer import NewOffer, TariffOffer
from rating_engine.domain.transfer import InsufficientMoney
from rating_engine.rating.exchange import ExchangeRates
from rating_engine.services.finance.subscriptions import Subscriptions
from rating_engine.services.numbers.rents import Rents
from rating_engine.services.tariffs.options import Options, can_pay
from rating_engine.storage.audit_log import record
from rating_engine.storage.finance.paid_services import find_service
from rating_engine.storage.finance.purses import purse_of_party
from rating_engine.storage.numbers import number_stock
from rating_engine.storage.numbers.dids import find_did
from rating_engine.storage.numbers.rents import payer_of
from rating_engine.storage.parties.accounts import lines_of
from rating_engine.storage.parties.parties import find_party
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs import offers as store
from rating_engine.storage.tariffs.exchange_rates import load_exchange_rates


@dataclass(frozen=True, slots=True)
class Connected:
    """An offer that a user has, by its subscription."""

    offer: TariffOffer
    subscription: Subscription


class TariffOffers:
    """What one principal does with offers."""

    def __init__(self, database: Database, principal: Principal, now: Callable[[], datetime]) -> None:
        self._database = database
        self._principal = principal
        self._now = now
        self._subscriptions = Subscriptions(database, principal, now)
        self._rents = Rents(database, principal, now)

    async def groups(self) -> Sequence[Named]:
        """Groups that have something for who asks. Errors: Unavailable."""
        return await store.list_groups(self._database, self._viewer)

    async def page(self, group: int | None = None) -> Sequence[TariffOffer]:
        """What who asks may take, of a group or of all. Errors: Unavailable."""
        return await store.list_offers(self._database, self._viewer, group)

    async def add(self, new: NewOffer) -> int:
        """Offer a service; its number. Errors: NotFound (tariff, service), AlreadyExists, Unavailable."""
        await find_service(self._database, new.service_id)
        async with self._database.transaction(self._principal) as tx:
            offer_id = await store.add_offer(tx, new)
            await record(tx, "offer.add", str(offer_id), {"service": new.service_id, "name": new.name})
        return offer_id

    async def remove(self, offer_id: int) -> None:
        """Offer it no more; who has it keeps it. Errors: NotFound, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            await store.remove_offer(tx, offer_id)
            await record(tx, "offer.remove", str(offer_id), {})

    async def connected(self, who: str | int) -> Sequence[Connected]:
        """What a user has connected and not ended. Errors: NotFound, Unavailable."""
        having = await self._having(who)
        offers = await store.offers_of_services(self._database, [each.service.service_id for each in having])
        return [
            Connected(offers[each.service.service_id], each) for each in having if each.service.service_id in offers
        ]

    async def connect(self, who: str | int, offer_id: int, did_id: int | None = None) -> Did | None:
        """Connect an offer, with a number that can be had or is the user's; the number.

        Errors: NotFound (offer, number), InvalidRequest (numid: it takes one, or none, or another one), OrderFailed,
        InsufficientMoney (nothing is changed then), NotAllowed, Refused, Unavailable.
        """
        party = await find_party(self._database, who)
        offer = await store.find_offer(self._database, self._viewer_of(party.party_id), offer_id)
        if offer.has_number != bool(did_id):
            raise InvalidRequest("numid", "a number is needed" if offer.has_number else "this takes no number")
        free = await number_stock.free_number(self._database, did_id) if did_id else None
        number = await self._number(party.party_id, offer, did_id, free) if did_id else None
        # Counted before it is looked whether there is one: who asks at the same time has the same count, or sees it.
        before = await store.count_subscriptions(self._database, offer.service.service_id, party.party_id, number)
        if not await self._has(party.party_id, offer, number):
            await self._check_money(party.party_id, offer, free)
            if free is not None:
                await self._rents.begin_order(free.number, free.pool_id, party.party_id, ("", "", ""))
            try:
                await self._pay(party, offer, number, before)
            except Exception:  # whatever it was: what is not paid for is given back, and the fault goes on
                if free is not None:
                    await self._rents.give_back(free.number)
                raise
        await self._switch(party, offer)
        return None if number is None else await find_did(self._database, number)

    @property
    def _viewer(self) -> int | None:
        return None if self._principal.sees_all else self._principal.realm

    def _viewer_of(self, party_id: int) -> int | None:
        return None if self._principal.sees_all else party_id

    async def _having(self, who: str | int) -> list[Subscription]:
        page = await self._subscriptions.page(SubscriptionFilter(who=who), Cursor(MAX_LIMIT))
        return [each for each in page.items if each.counts and (each.ends_at is None or each.ends_at > self._now())]

    async def _number(self, party_id: int, offer: TariffOffer, did_id: int, free: FreeNumber | None) -> str:
        """The number as it may be connected. Errors: NotFound, OrderFailed (somebody else's), InvalidRequest."""
        number = await number_stock.number_of(self._database, did_id)
        if number is None:
            raise NotFound(f"there is no number {did_id}", field="numid")
        if free is None:
            did = await find_did(self._database, number)
            if did.party_id != party_id or did.state is not DidState.ACTIVE:
                raise OrderFailed(f"{number} is not to be had")
            return number
        of = (offer.region is None or offer.region.number == free.region_id) and (
            offer.kind is None or offer.kind.number == free.kind_id
        )
        if not of:
            raise InvalidRequest("numid", f"{number} is of another region or kind")
        return number

    async def _check_money(self, party_id: int, offer: TariffOffer, free: FreeNumber | None) -> None:
        """Whether all of it can be paid, so that nothing is begun that would be taken back. Errors as of `connect`."""
        purse = await purse_of_party(self._database, party_id)
        payer = await payer_of(self._database, party_id, None)
        if purse is None:
            raise Refused("there is no account that could pay")
        if purse.overdraft is None:
            return
        rates = ExchangeRates(await load_exchange_rates(self._database))
        costs = [(offer.service.setup_price + offer.service.cost, offer.service.currency)]
        if free is not None and payer is not None:
            costs.append((free.cost * payer.did_multiplier, free.currency))
        total = Decimal(0)
        for amount, currency in costs:
            rate = Decimal(1) if currency == purse.currency else rates.rate_at(currency, purse.currency, self._now())
            total += amount * Decimal(rate or 0)
        if total > purse.sendable:
            raise InsufficientMoney(f"{total} {purse.currency} for {offer.name!r} is more than is available")

    async def _has(self, party_id: int, offer: TariffOffer, number: str | None) -> bool:
        service_id = offer.service.service_id
        having = [each for each in await self._having(party_id) if each.service.service_id == service_id]
        return any(each.number == number for each in having)

    async def _pay(self, party: Party, offer: TariffOffer, number: str | None, before: int) -> None:
        """Subscribe, and switch the tariff; what was paid comes back where that cannot be done.

        `before`: how many there were, which is part of the reference: who asks twice at once has one.
        """
        service, payer = offer.service, await payer_of(self._database, party.party_id, None)
        line = payer.login if payer is not None and service.option_id is not None else None
        made = await self._subscriptions.subscribe(
            NewSubscription(
                party.party_id, service.service_id, line=line, number=number,
                reference=f"offer:{party.party_id}:{offer.offer_id}:{number}:{before}",
            )
        )  # fmt: skip
        try:
            await self._switch(party, offer)
        except Exception:  # the same of what was paid
            await self._subscriptions.end(made.subscription_id, remove=True, money_back=MoneyBack.ALL)
            raise

    async def _switch(self, party: Party, offer: TariffOffer) -> None:
        """The user's lines call by the offer's tariff from now on. Errors: InsufficientMoney, AccountClosed …"""
        if offer.tariff is None:
            return
        options = Options(self._database, self._principal)
        lines = await lines_of(self._database, party.party_id, party.login)
        others = [line.login for line in lines if line.tariff != offer.tariff]
        if others and not await can_pay(self._database, others[0], [offer.tariff] * len(others)):
            raise InsufficientMoney(f"the change to tariff {offer.tariff!r} costs more than is available")
        for login in others:
            switched = await options.switch_tariff(login, offer.tariff)
            if switched.outcome is SwitchOutcome.INSUFFICIENT_FUNDS:
                raise InsufficientMoney(f"{switched.price} {switched.currency} for {login} are more than is available")
