"""`rate`: what a call would cost, by the same lookup and the same meter that charge it."""

from __future__ import annotations

from dataclasses import dataclass

from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.domain.tariff import RateMatch
from rating_engine.rating.charge import Charge, charge
from rating_engine.rating.number import InvalidNumber, normalise_destination
from rating_engine.services.rate_decks import RateDecks
from rating_engine.storage.pool import Database
from rating_engine.storage.rate_decks import longest_match, published_deck_of, tariff_exists


@dataclass(frozen=True, slots=True)
class Quote:
    """A call to `number` (as given), its rate and its price."""

    number: str
    destination: str
    tariff: str
    match: RateMatch
    charge: Charge


async def quote(database: Database, tariff: str, number: str, seconds: int, *, international_prefix: str) -> Quote:
    """The price of a call of `seconds` answered seconds on a tariff's published deck.

    Errors: NotFound (the tariff, its deck, or a rate that serves the number), InvalidRequest (the number), Unavailable.
    """
    try:
        destination = normalise_destination(number, international_prefix=international_prefix)
    except InvalidNumber as error:
        raise InvalidRequest("number", str(error)) from None
    deck = await published_deck_of(database, tariff)
    if deck is None:
        if await tariff_exists(database, tariff):
            raise NotFound(
                f"the tariff {tariff} has no rates yet; run: rating-engine rates import FILE --tariff {tariff}"
            )
        raise NotFound(f"there is no tariff {tariff}; run: rating-engine rates list")
    match = await RateDecks(database).match_rate(deck.tariff_id, destination)
    if match is None:
        blocked = (await longest_match(database, deck, destination)).matched
        if blocked is not None:
            raise NotFound(f"the tariff {tariff} blocks {destination}: prefix {blocked} is blocked in its deck")
        raise NotFound(f"no rate of the tariff {tariff} serves {destination}")
    return Quote(number, destination, tariff, match, charge(match.rate, seconds))
