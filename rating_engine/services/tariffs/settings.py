"""Tariffs: added, changed, marked up, listed, and shown whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final

from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.tariff import BandMode, RouteOrder
from rating_engine.domain.tariff_card import ListedTariff, TariffCard
from rating_engine.rating.money import EXACT, MAX_PRICE, PRICE_DECIMALS, format_amount, quantise
from rating_engine.rating.rate import MAX_DECIMALS, DurationRounding, IncrementMode
from rating_engine.services.tariffs.fields import (
    FACTOR_DECIMALS,
    MAX_FACTOR,
    amount_of,
    choice_of,
    currency_of,
    factor_of,
    moment_of,
    name_of,
    text_of,
    whole_number,
    yes_or_no,
    zone_of,
)
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs import tariff_settings as store
from rating_engine.storage.tariffs.tariff_card import tariff_card

DEFAULT_CURRENCY: Final = "EUR"  # as of an imported tariff that names none

_PARSE: Final[Mapping[str, Callable[[str, str], object]]] = {
    "currency": currency_of,
    "description": text_of,
    "is_option": yes_or_no,
    "multiplier": factor_of,
    "switch_price": amount_of,
    "decimals": lambda text, field: whole_number(text, field, most=MAX_DECIMALS),
    "increment_mode": lambda text, field: choice_of(IncrementMode, text, field),
    "duration_rounding": lambda text, field: choice_of(DurationRounding, text, field),
    "minimum_charge": lambda text, field: amount_of(text, field, PRICE_DECIMALS, MAX_PRICE),
    "time_zone": zone_of,
    "band_mode": lambda text, field: choice_of(BandMode, text, field),
    "holiday_calendar": lambda text, field: "" if text == "none" else name_of(text, field),
    "by_routing_number": yes_or_no,
    "route_order": lambda text, field: choice_of(RouteOrder, text, field),
    "allow_loss": yes_or_no,
}


class Tariffs:
    """The use cases of `rating-engine tariff`. Settings come as text, by the names of the table's columns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, name: str, settings: Mapping[str, str]) -> ListedTariff:
        """A tariff without rates, for an import to fill; EUR where no currency is given.

        Errors: InvalidRequest naming the field, AlreadyExists, Unavailable.
        """
        values = await self._values({"currency": DEFAULT_CURRENCY, **settings})
        await store.add_tariff(self._database, name_of(name, "name"), values)
        return await self._listed(name)

    async def set(self, name: str, settings: Mapping[str, str]) -> ListedTariff:
        """Change settings, for the next call everywhere; calls that run keep what they were begun with.

        The currency can change only while nothing is priced in it, and a tariff becomes an option, or none, only while
        nobody has it. Errors: InvalidRequest naming the field, NotFound, Unavailable; after any nothing has changed.
        """
        await store.set_tariff(self._database, name, await self._values(settings))
        return await self._listed(name)

    async def mark_up(self, name: str, factor: str) -> tuple[Decimal, Decimal]:
        """Multiply every price by `factor`, on top of the markup there is; returns the multiplier before and after.

        The product is exact: one that needs more than six decimals is refused. Errors: InvalidRequest, NotFound,
        Unavailable.
        """
        markup = factor_of(factor, "markup")
        async with store.changing_tariff(self._database, name) as (connection, old):
            multiplier = EXACT.multiply(old.multiplier, markup)
            words = f"{format_amount(old.multiplier)} x {format_amount(markup)} = {format_amount(multiplier)}"
            nearest = quantise(multiplier, FACTOR_DECIMALS)
            if multiplier > MAX_FACTOR:
                raise InvalidRequest("markup", f"{words} is above the limit of {MAX_FACTOR}")
            if nearest != multiplier:
                mend = (
                    f"; say: rating-engine tariff set {name} --multiplier {format_amount(nearest)}" if nearest else ""
                )
                raise InvalidRequest("markup", f"{words} has more than {FACTOR_DECIMALS} decimals{mend}")
            await store.set_multiplier(connection, old.tariff_id, multiplier)
        return old.multiplier, multiplier

    async def moment(self, name: str, text: str, field: str) -> datetime:
        """The instant that a text names, in the tariff's time zone where it names no offset.

        Errors: InvalidRequest, NotFound, Unavailable.
        """
        return moment_of(text, field, (await store.find_tariff(self._database, name)).time_zone)

    async def list(self) -> list[ListedTariff]:
        """Every tariff by name. Errors: Unavailable."""
        return await store.list_tariffs(self._database)

    async def show(self, name: str) -> TariffCard:
        """Everything of a tariff. Errors: NotFound, Unavailable."""
        return await tariff_card(self._database, await self._listed(name))

    async def _listed(self, name: str) -> ListedTariff:
        found = await store.list_tariffs(self._database, name)
        if not found:
            raise store.unknown_tariff(name)
        return found[0]

    async def _values(self, settings: Mapping[str, str]) -> dict[str, object]:
        """The column values that the texts mean. Errors: InvalidRequest, Unavailable."""
        values = {field: _PARSE[field](text, field) for field, text in settings.items()}
        calendar = values.get("holiday_calendar")
        if calendar and not await store.calendar_exists(self._database, str(calendar)):
            raise InvalidRequest(
                "holiday_calendar",
                f"{calendar!r} has no days; say first: rating-engine holidays add {calendar} 2026-12-25",
            )
        return values
