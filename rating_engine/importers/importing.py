"""Written decks and settings put into the database: the last step of an import.

Law: a tariff gets its settings, bands and packages before its deck, so that no call is priced by the new deck without
them. Each deck is published whole or not at all; what was imported before a fault stays, and is said.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rating_engine.domain.errors import AlreadyExists, RatingEngineError
from rating_engine.domain.tariff_card import CarryOver, ListedPackage
from rating_engine.importers.model import FreePackage, MappedTariff
from rating_engine.importers.writing import WrittenTariff
from rating_engine.services.decks.importing import ImportReport, import_deck
from rating_engine.services.tariffs.settings import Tariffs
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs.packages import add_package, list_packages, remove_package
from rating_engine.storage.tariffs.tariff_bands import replace_windows


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
    database: Database, database_url: str, written: Iterable[WrittenTariff], on_tariff: Callable[[str], None]
) -> list[Imported]:
    """Create or change the tariffs, and publish their decks. `on_tariff`: is told each name before its import.

    Errors: those of the first tariff; Incomplete where others were imported before.
    """
    done: list[Imported] = []
    for one in written:
        name = one.tariff.name
        on_tariff(name)
        try:
            created = await _settle(database, one.tariff)
            report = await import_deck(database_url, one.deck, name, currency=one.tariff.currency)
        except RatingEngineError as error:
            if not done:
                raise
            names = ", ".join(imported.name for imported in done)
            raise Incomplete(f"{name}: {error}. These were imported before: {names}") from error
        done.append(Imported(name, created, report))
    return done


async def _settle(database: Database, tariff: MappedTariff) -> bool:
    """Settings, bands and packages; whether the tariff is new."""
    tariffs = Tariffs(database)
    settings = {
        "description": tariff.description,
        "decimals": str(tariff.decimals),
        "increment_mode": tariff.increment_mode.value,
        "time_zone": tariff.time_zone,
        "band_mode": "start",
    }
    fixed = {"is_option": "yes" if tariff.is_option else "no"}
    if tariff.currency is not None:
        fixed["currency"] = tariff.currency
    created = False
    with contextlib.suppress(AlreadyExists):
        await tariffs.add(tariff.name, {**settings, **fixed})
        created = True
    if not created:
        await tariffs.set(tariff.name, {**settings, **fixed})
    await replace_windows(database, tariff.name, tariff.windows)
    await _packages(database, tariff)
    return created


async def _packages(database: Database, tariff: MappedTariff) -> None:
    """The packages of the tariff; one that is there unchanged stays, with what was used of it."""
    there = {package.name: package for package in await list_packages(database, tariff.name)}
    for position, package in enumerate(tariff.packages):
        wanted = _listed(tariff.name, package, position)
        found = there.get(package.name)
        if found == wanted:
            continue
        if found is not None:
            await remove_package(database, tariff.name, package.name)
        await add_package(database, wanted)


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
