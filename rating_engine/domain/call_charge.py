"""What the end of a call costs everybody: the caller, who sells to whom, the carrier, and what is left between them.

Law: what a call may last is the least of what the money of each who pays for it pays.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Final

from rating_engine.domain.reservation import ResellerCharge, ResellerPrice
from rating_engine.rating.charge import charge, max_duration
from rating_engine.rating.fast_frozen import fast_frozen
from rating_engine.rating.money import AMOUNT_DECIMALS, EXACT, MAX_AMOUNT, quantise
from rating_engine.rating.rate import Rate


@fast_frozen
class CallCharge:
    """A call's cost in its account's currency, and the carrier's in that of the carrier (None: not known).

    `margin`: cost less the carrier's cost, in the account's currency, six decimals. `covered_seconds`: billed seconds
    that packages paid. A carrier's cost or a margin that no column holds is not known: a slip in a carrier's deck must
    not keep a call from being charged. `resellers`: what it costs each who pays besides; then the margins are what each
    has left of whom it sells to, the call's own that of the nearest.
    """

    billed_seconds: int
    covered_seconds: int
    cost: Decimal
    carrier_cost: Decimal | None
    margin: Decimal | None
    resellers: tuple[ResellerCharge, ...] = ()


def charge_call(
    rate: str,
    carrier_rate: str,
    carrier_exchange: Decimal | None,
    seconds: int,
    resellers: Sequence[ResellerPrice] = (),
) -> CallCharge:
    """The charge of a call answered for `seconds`, by the rates frozen for it ('': none, costs nothing)."""
    sold = charge(Rate.from_json(rate), seconds) if rate else None
    cost = Decimal(0) if sold is None else sold.cost
    carrier_cost = _known(charge(Rate.from_json(carrier_rate), seconds).cost) if carrier_rate else None
    sellers = _sellers(resellers, seconds, carrier_cost, carrier_exchange) if resellers else ()
    if sellers:
        margin = _margin(cost, sellers[0].cost, resellers[0].exchange)
    else:
        margin = _margin(cost, carrier_cost, carrier_exchange)
    if sold is None:
        return CallCharge(0, 0, cost, carrier_cost, margin, sellers)
    return CallCharge(sold.billed_seconds, sold.covered_seconds, cost, carrier_cost, margin, sellers)


def paid_seconds(
    rate: Rate,
    granted: Decimal,
    cap: int,
    resellers: Sequence[ResellerPrice] = (),
    resellers_granted: Sequence[Decimal] = (),
) -> int:
    """The seconds, at most `cap`, that all who pay for a call can: the least of what was granted of each."""
    longest = _longest(rate, granted, cap)
    for price, amount in zip(resellers, resellers_granted, strict=True):
        longest = min(longest, max_duration(Rate.from_json(price.rate), amount, cap))
    return longest


# Nearly every call is granted what was asked for, which its rate and its longest time say: 0.2 us instead of 1.4.
_longest: Final = lru_cache(maxsize=4_096)(max_duration)


def _sellers(
    resellers: Sequence[ResellerPrice], seconds: int, carrier_cost: Decimal | None, carrier_exchange: Decimal | None
) -> tuple[ResellerCharge, ...]:
    """What each pays; from the last one down, since the margin of each takes what the one above it is paid."""
    charges: list[ResellerCharge] = []
    paid, exchange = carrier_cost, carrier_exchange
    for price in reversed(resellers):
        sold = charge(Rate.from_json(price.rate), seconds) if price.rate else None
        billed, cost = (0, Decimal(0)) if sold is None else (sold.billed_seconds, sold.cost)
        charges.append(ResellerCharge(price.account_id, billed, cost, _margin(cost, paid, exchange)))
        paid, exchange = cost, price.exchange
    return tuple(reversed(charges))


def _margin(cost: Decimal, paid: Decimal | None, exchange: Decimal | None) -> Decimal | None:
    """What is left of a cost, in its currency, by whom that was paid in turn; None: not known."""
    if paid is None or exchange is None:
        return None
    return _known(quantise(EXACT.subtract(cost, EXACT.multiply(paid, exchange)), AMOUNT_DECIMALS))


def _known(amount: Decimal) -> Decimal | None:
    return amount if abs(amount) <= MAX_AMOUNT else None
