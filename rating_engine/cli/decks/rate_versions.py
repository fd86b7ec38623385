"""`rating-engine rates`: the versions of decks; rollback, withdraw, export, history."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, say, with_services
from rating_engine.cli.decks.deck_files import FromOption, ZoneOption, local_time
from rating_engine.cli.decks.rate_words import rate_words
from rating_engine.cli.lists import listed, next_json, say_next
from rating_engine.domain.deck import DeckVersion
from rating_engine.rating.matching import EVER_SINCE, FOR_EVER, CandidateRate
from rating_engine.services.catalogue import UseCases
from rating_engine.services.decks.versions import RolledBack, VersionMatch

TariffArgument = Annotated[str, typer.Argument(metavar="TARIFF", help="Whose deck.")]


def print_versions(limit: int | None, after: str | None, json: bool, config: Path | None) -> None:
    """`rates list --versions`: every version that is kept."""
    page = with_services(config, lambda services: listed(services.decks.versions, limit, after))
    if json:
        print_json({"versions": [_version_json(version) for version in page.items], **next_json(page)})
        return
    table = Table("tariff", "version", "state", "from", "rates", "published", title="versions")
    for position in (1, 4):
        table.columns[position].justify = "right"
    for version in page.items:
        table.add_row(
            version.tariff,
            str(version.version),
            version.state,
            local_time(version.effective_from, version.time_zone),
            f"{version.rates:,}",
            local_time(version.published_at, version.time_zone),
        )
    out.print(table)
    say_next(page)


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

    async def work(services: UseCases) -> RolledBack:
        zone = time_zone or await services.tariffs.time_zone(tariff)
        comes = None if comes_at is None else words.moment(comes_at, "effective_from", zone)
        return await services.decks.roll_back(tariff, to, effective_from=comes)

    done = with_services(config, work)
    old, published = done.old, done.published
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
    say(
        f"{tariff}: version {old.version} is published again as version {published.version}"
        f" ({published.rates:,} rates){when}"
    )


def withdraw(
    tariff: TariffArgument,
    version: Annotated[int, typer.Argument(metavar="VERSION", help="One that is scheduled.")],
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Take back a version before it comes into force."""
    done = with_services(config, lambda services: services.decks.withdraw(tariff, version))
    withdrawn, instead = done.version, done.instead
    if json:
        told = None if instead is None else instead.version
        print_json({"tariff": tariff, "version": version, "in_force_instead": told})
        return
    when = local_time(withdrawn.effective_from, withdrawn.time_zone)
    then = "no version" if instead is None else f"version {instead.version}"
    say(f"{tariff}: version {version} is withdrawn; at {when} {then} is in force")


def export(
    tariff: TariffArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE.csv|FILE.xlsx", help="Replaced if it is there.")],
    version: Annotated[int | None, typer.Option(help="If not given, the one in force.")] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Write a version of a deck to a file that imports again unchanged."""
    found = with_services(config, lambda services: services.decks.export(tariff, version, file))
    if json:
        print_json({**_version_json(found), "file": str(file)})
    else:
        say(f"{tariff}: version {found.version} ({found.rates:,} rates) is in {file!s}")


def history(
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", help="Or a whole number.")],
    tariff: Annotated[str, typer.Option(help="Whose rates.")],
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """What every kept version says of a prefix: the rates of a call to it, and for which calls each of them counts."""
    told = with_services(config, lambda services: services.decks.history(tariff, prefix))
    digits, found = told.digits, told.versions
    if json:
        print_json({"tariff": tariff, "prefix": digits, "versions": [_match_json(match) for match in found]})
        return
    table = Table("version", "state", "from", "prefix", "counts", "rate", title=f"{digits} on {tariff}")
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
    parts = [f"callers {row.origin}" if row.origin.isdigit() else f"{row.origin}state calls"] if row.origin else []
    parts += [row.band] if row.band else []
    parts += [f"from {local_time(row.effective_from, time_zone)}"] if row.effective_from != EVER_SINCE else []
    parts += [f"until {local_time(row.effective_to, time_zone)}"] if row.effective_to != FOR_EVER else []
    return ", ".join(parts) or "always"


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
