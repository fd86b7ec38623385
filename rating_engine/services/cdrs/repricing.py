"""What a call of the past costs by a deck that it was not priced by: by the planner and the meter that charge calls.

What is of the deck and its tariff is new: rate, bands, rounding, markup, as the tariff's settings are now; the exchange
rate is that of the call's start, as it is known now. What is of the subscriber stays as it was: the seconds that
packages paid, whether they waived the fees, and the factor that the steps of a volume gave.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from rating_engine.domain.outcomes import Declined, DeclineReason
from rating_engine.domain.past_call import PastCall
from rating_engine.domain.tariff import PublishedDeck, Tariff
from rating_engine.rating.charge import Charge, charge
from rating_engine.rating.matching import EVER_SINCE
from rating_engine.rating.rate import Rate
from rating_engine.services.calls.number import Dialled, origin_of
from rating_engine.services.calls.price import Price, Pricing, with_volume
from rating_engine.services.facts.sources import CallSources

LATE_SECONDS: Final = 86_400  # how long a call may turn out to have lasted whose finish is still to come


class Problem(StrEnum):
    """Why a call cannot be priced."""

    NO_RATE = "no_rate"
    BLOCKED = "blocked"
    WRONG_LENGTH = "wrong_length"
    NO_EXCHANGE_RATE = "no_exchange_rate"


@dataclass(frozen=True, slots=True)
class Repriced:
    """What a call costs by the deck. `rate`: as it would be frozen, packages included."""

    prefix: str
    direction: str
    rate: Rate
    charge: Charge


class Repricing:
    """Prices calls by one deck of a tariff, whenever they were made: the dates of its rates count, not its own."""

    def __init__(self, sources: CallSources, tariff: Tariff, deck: PublishedDeck) -> None:
        self._row = sources.row
        self._numbering = sources.numbering
        self._pricing = Pricing(sources)
        self._tariff = by_one_deck(tariff, deck)

    async def price(self, call: PastCall) -> Repriced | Problem:
        """What the call costs by the deck, or why that cannot be said. Errors: Unavailable."""
        tariff = self._tariff
        origin = origin_of(call.callerid, await self._numbering.plan_of(call.numbering_plan))
        dialled = Dialled(call.destination, call.routing_number, origin, call.attempt)
        longest = max(call.seconds, LATE_SECONDS if call.provisional else 1)
        price = await self._pricing.price_in(tariff, (tariff,), dialled, call.currency, call.started_at, longest)
        if isinstance(price, Declined):
            return await self._problem(price, call, dialled)
        rate = _as_packages_had_it(price, call)
        return Repriced(price.match.prefix, price.match.direction.name, rate, charge(rate, call.seconds))

    async def _problem(self, declined: Declined, call: PastCall, dialled: Dialled) -> Problem:
        match declined.reason:
            case DeclineReason.INVALID_DESTINATION:
                return Problem.WRONG_LENGTH
            case DeclineReason.NO_EXCHANGE_RATE:
                return Problem.NO_EXCHANGE_RATE
        by_routing_number = self._tariff.by_routing_number and dialled.routing_number
        row = await self._row(
            self._tariff,
            dialled.routing_number if by_routing_number else dialled.destination,
            at=call.started_at,
            origin=dialled.origin,
            band=self._tariff.schedule.band_at(call.started_at),
        )
        return Problem.BLOCKED if row is not None and row.blocked else Problem.NO_RATE


def by_one_deck(tariff: Tariff, deck: PublishedDeck) -> Tariff:
    """The tariff as if it had always had this deck alone."""
    return replace(tariff, decks=(replace(deck, effective_from=EVER_SINCE),))


def _as_packages_had_it(price: Price, call: PastCall) -> Rate:
    before = Rate.from_json(call.rate) if call.rate else None
    if before is None:
        return price.rate
    rate = price.rate if before.volume_factor == 1 else with_volume(price.rate, before.volume_factor)
    if not call.covered_seconds and not before.waived_fees:
        return rate
    return replace(rate, covered_seconds=call.covered_seconds, waived_fees=before.waived_fees)
