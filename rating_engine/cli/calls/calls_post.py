"""`rating-engine calls post`: ends of calls that no engine took, charged out of the exchange's own files."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from rating_engine.cli.common import (
    EXIT_INCOMPLETE,
    ConfigOption,
    JsonOption,
    err,
    out,
    print_json,
    say,
    with_services,
)
from rating_engine.domain.reported_end import PostedEnd, PostOutcome
from rating_engine.rating.money import format_amount
from rating_engine.services.cdrs.posting import PostOptions, PostProgress, PostReport

SHOWN: Final = 50  # lines in words that were not charged; --json has all
LEFT: Final = (PostOutcome.REFUSED, PostOutcome.UNREADABLE, PostOutcome.UNMATCHED)


def post(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Asterisk's log, or its Master.csv; also as .gz.")],
    exchange: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Whose file it is, as calls name it; if not given, as far as it is certain."),
    ] = None,
    time_zone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Of the file's times; this machine's if not given.")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Of call records in another order: clid,src,dst,… with Asterisk's names."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be charged, and change nothing.")] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Charge calls whose end no engine took: by the lines `rating: NOT SAVED` of Asterisk's log, or its call records.

    Each call is charged once, however often a file is posted. A record of which no call was asked for is never priced.
    Exit status: 0 all is charged, 1 the file cannot be used, 2 some lines were left, which are listed.
    """
    names = None if columns is None else tuple(name.strip().casefold() for name in columns.split(","))
    options = PostOptions(exchange, time_zone, names, dry_run)
    with _progress_bar() as show:
        report = with_services(config, lambda services: services.call_posting.post(file, options, show))
    if json:
        print_json({"dry_run": dry_run, **_report_json(report)})
    else:
        _say_report(report, dry_run=dry_run)
    if any(report.counts[outcome] for outcome in LEFT):
        raise typer.Exit(EXIT_INCOMPLETE)


def _say_report(report: PostReport, *, dry_run: bool) -> None:
    charged = [one for one in report.listed if one.outcome is PostOutcome.CHARGED]
    if charged:
        out.print(_table(charged))
    for outcome in (PostOutcome.KNOWN, *LEFT):
        _say_lines([one for one in report.listed if one.outcome is outcome], report.counts[outcome])
    counts = report.counts
    kind = "Asterisk's log" if report.is_log else "call records"
    done = "would be charged" if dry_run else "charged"
    left = sum(counts[outcome] for outcome in LEFT)
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for one in charged:
        sums[one.currency] += one.cost or Decimal(0)
    money = ", ".join(f"{format_amount(amount)} {currency}" for currency, amount in sorted(sums.items()))
    done += f" {counts[PostOutcome.CHARGED]:,}" + (f" ({money})" if money else "")
    say(f"{kind}: {done}, charged before {counts[PostOutcome.KNOWN]:,}, left {left:,}")
    if dry_run:
        say("nothing was changed: this is what the command would do without --dry-run")


def _table(charged: Sequence[PostedEnd]) -> Table:
    right = [Column(name, justify="right") for name in ("line", "seconds", "cost")]
    table = Table(right[0], Column("call", no_wrap=True), "login", "destination", *right[1:], "currency", "why")
    for one in charged:
        cost = "" if one.cost is None else format_amount(one.cost)
        table.add_row(
            str(one.line), one.call, one.login, one.destination, str(one.seconds), cost, one.currency, one.reason
        )
    return table


def _say_lines(lines: Sequence[PostedEnd], count: int) -> None:
    told = [one for one in lines if one.outcome is not PostOutcome.KNOWN or one.reason]
    for one in told[:SHOWN]:
        about = f" {one.call}" if one.call else ""
        say((f"line {one.line}{about}:", "yellow"), f" {one.outcome}{f', {one.reason}' if one.reason else ''}")
    more = (len(told) if lines and lines[0].outcome is PostOutcome.KNOWN else count) - SHOWN
    if more > 0:
        say(f"and {more:,} lines more: --json lists them")


def _report_json(report: PostReport) -> dict[str, Any]:
    return {
        "kind": "log" if report.is_log else "cdr",
        "charged": report.counts[PostOutcome.CHARGED],
        "charged_before": report.counts[PostOutcome.KNOWN],
        "refused": report.counts[PostOutcome.REFUSED],
        "unmatched": report.counts[PostOutcome.UNMATCHED],
        "unreadable": report.counts[PostOutcome.UNREADABLE],
        "lines": [
            {
                "line": one.line,
                "outcome": one.outcome.value,
                "call": one.call,
                "login": one.login,
                "destination": one.destination,
                "seconds": one.seconds,
                "cost": None if one.cost is None else str(one.cost),
                "currency": one.currency,
                "reason": one.reason,
            }
            for one in report.listed
        ],
    }


@contextlib.contextmanager
def _progress_bar() -> Iterator[Callable[[PostProgress], None]]:
    """A bar over the bytes of the file, then over what is charged; on stderr, gone at the end."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("reading", total=None)

        def show(progress: PostProgress) -> None:
            description = "charging" if progress.charging else "reading"
            bar.update(task, description=description, total=progress.total, completed=progress.done)

        yield show
