"""Written decks and settings put into the database: the last step of an import.

Law: a tariff gets its settings, bands and packages before its deck, so that no call is priced by the new deck without
them. Each deck is published whole or not at all; what was imported before a fault stays, and is said.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rating_engine.domain.change import LEAVE
from rating_engine.domain.errors import AlreadyExists, RatingEngineError
from rating_engine.domain.page import MAX_LIMIT, Cursor
from rating_engine.domain.tariff import BandMode
from rating_engine.domain.tariff_card import CarryOver, ListedPackage, TariffChanges
from rating_engine.importers.model import FreePackage, MappedTariff
from rating_engine.importers.writing import WrittenTariff
from rating_engine.services.catalogue import UseCases
from rating_engine.services.decks.importing import ImportReport
from rating_engine.services.tariffs.packages import Packages


class Incomplete(RatingEngineError):
    """Some of the tariffs were imported, then one could not be; says which."""

    code = "incomplete"


@dataclass(frozen=True, slots=True)
class Imported:
    """A tariff that is there now. `created`: it was not before."""

    name: str
    created: bool
    deck: ImportReport


async def import_tariffs(
    services: UseCases, written: Iterable[WrittenTariff], on_tariff: Callable[[str], None]
) -> list[Imported]:
    """Create or change the tariffs, and publish their decks. `on_tariff`: is told each name before its import.

    Errors: those of the first tariff; Incomplete where others were imported before.
    """
    done: list[Imported] = []
    for one in written:
        name = one.tariff.name
        on_tariff(name)
        try:
            created = await _settle(services, one.tariff)
            report = await services.decks.import_file(one.deck, name, currency=one.tariff.currency)
        except RatingEngineError as error:
            if not done:
                raise
            names = ", ".join(imported.name for imported in done)
            raise Incomplete(f"{name}: {error}. These were imported before: {names}", hint=error.hint) from error
        done.append(Imported(name, created, report))
    return done


async def _settle(services: UseCases, tariff: MappedTariff) -> bool:
    """Settings, bands and packages; whether the tariff is new."""
    settings = TariffChanges(
        currency=LEAVE if tariff.currency is None else tariff.currency,
        description=tariff.description,
        is_option=tariff.is_option,
        decimals=tariff.decimals,
        increment_mode=tariff.increment_mode,
        time_zone=tariff.time_zone,
        band_mode=BandMode.START,
    )
    created = False
    with contextlib.suppress(AlreadyExists):
        await services.tariffs.add(tariff.name, settings)
        created = True
    if not created:
        await services.tariffs.change(tariff.name, settings)
    await services.bands.replace(tariff.name, tariff.windows)
    await _packages(services.packages, tariff)
    return created


async def _packages(packages: Packages, tariff: MappedTariff) -> None:
    """The packages of the tariff; one that is there unchanged stays, with what was used of it."""
    page = await packages.page(Cursor(MAX_LIMIT), tariff.name)  # a tariff has far fewer than a page
    there = {package.name: package for package in page.items}
    for position, package in enumerate(tariff.packages):
        wanted = _listed(tariff.name, package, position)
        found = there.get(package.name)
        if found == wanted:
            continue
        if found is not None:
            await packages.remove(tariff.name, package.name)
        await packages.add(wanted)


def _listed(tariff: str, package: FreePackage, position: int) -> ListedPackage:
    return ListedPackage(
        tariff=tariff,
        name=package.name,
        kind=package.kind,
        group="",
        seconds=package.seconds,
        period=package.period,
        carry_over=CarryOver.NONE,
        waives_fees=package.waives_fees,
        position=position,
    )
