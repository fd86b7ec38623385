"""`rating-engine rates diff`: what a file or a version changes, before it is published."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from rating_engine.cli import words
from rating_engine.cli.common import (
    ConfigOption,
    JsonOption,
    out,
    print_json,
    say,
    with_services,
)
from rating_engine.cli.decks.deck_files import (
    BaseOption,
    DeltaOption,
    FromOption,
    FullCountryOption,
    PriceUnitOption,
    ProfileOption,
    SheetOption,
    ZoneOption,
    chosen_profile,
    local_time,
    progress_bar,
)
from rating_engine.cli.decks.rate_versions import TariffArgument
from rating_engine.domain.deck import DeckVersion, Difference
from rating_engine.rating.money import format_amount
from rating_engine.services.catalogue import UseCases
from rating_engine.services.decks.importing import DeckFileOptions, FileComparison
from rating_engine.services.decks.versions import DeckDifference, Kind, VersionComparison

DEFAULT_SHOWN: Final = 10
PRICE_DECIMALS_SHOWN: Final = 8  # as many as a price has; one per interval may have more as a price a minute
PERCENT_DECIMALS: Final = 1

_WORDS: Final = {
    Kind.RISE: "dearer",
    Kind.FALL: "cheaper",
    Kind.NEW: "new",
    Kind.GONE: "gone",
    Kind.BLOCKED: "now blocked",
    Kind.UNBLOCKED: "no longer blocked",
    Kind.TERMS: "same price a minute, other terms",
}


def diff(
    tariff: TariffArgument,
    first: Annotated[str, typer.Argument(metavar="FILE|VERSION", help="A file, or a number for a kept version.")],
    second: Annotated[
        int | None,
        typer.Argument(metavar="VERSION", help="Of two versions the later; for a file what it is against."),
    ] = None,
    by: Annotated[str, typer.Option(metavar="percent|price", help="What makes a change a large one.")] = "percent",
    shown: Annotated[int, typer.Option(min=0, help="Of each kind.")] = DEFAULT_SHOWN,
    at: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="For calls at this time; if not given, now or when the later one counts."),
    ] = None,
    delta: DeltaOption = False,
    full_country: FullCountryOption = False,
    base: BaseOption = None,
    comes_at: FromOption = None,
    time_zone: ZoneOption = None,
    price_unit: PriceUnitOption = None,
    sheet: SheetOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """What changes: against the version in force then, or from one version to another. Nothing is published.

    Prices are compared by a minute once the call goes on, of the rates that count at one time. A file is read as an
    import reads it, with its options; rejected rows are listed.
    """
    if by not in ("percent", "price"):
        raise typer.BadParameter("percent or price", param_hint="--by")

    if first.isdecimal() and (delta or full_country or base is not None or comes_at is not None):
        raise typer.BadParameter(
            "is for files: versions are what they are", param_hint="--delta, --full-country, --base and --from"
        )

    async def work(services: UseCases) -> FileComparison | VersionComparison:
        zone = time_zone or await services.decks.time_zone(tariff)
        options = DeckFileOptions(
            price_unit=price_unit,
            sheet=sheet,
            profile=chosen_profile(profile, config),
            time_zone=time_zone,
            effective_from=None if comes_at is None else words.moment(comes_at, "effective_from", zone),
            delta=delta,
            full_country=full_country,
            base=base,
        )
        instant = None if at is None else words.moment(at, "at", zone)
        return await _compare(services, tariff, first, second, options, instant, shown, by == "percent")

    compared = with_services(config, work)
    if isinstance(compared, FileComparison):
        new_name, rejected = first, compared.rejected
    else:
        new_name, rejected = _name(compared.after), 0
    show = _print_json if json else _print
    show(compared.before, new_name, compared.difference, rejected)


async def _compare(
    services: UseCases,
    tariff: str,
    first: str,
    second: int | None,
    options: DeckFileOptions,
    at: datetime | None,
    shown: int,
    by_percent: bool,
) -> FileComparison | VersionComparison:
    """Two versions, or a file and a version."""
    if first.isdecimal():
        old, new = (int(first), second) if second is not None else (None, int(first))
        return await services.decks.compare_versions(tariff, old, new, at=at, shown=shown, by_percent=by_percent)
    with progress_bar() as show:
        return await services.decks.compare_file(
            Path(first), tariff, second, options=options, at=at, shown=shown, by_percent=by_percent, on_progress=show
        )


def _print(old: DeckVersion, new: str, found: DeckDifference, rejected: int) -> None:
    title = f"{old.tariff}: from {_name(old)} to {new}, calls at {local_time(found.at, old.time_zone)}"
    counts = Table(title=title, show_header=False)
    counts.add_column(style="bold")
    counts.add_column(justify="right")
    for kind in Kind:
        counts.add_row(_WORDS[kind], f"{found.counts[kind]:,}")
    out.print(counts)
    for kind, rows in found.worst.items():
        if rows:
            out.print(_table(kind, rows, old.currency))
    if found.later.rates and found.later.first is not None:
        first = local_time(found.later.first, old.time_zone)
        say(
            f"Not compared: {found.later.rates:,} rates of {new} that begin later, the first at {first};"
            " see them with --at",
        )
    if rejected:
        say((f"Not taken: {rejected:,} of the rows", "bold yellow"))


def _table(kind: Kind, rows: Any, currency: str) -> Table:
    told = [name for name in ("origin", "band") if any(getattr(row, name) for row in rows)]
    table = Table("prefix", *told, "direction", f"{currency} a minute", "now", "change", "%", title=_WORDS[kind])
    for column in table.columns[2 + len(told) :]:
        column.justify = "right"
    for row in rows:
        table.add_row(
            row.prefix,
            *(getattr(row, name) for name in told),
            row.direction,
            _price(row.old_minute) or "",
            _price(row.new_minute) or "",
            _price(_change(row)) or "",
            _percent(row) or "",
        )
    return table


def _print_json(old: DeckVersion, new: str, found: DeckDifference, rejected: int) -> None:
    compared = {
        "tariff": old.tariff,
        "currency": old.currency,
        "from": _name(old),
        "to": new,
        "at": found.at.isoformat(),
        "later": found.later.rates,
        "rejected": rejected,
        "counts": {kind.value: count for kind, count in found.counts.items()},
        "worst": {kind.value: [_row_json(row) for row in rows] for kind, rows in found.worst.items()},
    }
    print_json(compared)


def _row_json(row: Difference) -> dict[str, Any]:
    return {
        "prefix": row.prefix,
        "origin": row.origin,
        "band": row.band,
        "direction": row.direction,
        "old_per_minute": _price(row.old_minute),
        "new_per_minute": _price(row.new_minute),
        "change": _price(_change(row)),
        "percent": _percent(row),
    }


def _change(row: Difference) -> Decimal | None:
    return None if row.old_minute is None or row.new_minute is None else row.new_minute - row.old_minute


def _price(price: Decimal | None) -> str | None:
    """Rounded where a minute of intervals has more decimals than a price."""
    if price is None:
        return None
    text = format_amount(price, PRICE_DECIMALS_SHOWN)
    return text.rstrip("0").rstrip(".")


def _percent(row: Difference) -> str | None:
    """None where there is no old price to compare with, or it was nothing."""
    change = _change(row)
    return (
        None if change is None or not row.old_minute else format_amount(change * 100 / row.old_minute, PERCENT_DECIMALS)
    )


def _name(version: DeckVersion) -> str:
    return f"version {version.version}"
