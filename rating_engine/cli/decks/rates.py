"""`rating-engine rates`: profile and list; the other commands are in rate_import, rate_diff and rate_versions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from rating_engine.cli.common import (
    ConfigOption,
    JsonOption,
    load_settings,
    open_database,
    out,
    print_json,
    reported_errors,
    run,
)
from rating_engine.cli.decks.deck_files import SheetOption
from rating_engine.cli.decks.rate_versions import print_versions
from rating_engine.services.decks.file.profile import propose_profile
from rating_engine.storage.decks.rate_decks import TariffLine, list_tariffs

rates_app = typer.Typer(no_args_is_help=True, help="Rate decks: what calls cost.")


@rates_app.command(
    "profile", epilog="Example: rating-engine rates profile deck.csv > config/deck_profiles/carrier.toml"
)
def profile_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or XLSX.")],
    sheet: SheetOption = None,
) -> None:
    """Propose a profile for files like this one: what its columns are taken for, to be mended and kept."""
    with reported_errors():
        typer.echo(propose_profile(file, sheet), nl=False)


@rates_app.command("list", epilog="Example: rating-engine rates list")
def list_(
    versions: Annotated[bool, typer.Option("--versions", help="Every version that is kept, the newest first.")] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Tariffs, with the deck that calls are rated by."""
    if versions:
        print_versions(json, config)
        return

    async def work() -> list[TariffLine]:
        async with open_database(load_settings(config)) as database:
            return await list_tariffs(database)

    tariffs = run(work())
    if json:
        print_json({"tariffs": [_tariff_json(tariff) for tariff in tariffs]})
        return
    table = Table("tariff", "currency", "version", "rates", "longest prefix", "published", title="tariffs")
    for position in (2, 3, 4):
        table.columns[position].justify = "right"
    table.columns[5].no_wrap = True
    for tariff in tariffs:
        table.add_row(
            escape(tariff.name),
            tariff.currency,
            str(tariff.version or "none"),
            f"{tariff.rates or 0:,}",
            str(tariff.longest_prefix or ""),
            tariff.published_at.strftime("%Y-%m-%d %H:%M:%SZ") if tariff.published_at else "",
        )
    out.print(table)


def _tariff_json(tariff: TariffLine) -> dict[str, Any]:
    return {
        "tariff": tariff.name,
        "currency": tariff.currency,
        "version": tariff.version,
        "rates": tariff.rates,
        "longest_prefix": tariff.longest_prefix,
        "published_at": None if tariff.published_at is None else tariff.published_at.isoformat(),
    }
