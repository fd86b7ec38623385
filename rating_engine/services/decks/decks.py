"""Rate decks: imported, compared, taken back, exported and asked, by one principal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from rating_engine.domain.deck import DeckVersion, TariffLine
from rating_engine.domain.errors import NotFound
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.principal import Principal
from rating_engine.services.decks import versions
from rating_engine.services.decks.checking import UNSERVED_PERCENT
from rating_engine.services.decks.export import export_deck
from rating_engine.services.decks.importing import (
    AS_IT_IS,
    DeckFileOptions,
    FileComparison,
    ImportReport,
    Progress,
    compare_file,
    import_deck,
)
from rating_engine.services.decks.versions import History, RolledBack, VersionComparison, Withdrawn
from rating_engine.storage.decks import deck_versions, rate_decks
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs.tariff_settings import find_tariff


class Decks:
    """What one principal does with rate decks. `database_url`: a load has a connection of its own, for minutes.

    `unserved_percent`: of the prefixes called within a day, which a new deck may leave without a rate.
    """

    def __init__(
        self,
        database: Database,
        database_url: str,
        principal: Principal,
        *,
        international_prefix: str,
        unserved_percent: int = UNSERVED_PERCENT,
    ) -> None:
        self._database = database
        self._url = database_url
        self._principal = principal
        self._international_prefix = international_prefix
        self._unserved_percent = unserved_percent

    async def page(self, cursor: Cursor) -> Page[TariffLine]:
        """Tariffs by name, with the deck that calls are rated by. Errors: InvalidRequest (after), Unavailable."""
        return await rate_decks.list_decks(self._database, cursor)

    async def versions(self, cursor: Cursor) -> Page[DeckVersion]:
        """Every version that is kept, of each tariff the newest first. Errors: InvalidRequest (after), Unavailable."""
        return await deck_versions.list_versions(self._database, cursor)

    async def time_zone(self, tariff: str) -> str:
        """The time zone of a tariff; UTC where an import is to create it. Errors: Unavailable."""
        try:
            return (await find_tariff(self._database, tariff)).time_zone
        except NotFound:
            return "UTC"

    async def import_file(
        self,
        file: Path,
        tariff: str,
        *,
        currency: str | None = None,
        options: DeckFileOptions = AS_IT_IS,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> ImportReport:
        """A file becomes the next version of a tariff's deck. Errors: as `import_deck`."""
        options = replace(options, unserved_percent=self._unserved_percent)
        return await import_deck(
            self._url, file, tariff, currency=currency, options=options, principal=self._principal,
            on_progress=on_progress,
        )  # fmt: skip

    async def compare_file(
        self,
        file: Path,
        tariff: str,
        version: int | None,
        *,
        options: DeckFileOptions = AS_IT_IS,
        at: datetime | None = None,
        shown: int,
        by_percent: bool,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> FileComparison:
        """What importing a file would change. Nothing is published. Errors: as `importing.compare_file`."""
        return await compare_file(
            self._url, file, tariff, version, options=options, at=at, shown=shown, by_percent=by_percent,
            on_progress=on_progress,
        )  # fmt: skip

    async def compare_versions(
        self,
        tariff: str,
        old: int | None,
        new: int,
        *,
        at: datetime | None = None,
        shown: int,
        by_percent: bool,
    ) -> VersionComparison:
        """What changes from one version to another. Errors: as `versions.compare_versions`."""
        return await versions.compare_versions(
            self._database, tariff, old, new, at=at, shown=shown, by_percent=by_percent
        )

    async def roll_back(self, tariff: str, to: int | None, *, effective_from: datetime | None = None) -> RolledBack:
        """Publish an earlier version again, as a new one. Errors: as `versions.roll_back`."""
        return await versions.roll_back(self._url, tariff, to, effective_from=effective_from, principal=self._principal)

    async def withdraw(self, tariff: str, version: int) -> Withdrawn:
        """Take back a version before it comes into force. Errors: as `versions.withdraw`."""
        return await versions.withdraw(self._database, self._principal, tariff, version)

    async def export(self, tariff: str, version: int | None, file: Path) -> DeckVersion:
        """Write a version to a file that imports again unchanged. Errors: as `export_deck`."""
        return await export_deck(self._database, tariff, version, file)

    async def history(self, tariff: str, number: str) -> History:
        """What every kept version says of a prefix or number. Errors: NotFound, InvalidRequest, Unavailable."""
        return await versions.history(self._database, tariff, number, international_prefix=self._international_prefix)
