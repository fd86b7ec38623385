"""Tariffs: added, changed, marked up, listed, and shown whole."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from rating_engine.domain.change import LEAVE, given
from rating_engine.domain.checks import FACTOR_DECIMALS, MAX_FACTOR, check_factor, check_name
from rating_engine.domain.errors import Hint, InvalidRequest
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.principal import Principal
from rating_engine.domain.tariff_card import DEFAULT_CURRENCY, ListedTariff, MarkedUp, TariffCard, TariffChanges
from rating_engine.rating.money import EXACT, format_amount, quantise
from rating_engine.storage.audit_log import record
from rating_engine.storage.postgres.pool import Database, Questions
from rating_engine.storage.tariffs import tariff_settings as store
from rating_engine.storage.tariffs.tariff_card import tariff_card


class Tariffs:
    """What one principal does with tariffs."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    async def add(self, name: str, settings: TariffChanges) -> ListedTariff:
        """A tariff without rates, for an import to fill; EUR where no currency is given.

        Errors: InvalidRequest naming the field, AlreadyExists, Unavailable.
        """
        check_name(name)
        if settings.currency is LEAVE:
            settings = replace(settings, currency=DEFAULT_CURRENCY)
        values = given(settings)
        async with self._database.transaction(self._principal) as tx:
            await _check_calendar(tx, settings)
            await store.add_tariff(tx, name, values)
            await record(tx, "tariff.add", name, values)
        return await store.listed_tariff(self._database, name)

    async def change(self, name: str, settings: TariffChanges) -> ListedTariff:
        """Change settings, for the next call everywhere; calls that run keep what they were begun with.

        The currency can change only while nothing is priced in it, and a tariff becomes an option, or none, only while
        nobody has it. Errors: InvalidRequest naming the field, NotFound, Unavailable; after any nothing has changed.
        """
        values = given(settings)
        async with self._database.transaction(self._principal) as tx:
            await _check_calendar(tx, settings)
            await store.set_tariff(tx, name, values)
            await record(tx, "tariff.change", name, values)
        return await store.listed_tariff(self._database, name)

    async def mark_up(self, name: str, factor: Decimal) -> MarkedUp:
        """Multiply every price by `factor`, on top of the markup there is.

        The product is exact: one that needs more than six decimals is refused. Errors: InvalidRequest, NotFound,
        Unavailable.
        """
        check_factor(factor, "markup")
        async with self._database.transaction(self._principal) as tx:
            old = await store.hold_tariff(tx, name)
            multiplier = EXACT.multiply(old.multiplier, factor)
            _check_product(name, old.multiplier, factor, multiplier)
            await store.set_multiplier(tx, old.tariff_id, multiplier)
            await record(tx, "tariff.markup", name, {"before": old.multiplier, "after": multiplier})
        return MarkedUp(old.multiplier, multiplier)

    async def time_zone(self, name: str) -> str:
        """The time zone of a tariff. Errors: NotFound, Unavailable."""
        return (await store.find_tariff(self._database, name)).time_zone

    async def page(self, cursor: Cursor) -> Page[ListedTariff]:
        """Tariffs by name. Errors: InvalidRequest (after), Unavailable."""
        return await store.list_tariffs(self._database, cursor)

    async def show(self, name: str) -> TariffCard:
        """Everything of a tariff. Errors: NotFound, Unavailable."""
        return await tariff_card(self._database, await store.listed_tariff(self._database, name))


def _check_product(name: str, before: Decimal, factor: Decimal, after: Decimal) -> None:
    """Raises InvalidRequest for a multiplier that its column does not hold exactly."""
    words = f"{format_amount(before)} x {format_amount(factor)} = {format_amount(after)}"
    nearest = quantise(after, FACTOR_DECIMALS)
    if after > MAX_FACTOR:
        raise InvalidRequest("markup", f"{words} is above the limit of {MAX_FACTOR}")
    if nearest != after:
        raise InvalidRequest(
            "markup",
            f"{words} has more than {FACTOR_DECIMALS} decimals",
            hint=Hint.CHANGE_MULTIPLIER if nearest else None,
            about={"tariff": name, "multiplier": format_amount(nearest)},
        )


async def _check_calendar(database: Questions, settings: TariffChanges) -> None:
    """Errors: InvalidRequest for a calendar without a day, Unavailable."""
    calendar = settings.holiday_calendar
    if calendar is LEAVE or not calendar or await store.calendar_exists(database, calendar):
        return
    raise InvalidRequest(
        "holiday_calendar", f"{calendar!r} has no days", hint=Hint.NO_HOLIDAYS, about={"calendar": calendar}
    )
