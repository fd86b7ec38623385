"""`rating-engine rates`: the versions of decks; rollback, export, history."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from rating_engine.cli.common import ConfigOption, JsonOption, load_settings, open_database, out, print_json, run
from rating_engine.cli.rate import rate_words
from rating_engine.services.deck_export import export_deck
from rating_engine.services.deck_versions import history as find_history
from rating_engine.services.deck_versions import roll_back
from rating_engine.storage.deck_load import Published
from rating_engine.storage.deck_versions import DeckVersion, VersionMatch, list_versions

TariffArgument = Annotated[str, typer.Argument(metavar="TARIFF", help="Whose deck.")]


def print_versions(json: bool, config: Path | None) -> None:
    """`rates list --versions`: every version that is kept."""

    async def work() -> list[DeckVersion]:
        async with open_database(load_settings(config)) as database:
            return await list_versions(database)

    versions = run(work())
    if json:
        print_json({"versions": [_version_json(version) for version in versions]})
        return
    table = Table("tariff", "version", "state", "rates", "published", title="versions")
    for position in (1, 3):
        table.columns[position].justify = "right"
    for version in versions:
        table.add_row(
            escape(version.tariff), str(version.version), version.state, f"{version.rates:,}", _published(version)
        )
    out.print(table)


def rollback(
    tariff: TariffArgument,
    to: Annotated[
        int | None, typer.Option(metavar="VERSION", help="If not given, the one before the published one.")
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Publish an earlier version of a tariff's deck again, as a new version, for the next call everywhere."""

    async def work() -> tuple[DeckVersion, Published]:
        settings = load_settings(config)
        async with open_database(settings):
            pass  # says in words what is wrong with the way to the database
        return await roll_back(settings.database_url, tariff, to)

    old, published = run(work())
    if json:
        print_json({"tariff": tariff, "version": published.version, "from": old.version, "rates": published.rates})
        return
    out.print(
        f"{escape(tariff)}: version {old.version} is published again as version {published.version}"
        f" ({published.rates:,} rates)",
        highlight=False,
        soft_wrap=True,
    )


def export(
    tariff: TariffArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE.csv|FILE.xlsx", help="Replaced if it is there.")],
    version: Annotated[int | None, typer.Option(help="If not given, the published one.")] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Write a version of a deck to a file that imports again unchanged."""

    async def work() -> DeckVersion:
        async with open_database(load_settings(config)) as database:
            return await export_deck(database, tariff, version, file)

    found = run(work())
    if json:
        print_json({**_version_json(found), "file": str(file)})
    else:
        words = f"{escape(tariff)}: version {found.version} ({found.rates:,} rates) is in {escape(str(file))}"
        out.print(words, highlight=False, soft_wrap=True)


def history(
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", help="Or a whole number.")],
    tariff: Annotated[str, typer.Option(help="Whose rates.")],
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """What every kept version says of a prefix, and what a call to it matched."""

    async def work() -> tuple[str, list[VersionMatch]]:
        settings = load_settings(config)
        async with open_database(settings) as database:
            return await find_history(database, tariff, prefix, international_prefix=settings.international_prefix)

    digits, found = run(work())
    if json:
        print_json({"tariff": tariff, "prefix": digits, "versions": [_match_json(match) for match in found]})
        return
    table = Table("version", "published", "matched", "rate", title=f"{digits} on {escape(tariff)}")
    table.columns[0].justify = "right"
    for match in found:
        words = "blocked" if match.blocked else rate_words(match.rate) if match.rate is not None else "no rate"
        table.add_row(str(match.version.version), _published(match.version), match.prefix or "", words)
    out.print(table)


def _match_json(match: VersionMatch) -> dict[str, Any]:
    return {
        **_version_json(match.version),
        "matched": match.prefix,
        "blocked": match.blocked,
        "rate": None if match.rate is None or match.blocked else rate_words(match.rate),
    }


def _version_json(version: DeckVersion) -> dict[str, Any]:
    return {
        "tariff": version.tariff,
        "currency": version.currency,
        "version": version.version,
        "state": version.state,
        "rates": version.rates,
        "published_at": version.published_at.isoformat(),
    }


def _published(version: DeckVersion) -> str:
    return version.published_at.strftime("%Y-%m-%d %H:%M:%SZ")
