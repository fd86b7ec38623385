"""`rating-engine rates`: profile and list; the other commands are in rate_import, rate_diff and rate_versions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, reported_errors, with_services
from rating_engine.cli.decks.deck_files import SheetOption
from rating_engine.cli.decks.rate_versions import print_versions
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.domain.deck import TariffLine
from rating_engine.services.decks.file.profile import propose_profile

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
    limit: LimitOption = None,
    after: AfterOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Tariffs, with the deck that calls are rated by."""
    if versions:
        print_versions(limit, after, json, config)
        return
    page = with_services(config, lambda services: listed(services.decks.page, limit, after))
    if json:
        print_json({"tariffs": [_tariff_json(tariff) for tariff in page.items], **next_json(page)})
        return
    table = Table("tariff", "currency", "version", "rates", "longest prefix", "published", title="tariffs")
    for position in (2, 3, 4):
        table.columns[position].justify = "right"
    table.columns[5].no_wrap = True
    for tariff in page.items:
        table.add_row(
            tariff.name,
            tariff.currency,
            str(tariff.version or "none"),
            f"{tariff.rates or 0:,}",
            str(tariff.longest_prefix or ""),
            tariff.published_at.strftime("%Y-%m-%d %H:%M:%SZ") if tariff.published_at else "",
        )
    out.print(table)
    say_next(page)


def _tariff_json(tariff: TariffLine) -> dict[str, Any]:
    return {
        "tariff": tariff.name,
        "currency": tariff.currency,
        "version": tariff.version,
        "rates": tariff.rates,
        "longest_prefix": tariff.longest_prefix,
        "published_at": None if tariff.published_at is None else tariff.published_at.isoformat(),
    }
