"""`rating-engine rate`: what a call would cost."""

from __future__ import annotations

from typing import Annotated, Any, Final

import orjson
import typer
from rich.table import Table

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, say, with_services
from rating_engine.cli.decks.rate_words import rate_words
from rating_engine.rating.charge import Line, LineKind
from rating_engine.rating.money import format_amount
from rating_engine.services.calls.quote import Quote
from rating_engine.services.catalogue import UseCases

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
        str | None,
        typer.Option(
            metavar="WHEN", help="When it starts, as 2026-12-01T08:00, in the tariff's time zone; now if not given."
        ),
    ] = None,
    caller: Annotated[str, typer.Option(metavar="NUMBER", help="Who calls, where rates depend on it.")] = "",
    routing_number: Annotated[
        str, typer.Option(metavar="NUMBER", help="As translated (LRN), for tariffs that price by it.")
    ] = "",
    attempt: Annotated[int, typer.Option(min=1, help="The how manieth of the call, where prices depend on it.")] = 1,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """What a call would cost, line by line. Exit status 1 when no rate serves the number."""

    async def work(services: UseCases) -> Quote:
        starts = None if at is None else words.moment(at, "at", await services.tariffs.time_zone(tariff))
        return await services.quotes.quote(
            tariff, number, seconds, at=starts, origin=caller, routing_number=routing_number, attempt=attempt
        )

    found = with_services(config, work)
    if json:
        print_json(_quote_json(found))
    else:
        _print_quote(found)


def _print_quote(found: Quote) -> None:
    match, charged = found.match, found.charge
    direction = f" ({match.direction.name})" if match.direction.name else ""
    band = f" ({found.band})" if found.band else ""
    say(
        f"{found.destination} on {found.tariff}{band}: prefix {match.prefix}{direction}, {rate_words(charged.rate)}",
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


def _quote_json(found: Quote) -> dict[str, Any]:
    charged = found.charge
    return {
        "number": found.number,
        "destination": found.destination,
        "tariff": found.tariff,
        "at": found.at.isoformat(),
        "band": found.band or None,
        "currency": found.match.currency,
        "prefix": found.match.prefix,
        "direction": found.match.direction.name,
        "rate": orjson.loads(charged.rate.to_json()),
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
