"""`rating-engine rates`: the versions of decks; rollback, withdraw, export, history."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from rating_engine.cli.common import ConfigOption, JsonOption, load_settings, open_database, out, print_json, run
from rating_engine.cli.decks.deck_files import FromOption, ZoneOption, local_time
from rating_engine.cli.decks.rate_words import rate_words
from rating_engine.rating.matching import EVER_SINCE, FOR_EVER, CandidateRate
from rating_engine.services.decks.export import export_deck
from rating_engine.services.decks.versions import VersionMatch, roll_back
from rating_engine.services.decks.versions import history as find_history
from rating_engine.services.decks.versions import withdraw as take_back
from rating_engine.storage.decks.deck_load import Published
from rating_engine.storage.decks.deck_versions import DeckVersion, list_versions

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
    table = Table("tariff", "version", "state", "from", "rates", "published", title="versions")
    for position in (1, 4):
        table.columns[position].justify = "right"
    for version in versions:
        table.add_row(
            escape(version.tariff),
            str(version.version),
            version.state,
            local_time(version.effective_from, version.time_zone),
            f"{version.rates:,}",
            local_time(version.published_at, version.time_zone),
        )
    out.print(table)


def rollback(
    tariff: TariffArgument,
    to: Annotated[
        int | None, typer.Option(metavar="VERSION", help="If not given, the one before that which is in force then.")
    ] = None,
    comes_at: FromOption = None,
    time_zone: ZoneOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Publish an earlier version of a tariff's deck again, as a new version: for the next call, or --from."""

    async def work() -> tuple[DeckVersion, Published]:
        settings = load_settings(config)
        async with open_database(settings):
            pass  # says in words what is wrong with the way to the database
        return await roll_back(settings.database_url, tariff, to, effective_from=comes_at, time_zone=time_zone)

    old, published = run(work())
    if json:
        print_json(
            {
                "tariff": tariff,
                "version": published.version,
                "from": old.version,
                "rates": published.rates,
                "effective_from": published.effective_from.isoformat(),
            }
        )
        return
    when = f", in force from {local_time(published.effective_from, old.time_zone)}" if comes_at else ""
    _say(
        f"{escape(tariff)}: version {old.version} is published again as version {published.version}"
        f" ({published.rates:,} rates){when}"
    )


def withdraw(
    tariff: TariffArgument,
    version: Annotated[int, typer.Argument(metavar="VERSION", help="One that is scheduled.")],
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Take back a version before it comes into force."""

    async def work() -> tuple[DeckVersion, DeckVersion | None]:
        async with open_database(load_settings(config)) as database:
            return await take_back(database, tariff, version)

    withdrawn, instead = run(work())
    if json:
        told = None if instead is None else instead.version
        print_json({"tariff": tariff, "version": version, "in_force_instead": told})
        return
    when = local_time(withdrawn.effective_from, withdrawn.time_zone)
    then = "no version" if instead is None else f"version {instead.version}"
    _say(f"{escape(tariff)}: version {version} is withdrawn; at {when} {then} is in force")


def export(
    tariff: TariffArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE.csv|FILE.xlsx", help="Replaced if it is there.")],
    version: Annotated[int | None, typer.Option(help="If not given, the one in force.")] = None,
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
        _say(f"{escape(tariff)}: version {found.version} ({found.rates:,} rates) is in {escape(str(file))}")


def history(
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", help="Or a whole number.")],
    tariff: Annotated[str, typer.Option(help="Whose rates.")],
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """What every kept version says of a prefix: the rates of a call to it, and for which calls each of them counts."""

    async def work() -> tuple[str, list[VersionMatch]]:
        settings = load_settings(config)
        async with open_database(settings) as database:
            return await find_history(database, tariff, prefix, international_prefix=settings.international_prefix)

    digits, found = run(work())
    if json:
        print_json({"tariff": tariff, "prefix": digits, "versions": [_match_json(match) for match in found]})
        return
    table = Table("version", "state", "from", "prefix", "counts", "rate", title=f"{digits} on {escape(tariff)}")
    table.columns[0].justify = "right"
    for match in found:
        version = match.version
        named = [str(version.version), version.state, local_time(version.effective_from, version.time_zone)]
        for row in match.rows:
            table.add_row(*named, row.prefix, _conditions(row, version.time_zone), _rate_words(row))
            named = ["", "", ""]
        if not match.rows:
            table.add_row(*named, "", "", "no rate")
    out.print(table)


def _conditions(row: CandidateRate, time_zone: str) -> str:
    """For which calls a row counts."""
    words = [f"callers {row.origin}"] if row.origin else []
    words += [row.band] if row.band else []
    words += [f"from {local_time(row.effective_from, time_zone)}"] if row.effective_from != EVER_SINCE else []
    words += [f"until {local_time(row.effective_to, time_zone)}"] if row.effective_to != FOR_EVER else []
    return ", ".join(words) or "always"


def _rate_words(row: CandidateRate) -> str:
    return "blocked" if row.blocked else "cannot be used" if row.rate is None else rate_words(row.rate)


def _match_json(match: VersionMatch) -> dict[str, Any]:
    row = match.matched
    return {
        **_version_json(match.version),
        "at": match.at.isoformat(),
        "matched": None if row is None else row.prefix,
        "blocked": row is not None and row.blocked,
        "rate": None if row is None or row.blocked else _rate_words(row),
        "rows": [_row_json(one) for one in match.rows],
    }


def _row_json(row: CandidateRate) -> dict[str, Any]:
    return {
        "prefix": row.prefix,
        "origin": row.origin,
        "band": row.band,
        "effective_from": None if row.effective_from == EVER_SINCE else row.effective_from.isoformat(),
        "effective_to": None if row.effective_to == FOR_EVER else row.effective_to.isoformat(),
        "direction": row.direction,
        "rate": _rate_words(row),
    }


def _version_json(version: DeckVersion) -> dict[str, Any]:
    return {
        "tariff": version.tariff,
        "currency": version.currency,
        "version": version.version,
        "state": version.state,
        "rates": version.rates,
        "effective_from": version.effective_from.isoformat(),
        "published_at": version.published_at.isoformat(),
    }


def _say(words: str) -> None:
    out.print(words, highlight=False, soft_wrap=True)
