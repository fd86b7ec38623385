"""What a message of a line costs: its own account, and those of the resellers above it, each by its own tariff.

Laws: a tariff without a price for the number sends nothing there; whoever sells a message sells it for no less than it
pays, unless the tariff that it is sold on allows loss; an amount is rounded once, by the decimals of its tariff.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from rating_engine.domain.message import MessageDeclined, MessageKind
from rating_engine.domain.outcomes import DeclineReason
from rating_engine.rating.exchange import ExchangeRates
from rating_engine.storage.messages.lines import SendingLine
from rating_engine.storage.messages.prices import PartPrice, part_prices
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs.exchange_rates import load_exchange_rates


@dataclass(frozen=True, slots=True)
class Shares:
    """Who pays what, the line's own account first, each in its own currency."""

    accounts: tuple[int, ...]
    prices: tuple[Decimal, ...]


async def price_message(
    database: Database, line: SendingLine, kind: MessageKind, number: str, parts: int, now: datetime
) -> Shares:
    """Errors: MessageDeclined (no price, no exchange rate, a loss), Unavailable."""
    payers = line.payers
    found = await part_prices(database, [payer.tariff_id for payer in payers], kind, number)
    rates = ExchangeRates(await load_exchange_rates(database))
    amounts: list[Decimal] = []
    below: tuple[PartPrice, Decimal, str] | None = None
    for payer in payers:
        price = found.get(payer.tariff_id)
        if price is None:
            raise MessageDeclined(DeclineReason.NO_RATE, f"no price of {kind} messages to {number}")
        exchange = _rate(rates, price.currency, payer.currency, now)
        amount = _rounded(price.price * parts * exchange, price.decimals)
        if below is not None:
            sold, sold_for, currency = below
            if not sold.allow_loss and amount * _rate(rates, payer.currency, currency, now) > sold_for:
                raise MessageDeclined(DeclineReason.NO_ROUTE, f"costs more than {sold.tariff} has it")
        amounts.append(amount)
        below = (price, amount, payer.currency)
    return Shares(tuple(payer.account_id for payer in payers), tuple(amounts))


def _rate(rates: ExchangeRates, currency: str, to: str, now: datetime) -> Decimal:
    rate = rates.rate_at(currency, to, now)
    if rate is None:
        raise MessageDeclined(DeclineReason.NO_EXCHANGE_RATE, f"one {currency} in {to} is not known")
    return rate


def _rounded(amount: Decimal, decimals: int) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
