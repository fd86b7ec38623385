"""`rating-engine rate`: what a call would cost."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer
from rich.markup import escape
from rich.table import Table

from rating_engine.cli.common import ConfigOption, JsonOption, load_settings, open_database, out, print_json, run
from rating_engine.domain.errors import InvalidRequest
from rating_engine.rating.charge import Line, LineKind
from rating_engine.rating.money import format_amount
from rating_engine.rating.rate import IncrementMode, Rate
from rating_engine.services.rate_decks.quote import Quote, quote

_LINES: Final = {
    LineKind.CONNECT_FEE: "connect fee",
    LineKind.COVERED: "paid by packages",
    LineKind.FIRST_INTERVAL: "first interval",
    LineKind.STEP_CHARGE: "step charge",
    LineKind.TIER: "tier",
    LineKind.NEXT_INTERVALS: "next intervals",
    LineKind.BLOCK_CHARGE: "block charge",
    LineKind.SURCHARGE: "surcharge",
    LineKind.MINIMUM_CHARGE: "up to the minimum charge",
}


def rate(
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="As dialled.")],
    tariff: Annotated[str, typer.Option(help="Whose rates.")],
    seconds: Annotated[int, typer.Option(min=0, help="Answered seconds.")],
    at: Annotated[
        str | None, typer.Option(metavar="INSTANT", help="When it starts, as 2026-12-01T08:00+01:00; UTC unless said.")
    ] = None,
    caller: Annotated[str, typer.Option(metavar="NUMBER", help="Who calls, where rates depend on it.")] = "",
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """What a call would cost, line by line. Exit status 1 when no rate serves the number."""

    async def work() -> Quote:
        settings = load_settings(config)
        async with open_database(settings) as database:
            return await quote(
                database,
                tariff,
                number,
                seconds,
                international_prefix=settings.international_prefix,
                at=None if at is None else _instant(at),
                origin=caller,
            )

    found = run(work())
    if json:
        print_json(_quote_json(found))
    else:
        _print_quote(found)


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequest("at", f"{text!r} is not an instant such as 2026-12-01T08:00+01:00") from None
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)


def _print_quote(found: Quote) -> None:
    match, charged = found.match, found.charge
    direction = f" ({escape(match.direction.name)})" if match.direction.name else ""
    out.print(
        f"{found.destination} on {escape(found.tariff)}: prefix {match.prefix}{direction}, {rate_words(charged.rate)}",
        highlight=False,
        soft_wrap=True,
    )
    table = Table("", "quantity", "seconds", f"price {match.currency}", f"amount {match.currency}")
    for column in table.columns[1:]:
        column.justify = "right"
    for line in charged.lines:
        seconds = str(line.seconds) if line.seconds else ""
        table.add_row(
            _LINES[line.kind], str(line.quantity), seconds, format_amount(line.unit_price), format_amount(line.amount)
        )
    table.add_section()
    table.add_row("total", "", str(charged.billed_seconds), "", format_amount(charged.cost), style="bold")
    out.print(table)


def rate_words(rate: Rate) -> str:
    """A rate in one line: what its table of lines does not say by itself."""
    prices = format_amount(rate.price_1)
    if rate.price_n != rate.price_1:
        prices += f" then {format_amount(rate.price_n)}"
    factor = "" if rate.multiplier == 1 else f" x {format_amount(rate.multiplier)}"
    said = [f"{prices}{factor} per {rate.price_unit}, {rate.interval_1}/{rate.interval_n}"]
    if rate.increment_mode is IncrementMode.TOTAL:
        said.append("the whole call rounded up")
    if rate.tiers:
        said.append(f"after {len(rate.tiers)} tiers")
    said += [f"from second {change.at_second} {format_amount(change.price_n)}" for change in rate.changes]
    for seconds, word in ((rate.free_seconds, "free"), (rate.grace_period, "grace"), (rate.added_seconds, "added")):
        if seconds:
            said.append(f"{seconds} s {word}")
    if rate.minimum_charge:
        said.append(f"at least {format_amount(rate.minimum_charge)}")
    return ", ".join(said)


def _quote_json(found: Quote) -> dict[str, Any]:
    charged = found.charge
    return {
        "number": found.number,
        "destination": found.destination,
        "tariff": found.tariff,
        "currency": found.match.currency,
        "prefix": found.match.prefix,
        "direction": found.match.direction.name,
        "seconds": charged.seconds,
        "billed_seconds": charged.billed_seconds,
        "cost": format_amount(charged.cost, charged.rate.decimals),
        "lines": [_line_json(line) for line in charged.lines],
    }


def _line_json(line: Line) -> dict[str, Any]:
    return {
        "kind": line.kind.value,
        "quantity": line.quantity,
        "seconds": line.seconds,
        "unit_price": format_amount(line.unit_price),
        "amount": format_amount(line.amount),
    }
