"""`rating-engine rates import`: a file becomes a version of a tariff's deck, now or at an instant ahead."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from rating_engine.cli import words
from rating_engine.cli.common import (
    EXIT_INCOMPLETE,
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
from rating_engine.services.catalogue import UseCases
from rating_engine.services.decks.file.dates import DateOrder
from rating_engine.services.decks.importing import DeckFileOptions, ImportReport
from rating_engine.services.decks.versions import Kind

_CHANGES: Final = {
    Kind.NEW: "codes new",
    Kind.RISE: "codes dearer",
    Kind.FALL: "codes cheaper",
    Kind.GONE: "codes gone",
    Kind.BLOCKED: "codes now blocked",
}
PASSED_OVER: Final = "rows without code and price"  # titles, remarks, the header once more
_ORDERS: Final = {DateOrder.DMY: "day, month, year", DateOrder.MDY: "month, day, year"}


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or XLSX; see docs/rate-decks.md.")],
    tariff: Annotated[str, typer.Option(help="Whose deck this becomes; created if it is not there.")],
    currency: Annotated[
        str | None, typer.Option(help="Of a new tariff (EUR if not given); must be an existing tariff's.")
    ] = None,
    delta: DeltaOption = False,
    full_country: FullCountryOption = False,
    base: BaseOption = None,
    comes_at: FromOption = None,
    time_zone: ZoneOption = None,
    price_unit: PriceUnitOption = None,
    sheet: SheetOption = None,
    profile: ProfileOption = None,
    date_order: Annotated[
        DateOrder | None,
        typer.Option(help="Of dates such as 05/06/2026; if not given, the one that the file's other dates show."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would do, and change nothing.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse what had to be guessed.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Publish a deck that is held back: many rows rejected, calls too cheap.")
    ] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Replace the rates of a tariff by those of a file, or change them by it: whole or not at all.

    Rows that cannot be taken are written to FILE.rejected.csv with the reason.
    Exit status: 0 every row was taken, 1 nothing was published, 2 published without the rejected rows.
    """

    async def work(services: UseCases) -> ImportReport:
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
            date_order=date_order,
            dry_run=dry_run,
            strict=strict,
            force=force,
        )
        with progress_bar() as show:
            return await services.decks.import_file(file, tariff, currency=currency, options=options, on_progress=show)

    report = with_services(config, work)
    if json:
        print_json({"dry_run": dry_run, **_report_json(report)})
    else:
        _print_report(report, dry_run=dry_run)
    if report.rejected:
        raise typer.Exit(EXIT_INCOMPLETE)


