"""What the end of a call costs everybody: the caller, the carrier, and what is left between them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from rating_engine.rating.charge import charge
from rating_engine.rating.money import AMOUNT_DECIMALS, EXACT, MAX_AMOUNT, quantise
from rating_engine.rating.rate import Rate


@dataclass(frozen=True, slots=True)
class CallCharge:
    """A call's cost in its account's currency, and the carrier's in that of the carrier (None: not known).

    `margin`: cost less the carrier's cost, in the account's currency, six decimals. `covered_seconds`: billed seconds
    that packages paid. A carrier's cost or a margin that no column holds is not known: a slip in a carrier's deck must
    not keep a call from being charged.
    """

    billed_seconds: int
    covered_seconds: int
    cost: Decimal
    carrier_cost: Decimal | None
    margin: Decimal | None


def charge_call(rate: str, carrier_rate: str, carrier_exchange: Decimal | None, seconds: int) -> CallCharge:
    """The charge of a call answered for `seconds`, by the rates frozen for it ('': none, costs nothing)."""
    sold = charge(Rate.from_json(rate), seconds) if rate else None
    cost = Decimal(0) if sold is None else sold.cost
    carrier_cost = _known(charge(Rate.from_json(carrier_rate), seconds).cost) if carrier_rate else None
    margin = None
    if carrier_cost is not None and carrier_exchange is not None:
        left = EXACT.subtract(cost, EXACT.multiply(carrier_cost, carrier_exchange))
        margin = _known(quantise(left, AMOUNT_DECIMALS))
    return CallCharge(
        billed_seconds=0 if sold is None else sold.billed_seconds,
        covered_seconds=0 if sold is None else sold.covered_seconds,
        cost=cost,
        carrier_cost=carrier_cost,
        margin=margin,
    )


def _known(amount: Decimal) -> Decimal | None:
    return amount if abs(amount) <= MAX_AMOUNT else None
