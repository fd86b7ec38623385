"""`rating-engine data`: from the embedded PostgreSQL to one of your own, all of it, and nothing lost on the way."""

from __future__ import annotations

import asyncio
import json as json_text
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from rating_engine.cli.common import (
    CommandError,
    ConfigOption,
    JsonOption,
    embedded_data_dir,
    load_settings,
    print_json,
    reported_errors,
    say,
    working_services,
)
from rating_engine.domain.checkup import Check
from rating_engine.domain.totals import Totals
from rating_engine.embedded import EmbeddedServers
from rating_engine.engine import moving
from rating_engine.engine.services import migrate_database
from rating_engine.rating.money import format_amount
from rating_engine.services.doctor import LEDGER_CHECK
from rating_engine.settings.model import Settings

data_app = typer.Typer(no_args_is_help=True, help="All data, from the embedded PostgreSQL to one of your own.")

MARK: Final = "rating-engine data "  # in the first line of an exported file, before its totals
SPOOL_CHECK: Final = "spool"


@data_app.command("export", epilog="Example: rating-engine data export rating.sql")
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to: SQL, as pg_dump writes it.")],
    force: Annotated[bool, typer.Option("--force", help="Though the doctor finds something.")] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Write all that the embedded PostgreSQL holds to a file. Stop `serve --embedded` before.

    Refused while finishes wait in its spool, and while the books do not balance.
    """
    with reported_errors():
        settings = load_settings(config)
        directory = embedded_data_dir(settings)
        if not (directory / "postgresql").exists():
            raise CommandError(f"there is no embedded database in {directory} (setting embedded_data_dir)")
        servers = EmbeddedServers(directory)
        servers.start()
        try:
            totals = asyncio.run(_examined(_settings_of(servers, settings, directory, config), force=force))
            moving.dump(servers.database_url, file, MARK + json_text.dumps(_totals_json(totals)))
        finally:
            servers.stop()
    if json:
        print_json({"file": str(file), **_totals_json(totals)})
    else:
        say(f"written to {file}: {_in_words(totals)}")
        say("It holds secrets as a database does: keep it as one.")


@data_app.command(
    "import",
    epilog="Example: RATING_DATABASE_URL=postgresql://rating:PASSWORD@db/rating rating-engine data import rating.sql",
)
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `data export` wrote.")],
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Put an exported file into the empty database of the setting database_url: all of it, or nothing.

    Then it is counted, and the money laws are proved, before anything is said to be done.
    """
    with reported_errors():
        settings = load_settings(config)
        totals = asyncio.run(_imported(settings, file))
    if json:
        print_json({"file": str(file), **_totals_json(totals)})
    else:
        say(f"all is there, and the books balance: {_in_words(totals)}")


def _settings_of(servers: EmbeddedServers, settings: Settings, directory: Path, config: Path | None) -> Settings:
    """As `serve --embedded` has them."""
    asyncio.run(migrate_database(servers.database_url))
    spool = settings.spool_dir or str(directory / "spool")
    return load_settings(config, database_url=servers.database_url, redis_url=servers.redis_url, spool_dir=spool)


async def _examined(settings: Settings, *, force: bool) -> Totals:
    async with working_services(settings) as services:
        checks = [check async for check in services.doctor.examine()]
        wrong = [check for check in checks if check.findings and check.name.startswith((LEDGER_CHECK, SPOOL_CHECK))]
        if wrong and not force:
            _refuse(wrong)
        return await services.doctor.totals()


async def _imported(settings: Settings, file: Path) -> Totals:
    if not settings.database_url:
        raise CommandError("database_url is not set: say RATING_DATABASE_URL=postgresql://…, of an empty database")
    said = moving.first_line(file)
    if not said.startswith(MARK):
        raise CommandError(f"{file} was not written by `rating-engine data export`")
    seconds = settings.database_connect_timeout_seconds
    if await moving.tables_at(settings.database_url, connect_seconds=seconds):
        raise CommandError("the database is not empty: make another one (CREATE DATABASE), and name it in database_url")
    await asyncio.to_thread(moving.restore, settings.database_url, file)
    await migrate_database(settings.database_url)
    async with working_services(settings) as services:
        totals = await services.doctor.totals()
        if _totals_json(totals) != json_text.loads(said.removeprefix(MARK)):
            raise CommandError(f"what is there is not what {file} says, {said.removeprefix(MARK)}: drop the database")
        wrong = [check async for check in services.doctor.prove_laws() if check.findings]
        if wrong:
            _refuse(wrong)
        return totals


def _refuse(wrong: list[Check]) -> None:
    finding = wrong[0].findings[0]
    more = sum(len(check.findings) for check in wrong) - 1
    others = f" (and {more} more: see doctor)" if more else ""
    raise CommandError(f"{wrong[0].name}: {finding.what}{others}; {finding.mend}")


def _totals_json(totals: Totals) -> dict[str, Any]:
    """Amounts as text."""
    return {
        name: {key: format_amount(amount) for key, amount in value.items()} if isinstance(value, dict) else value
        for name, value in asdict(totals).items()
    }


def _in_words(totals: Totals) -> str:
    return (
        f"{totals.accounts:,} accounts with {_money(totals.balances)}, {totals.logins:,} logins, {totals.tariffs:,}"
        f" tariffs with {totals.rates:,} rates, {totals.open_calls:,} open calls that hold {_money(totals.held)},"
        f" {totals.ended_calls:,} ended calls, {totals.ledger_entries:,} ledger entries"
    )


def _money(amounts: dict[str, Decimal]) -> str:
    return ", ".join(f"{format_amount(amount)} {currency}" for currency, amount in amounts.items()) or "nothing"
