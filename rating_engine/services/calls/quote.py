"""`rate`: what a call would cost, by the same lookup and the same meter that charge it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from rating_engine.domain.errors import Hint, InvalidRequest, NotFound
from rating_engine.domain.outcomes import DeclineReason
from rating_engine.domain.tariff import RateMatch
from rating_engine.rating.charge import Charge, charge
from rating_engine.rating.number import InvalidNumber, normalise_destination
from rating_engine.services.calls.number import Dialled
from rating_engine.services.calls.price import Price, Pricing, priced_number
from rating_engine.services.facts.memory import CallMemory
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs.tariff_settings import unknown_tariff
from rating_engine.storage.tariffs.tariffs import load_named_tariff


@dataclass(frozen=True, slots=True)
class Quote:
    """A call to `number` (as given) at `at`: the rate of the deck, and the price with all that the tariff adds.

    `band`: the time of day it starts in, '' where the tariff has none then.
    """

    number: str
    destination: str
    tariff: str
    at: datetime
    band: str
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
    routing_number: str = "",
    attempt: int = 1,
) -> Quote:
    """The price of a call of `seconds` answered seconds on a tariff, by the deck in force at its start.

    `at`: when it starts, with a time zone; None: now. `origin`: the caller's number, '' where it is not known.
    `routing_number`: the number as translated (LRN), '' where it was not. `attempt`: the how manieth of the call.
    Errors: NotFound (the tariff, its deck then, or a rate that serves the call), InvalidRequest (`number`, also of a
    length that its direction does not have, `caller`, `routing_number`), Unavailable.
    """
    destination = _digits("number", number, international_prefix)
    caller = _digits("caller", origin, international_prefix) if origin else ""
    routed = _digits("routing_number", routing_number, international_prefix) if routing_number else ""
    at = at or datetime.now(UTC)
    found = await load_named_tariff(database, tariff, at)
    if found is None:
        raise unknown_tariff(tariff)
    if found.deck_at(at) is None:
        if not found.decks:
            raise NotFound(f"the tariff {tariff} has no rates yet", hint=Hint.NO_RATES, about={"tariff": tariff})
        raise NotFound(f"the tariff {tariff} has no rates before {found.decks[-1].effective_from:%Y-%m-%d %H:%M:%S %Z}")
    memory = CallMemory(database)
    band = found.schedule.band_at(at)
    dialled = Dialled(destination, "" if routed == destination else routed, caller, attempt)
    priced = await Pricing(memory.sources).price_in(found, (found,), dialled, found.currency, at, seconds)
    if isinstance(priced, Price):
        return Quote(number, destination, tariff, at, band, priced.match, charge(priced.rate, seconds))
    if priced.reason is DeclineReason.INVALID_DESTINATION:
        raise InvalidRequest("number", f"{destination} has the {priced.detail}")
    if priced.reason is DeclineReason.NO_ROUTE:
        raise NotFound(f"the tariff {tariff} has no attempt {attempt} for {destination}")
    priced_by = priced_number(found, dialled)
    row = await memory.rate_decks.choose_row(found, priced_by, at=at, origin=caller, band=band)
    if row is None:
        raise NotFound(f"no rate of the tariff {tariff} serves {priced_by}")
    if row.blocked:
        raise NotFound(f"the tariff {tariff} blocks {priced_by}: prefix {row.prefix} is blocked in its deck")
    raise NotFound(f"the tariff {tariff} declines {priced_by}: the rate of prefix {row.prefix} cannot be used")


def _digits(field: str, number: str, international_prefix: str) -> str:
    try:
        return normalise_destination(number, international_prefix=international_prefix)
    except InvalidNumber as error:
        raise InvalidRequest(field, str(error)) from None


class Quotes:
    """What calls would cost."""

    def __init__(self, database: Database, *, international_prefix: str) -> None:
        self._database = database
        self._international_prefix = international_prefix

    async def quote(
        self,
        tariff: str,
        number: str,
        seconds: int,
        *,
        at: datetime | None = None,
        origin: str = "",
        routing_number: str = "",
        attempt: int = 1,
    ) -> Quote:
        """The price of a call. Errors: as `quote`."""
        return await quote(
            self._database, tariff, number, seconds, international_prefix=self._international_prefix, at=at,
            origin=origin, routing_number=routing_number, attempt=attempt,
        )  # fmt: skip
