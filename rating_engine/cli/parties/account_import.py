"""`rating-engine account import`: a file of accounts, all of them or none."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rating_engine.cli.common import (
    EXIT_FAILED,
    EXIT_INCOMPLETE,
    ConfigOption,
    JsonOption,
    print_json,
    say,
    with_services,
)
from rating_engine.rating.money import format_amount
from rating_engine.services.parties.account_import import AccountImportReport

SHOWN = 10  # rejected rows in words; all of them are in the file


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV with a header; see docs/operations.md.")],
    tariff: Annotated[str | None, typer.Option(help="Of accounts for which the file names none.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would do, and change nothing.")] = False,
    skip_rejected: Annotated[
        bool, typer.Option("--skip-rejected", help="Create the others where rows are rejected.")
    ] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Create the accounts of a file with their opening balances, in one go: all of them, or none.

    Columns: login, tariff, balance, currency, overdraft, kind (prepaid, postpaid), max_calls, callerid. Rows that
    cannot be taken are written to FILE.rejected.csv with the reason. A file that was imported before changes nothing.
    Exit status: 0 every account is there, 1 nothing was created, 2 created without the rejected rows.
    """
    report = with_services(
        config,
        lambda services: services.account_imports.import_file(
            file, tariff=tariff, dry_run=dry_run, skip_rejected=skip_rejected
        ),
    )
    if json:
        print_json({"dry_run": dry_run, **_report_json(report)})
    else:
        _say_report(report, dry_run=dry_run)
    if report.held:
        raise typer.Exit(EXIT_FAILED)
    if report.rejected:
        raise typer.Exit(EXIT_INCOMPLETE)


def _say_report(report: AccountImportReport, *, dry_run: bool) -> None:
    balances = ", ".join(f"{format_amount(amount)} {currency}" for currency, amount in report.balances.items())
    made = f"{report.created:,} accounts, opening balances {balances or '0'}"
    if report.repeated:
        say(f"the file was imported before ({made}); nothing changed")
        return
    if report.unused:
        say(f"columns not used: {', '.join(report.unused)}")
    for row in report.rejected[:SHOWN]:
        say((f"line {row.line}:", "yellow"), f" {row.reason}")
    if report.rejected:
        say((f"Not taken: {len(report.rejected):,} rows,", "bold yellow"), f" see {report.rejected_file}")
    if report.held:
        say("nothing was created: mend the rows, or say --skip-rejected")
    elif dry_run:
        say(f"would create {made}; nothing was changed")
    else:
        say(f"created {made}, in {report.seconds:.1f} s")


def _report_json(report: AccountImportReport) -> dict[str, Any]:
    return {
        "created": report.created,
        "repeated": report.repeated,
        "balances": {currency: format_amount(amount) for currency, amount in report.balances.items()},
        "rejected": len(report.rejected),
        "rejected_rows": [{"line": row.line, "reason": row.reason} for row in report.rejected],
        "rejected_file": None if report.rejected_file is None else str(report.rejected_file),
        "columns_not_used": list(report.unused),
        "seconds": round(report.seconds, 3),
    }
