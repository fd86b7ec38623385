"""`rate`: what a call would cost, by the same lookup and the same meter that charge it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.domain.tariff import RateMatch
from rating_engine.rating.charge import Charge, charge
from rating_engine.rating.number import InvalidNumber, normalise_destination
from rating_engine.services.call_memory import CallMemory
from rating_engine.services.pricing import Dialled, Pricing
from rating_engine.storage.pool import Database
from rating_engine.storage.tariffs import load_named_tariff


@dataclass(frozen=True, slots=True)
class Quote:
    """A call to `number` (as given): the rate of the deck, and the price with all that the tariff adds."""

    number: str
    destination: str
    tariff: str
    match: RateMatch
    charge: Charge


async def quote(
    database: Database,
    tariff: str,
    number: str,
    seconds: int,
    *,
    international_prefix: str,
    at: datetime | None = None,
    origin: str = "",
) -> Quote:
    """The price of a call of `seconds` answered seconds on a tariff, by the deck in force at its start.

    `at`: when it starts, with a time zone; None: now. `origin`: the caller's number, '' where it is not known.
    Errors: NotFound (the tariff, its deck then, or a rate that serves the call), InvalidRequest (`number`, `caller`),
    Unavailable.
    """
    destination = _digits("number", number, international_prefix)
    caller = _digits("caller", origin, international_prefix) if origin else ""
    at = at or datetime.now(UTC)
    found = await load_named_tariff(database, tariff, at)
    if found is None:
        raise NotFound(f"there is no tariff {tariff}; run: rating-engine rates list")
    if found.deck_at(at) is None:
        if not found.decks:
            advice = f"run: rating-engine rates import FILE --tariff {tariff}"
            raise NotFound(f"the tariff {tariff} has no rates yet; {advice}")
        raise NotFound(f"the tariff {tariff} has no rates before {found.decks[-1].effective_from:%Y-%m-%d %H:%M:%S %Z}")
    memory = CallMemory(database)
    dialled = Dialled(destination, "", caller)
    priced = await Pricing(memory.sources).on_tariff(found, dialled, at, seconds)
    if priced is not None:
        match, rate = priced
        return Quote(number, destination, tariff, match, charge(rate, seconds))
    row = await memory.rate_decks.choose_row(found, destination, at=at, origin=caller, band=found.schedule.band_at(at))
    if row is None:
        raise NotFound(f"no rate of the tariff {tariff} serves {destination}")
    if row.blocked:
        raise NotFound(f"the tariff {tariff} blocks {destination}: prefix {row.prefix} is blocked in its deck")
    raise NotFound(f"the tariff {tariff} declines {destination}: the rate of prefix {row.prefix} cannot be used")


def _digits(field: str, number: str, international_prefix: str) -> str:
    try:
        return normalise_destination(number, international_prefix=international_prefix)
    except InvalidNumber as error:
        raise InvalidRequest(field, str(error)) from None
