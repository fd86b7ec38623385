"""`rate`: what a call would cost, by the same lookup and the same meter that charge it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.domain.tariff import RateMatch
from rating_engine.rating.charge import Charge, charge
from rating_engine.rating.number import InvalidNumber, normalise_destination
from rating_engine.services.rate_decks import RateDecks
from rating_engine.storage.pool import Database
from rating_engine.storage.tariffs import load_named_tariff


@dataclass(frozen=True, slots=True)
class Quote:
    """A call to `number` (as given), its rate and its price."""

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
    Errors: NotFound (the tariff, its deck then, or a rate that serves the call), InvalidRequest (the numbers),
    Unavailable.
    """
    destination = _digits("number", number, international_prefix)
    caller = _digits("origin", origin, international_prefix) if origin else ""
    at = at or datetime.now(UTC)
    found = await load_named_tariff(database, tariff, at)
    if found is None:
        raise NotFound(f"there is no tariff {tariff}; run: rating-engine rates list")
    if found.deck_at(at) is None:
        if not found.decks:
            advice = f"run: rating-engine rates import FILE --tariff {tariff}"
            raise NotFound(f"the tariff {tariff} has no rates yet; {advice}")
        raise NotFound(f"the tariff {tariff} has no rates before {found.decks[-1].effective_from:%Y-%m-%d %H:%M:%S %Z}")
    decks = RateDecks(database)
    match = await decks.match_rate(found, destination, at=at, origin=caller)
    if match is not None:
        return Quote(number, destination, tariff, match, charge(match.rate, seconds))
    row = await decks.choose_row(found, destination, at=at, origin=caller)
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
