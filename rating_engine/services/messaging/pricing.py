"""What a message of a line costs: its own account, those of the resellers above it, each by its own tariff, and us, by
the cost tariff of its carrier.

Laws: a tariff without a price for the number sends nothing there; whoever sells a message, we too, sells it for no less
than it pays, unless the tariff that it is sold on, or the account, allows loss; an amount is rounded once, by the
decimals of its tariff. A carrier whose cost is not known passes, as a route of calls does: nobody has said
that it loses money.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, NamedTuple

from rating_engine.domain.message import CarrierOffer, MessageDeclined, MessageKind
from rating_engine.domain.outcomes import DeclineReason
from rating_engine.rating.exchange import ExchangeRates
from rating_engine.rating.money import AMOUNT_DECIMALS
from rating_engine.services.messaging.carriers import Carrier
from rating_engine.storage.messages.lines import SendingLine
from rating_engine.storage.messages.prices import part_costs, part_prices
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs.exchange_rates import load_exchange_rates

NO_COST: Final = "no carrier has a cost for the number: see cost= of the setting message_carriers"


@dataclass(frozen=True, slots=True)
class Shares:
    """Who pays what, the line's own account first, each in its own currency."""

    accounts: tuple[int, ...]
    prices: tuple[Decimal, ...]
    offers: tuple[CarrierOffer, ...]
    currency: str  # of who pays last: the one that pays us


class _Sold(NamedTuple):
    """What somebody pays for the message, and whether it may cost whom it is paid to more."""

    tariff: str
    amount: Decimal
    currency: str
    allow_loss: bool


async def price_message(
    database: Database,
    carriers: Sequence[Carrier],
    line: SendingLine,
    kind: MessageKind,
    number: str,
    parts: int,
    now: datetime,
) -> Shares:
    """What each pays, and those of the carriers that may be asked for it.

    Errors: MessageDeclined (no price, no exchange rate, a loss), Unavailable.
    """
    payers = line.payers
    found = await part_prices(database, [payer.tariff_id for payer in payers], kind, number)
    rates = ExchangeRates(await load_exchange_rates(database))
    amounts: list[Decimal] = []
    below: _Sold | None = None
    for level, payer in enumerate(payers):
        price = found.get(payer.tariff_id)
        if price is None:
            raise MessageDeclined(DeclineReason.NO_RATE, f"no price of {kind} messages to {number}")
        exchange = _rate(rates, price.currency, payer.currency, now)
        amount = _rounded(price.price * parts * exchange, price.decimals)
        if below is not None:
            cost = amount * _rate(rates, payer.currency, below.currency, now)
            if not below.allow_loss and cost > below.amount:
                raise MessageDeclined(DeclineReason.NO_ROUTE, f"costs more than {below.tariff} has it")
        amounts.append(amount)
        # The account's own word goes before its tariff's, as with calls.
        loss = price.allow_loss if level > 0 or line.allow_loss is None else line.allow_loss
        below = _Sold(price.tariff, amount, payer.currency, loss)
    assert below is not None
    found_offers = await carrier_offers(database, carriers, kind, number, parts)
    offers = [_earning(offer, below, rates, now) for offer in found_offers]
    admitted = [offer for offer in offers if below.allow_loss or offer.margin is None or offer.margin >= 0]
    if carriers and not admitted:
        raise MessageDeclined(
            DeclineReason.NO_ROUTE,
            "every carrier costs more than the message is sold for" if offers else NO_COST,
        )
    return Shares(tuple(payer.account_id for payer in payers), tuple(amounts), tuple(admitted), below.currency)


async def carrier_offers(
    database: Database, carriers: Sequence[Carrier], kind: MessageKind, number: str, parts: int
) -> list[CarrierOffer]:
    """What carriers take for a message; one whose cost tariff lacks the number is left out. Errors: Unavailable."""
    named = {carrier.cost_tariff for carrier in carriers if carrier.cost_tariff}
    costs = await part_costs(database, sorted(named), kind, number) if named else {}
    offers: list[CarrierOffer] = []
    for carrier in carriers:
        if not carrier.cost_tariff:
            offers.append(CarrierOffer(carrier.name))
        elif (cost := costs.get(carrier.cost_tariff)) is not None:
            offers.append(CarrierOffer(carrier.name, _rounded(cost.price * parts, cost.decimals), cost.currency))
    return offers


def _earning(offer: CarrierOffer, sold: _Sold, rates: ExchangeRates, now: datetime) -> CarrierOffer:
    rate = None if offer.cost is None else rates.rate_at(offer.currency, sold.currency, now)
    if offer.cost is None or rate is None:
        return offer
    return offer._replace(margin=sold.amount - _rounded(offer.cost * rate, AMOUNT_DECIMALS))


def _rate(rates: ExchangeRates, currency: str, to: str, now: datetime) -> Decimal:
    rate = rates.rate_at(currency, to, now)
    if rate is None:
        raise MessageDeclined(DeclineReason.NO_EXCHANGE_RATE, f"one {currency} in {to} is not known")
    return rate


def _rounded(amount: Decimal, decimals: int) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