def _print_report(report: ImportReport, *, dry_run: bool) -> None:
    table = Table(title=f"rates of {report.tariff}, version {report.version}", show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    for name, value in _report_lines(report):
        table.add_row(name, value)
    out.print(table)
    _print_columns(report)
    if dry_run:
        say(("Nothing was changed:", "bold"), " this is what the import would do.")
    for sentence in _warnings(report):
        say(*sentence)
    if report.rejected_file is not None:
        say((f"Not taken: {report.rejected:,} of the rows,", "bold yellow"), f" see {report.rejected_file}")


def _print_columns(report: ImportReport) -> None:
    """Which column is what, and what was read otherwise than it stands in the file."""
    table = Table("column", "taken as", "times", title="as it was read")
    for one in report.columns:
        table.add_row(one.name, one.column.value.replace("_", " "), one.factor)
    out.print(table)
    if report.sheet:
        say(f"The sheet {report.sheet!r} was read.")
    if report.date_order is not None:
        say(f"Dates are {_ORDERS[report.date_order]}.")
    for what, count, example in report.notes:
        say(f"{what}: {count:,}, such as: {example}")


def _report_lines(report: ImportReport) -> Iterator[tuple[str, str]]:
    whole = "first rates" if report.version == 1 else "replaced"
    how = "new" if report.tariff_created else whole if report.base is None else f"version {report.base} changed"
    yield "tariff", f"{report.tariff} ({how}, {report.currency})"
    if report.scheduled:
        yield "comes into force", local_time(report.effective_from, report.time_zone)
    if report.base is None:
        yield "rates taken", f"{report.taken:,}"
    else:
        changes = report.changes
        yield "rates new", f"{changes.added:,}"
        yield "rates changed", f"{changes.changed:,}"
        yield "rates closed", f"{changes.closed:,}"
        yield "rates unchanged", f"{changes.unchanged:,}"
        yield "rates now", f"{report.rates:,}"
    yield "rows rejected", f"{report.rejected:,}"
    if report.left_out:
        yield "rows closed, left out", f"{report.left_out:,}"
    if report.passed_over:
        yield PASSED_OVER, f"{report.passed_over:,}"
    if report.repeated:
        yield "codes repeated", f"{report.repeated:,}"
    if report.effect.changes is not None:
        for kind, name in _CHANGES.items():
            yield name, f"{report.effect.changes[kind]:,}"
    if report.kept:
        yield "kept until their new rate begins", f"{report.kept:,}"
    yield "blocked", f"{report.effect.counts.blocked:,}"
    yield "free of charge", f"{report.effect.counts.free:,}"
    yield "directions", f"{report.directions:,}"
    yield "prices are per", report.price_unit
    if report.ignored_columns:
        yield "columns not used", ", ".join(report.ignored_columns)
    yield "seconds", f"{report.seconds:.1f}"
    if report.seconds >= 1:
        yield "rates a second", f"{report.rates / report.seconds:,.0f}"


def _warnings(report: ImportReport) -> Iterator[tuple[str | tuple[str, str], ...]]:
    """What the operator may not have meant, each a line of texts and styled texts."""
    if not report.price_unit_said:
        yield (
            f"The file does not say what its prices are for; they were taken per {report.price_unit}."
            " If that is wrong, import it again with --price-unit.",
        )
    if report.base is None and report.ahead is not None and report.ahead.keys and report.ahead.first is not None:
        first = local_time(report.ahead.first, report.time_zone)
        yield (
            (f"No rate before {first}:", "bold yellow"),
            f" {report.ahead.keys:,} of the deck begin later, such as {report.ahead.prefix}. Where only coming prices"
            " are in the file, import it with --delta.",
        )
    if report.next_version is not None:
        version, instant = report.next_version
        yield (f"Version {version} is scheduled, and replaces this one at {local_time(instant, report.time_zone)}.",)


def _report_json(report: ImportReport) -> dict[str, Any]:
    changes, ahead, after = report.changes, report.ahead, report.next_version
    return {
        "tariff": report.tariff,
        "created": report.tariff_created,
        "currency": report.currency,
        "version": report.version,
        "effective_from": report.effective_from.isoformat(),
        "scheduled": report.scheduled,
        "rates": report.rates,
        "taken": report.taken,
        "rejected": report.rejected,
        "repeated": report.repeated,
        "left_out": report.left_out,
        "delta": None
        if report.base is None
        else {
            "base": report.base,
            "new": changes.added,
            "changed": changes.changed,
            "closed": changes.closed,
            "unchanged": changes.unchanged,
        },
        "without_rate_until_later": 0 if ahead is None else ahead.keys,
        "sheet": report.sheet,
        "date_order": None if report.date_order is None else report.date_order.value,
        "columns": [
            {"column": one.column.value, "name": one.name, "times": one.factor or "1"} for one in report.columns
        ],
        "read_otherwise": [
            *({"what": what, "count": count, "example": example} for what, count, example in report.notes),
            *([{"what": PASSED_OVER, "count": report.passed_over, "example": ""}] if report.passed_over else []),
        ],
        "kept_until_later": report.kept,
        "blocked": report.effect.counts.blocked,
        "blocked_instead_of_rejected": report.blocked_instead,
        "free_of_charge": report.effect.counts.free,
        "changes": None
        if report.effect.changes is None
        else {kind.value: count for kind, count in report.effect.changes.items()},
        "next_version": None if after is None else {"version": after[0], "effective_from": after[1].isoformat()},
        "directions": report.directions,
        "price_unit": report.price_unit.value,
        "ignored_columns": list(report.ignored_columns),
        "rejected_file": None if report.rejected_file is None else str(report.rejected_file),
        "seconds": round(report.seconds, 3),
    }
