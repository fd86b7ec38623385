"""`rating-engine rates set`, `remove`, `cancel`, `edits`: single rates, changed without another version of the deck."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from rating_engine.cli import words
from rating_engine.cli.common import (
    CommandError,
    ConfigOption,
    JsonOption,
    out,
    print_json,
    reported_errors,
    say,
    with_services,
)
from rating_engine.cli.decks.rate_words import rate_words
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.rate_edit import EditedRate, RateKey
from rating_engine.rating.rate import InvalidRate, Rate

Tariff = Annotated[str, typer.Argument(metavar="TARIFF")]
Prefix = Annotated[str, typer.Argument(metavar="PREFIX", help="Digits that the numbers begin with.")]
OriginOption = Annotated[
    str, typer.Option(metavar="DIGITS", help="For callers whose number begins so alone; or inter, intra.")
]
BandOption = Annotated[str, typer.Option(metavar="BAND", help="For calls of this time of day alone.")]
SinceOption = Annotated[
    str | None, typer.Option("--from", metavar="TIME", help="For calls that start then or later; at once if not given.")
]
ZoneOption = Annotated[str, typer.Option("--time-zone", metavar="ZONE", help="Of --from.")]


def set_(
    tariff: Tariff,
    prefix: Prefix,
    direction: Annotated[str, typer.Option(metavar="CODE", help="The direction the numbers belong to.")],
    price: Annotated[str | None, typer.Option(metavar="AMOUNT", help="Of a minute.")] = None,
    increments: Annotated[
        str, typer.Option(metavar="FIRST/NEXT", help="Seconds of the first interval and of the later ones.")
    ] = "1/1",
    connect_fee: Annotated[str, typer.Option(metavar="AMOUNT", help="Of an answered call.")] = "0",
    blocked: Annotated[bool, typer.Option("--blocked", help="Decline such calls.")] = False,
    origin: OriginOption = "",
    band: BandOption = "",
    since: SinceOption = None,
    time_zone: ZoneOption = "UTC",
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Set what calls to a prefix cost, in the deck in force; the next import brings its own rates."""
    with reported_errors():
        if (price is None) != blocked:
            raise CommandError("say either --price or --blocked")
        rate = None if price is None else _rate(price, increments, connect_fee)
        begins = None if since is None else words.moment(since, "since", time_zone)
    key = RateKey(prefix, origin, band)
    edit = with_services(
        config, lambda services: services.rate_edits.set_rate(tariff, key, rate, direction=direction, since=begins)
    )
    _print(edit, as_json=json)


def remove(
    tariff: Tariff,
    prefix: Prefix,
    origin: OriginOption = "",
    band: BandOption = "",
    since: SinceOption = None,
    time_zone: ZoneOption = "UTC",
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Take a rate out of the deck in force: such calls go by a shorter prefix, or are declined."""
    with reported_errors():
        begins = None if since is None else words.moment(since, "since", time_zone)
    key = RateKey(prefix, origin, band)
    edit = with_services(config, lambda services: services.rate_edits.remove_rate(tariff, key, since=begins))
    _print(edit, as_json=json)


def cancel(
    tariff: Tariff,
    prefix: Prefix,
    begins: Annotated[str, typer.Argument(metavar="TIME", help="When it would begin, as `rates edits` shows it.")],
    origin: OriginOption = "",
    band: BandOption = "",
    time_zone: ZoneOption = "UTC",
    config: ConfigOption = None,
) -> None:
    """Take back a change of a rate that is still ahead."""
    with reported_errors():
        moment = words.moment(begins, "begins", time_zone)
    key = RateKey(prefix, origin, band)
    with_services(config, lambda services: services.rate_edits.cancel(tariff, key, moment))
    say(f"the change of {prefix} at {moment.isoformat()} is taken back")


def edits(tariff: Tariff, json: JsonOption = False, config: ConfigOption = None) -> None:
    """The rates that were changed since the deck in force was published."""
    found = with_services(config, lambda services: services.rate_edits.list_edits(tariff))
    if json:
        print_json({"edits": [_json(edit) for edit in found]})
        return
    if not found:
        say("no rate was changed since the deck was published")
        return
    table = Table("prefix", "origin", "band", "direction", "rate", "from", "until")
    for edit in found:
        until = "" if edit.effective_to is None else edit.effective_to.isoformat()
        table.add_row(
            edit.key.prefix, edit.key.origin, edit.key.band, edit.direction, _said(edit),
            edit.effective_from.isoformat(), until,
        )  # fmt: skip
    out.print(table)


def _rate(price: str, increments: str, connect_fee: str) -> Rate:
    first, slash, later = increments.partition("/")
    if not slash:
        raise InvalidRequest("increments", f"{increments[:20]!r} is not FIRST/NEXT such as 60/1")
    try:
        return Rate(
            price_1=words.amount(price, "price"),
            price_unit="minute",
            interval_1=words.whole(first, "increments"),
            interval_n=words.whole(later, "increments"),
            connect_fee=words.amount(connect_fee, "connect_fee"),
        )
    except InvalidRate as error:
        written = {"price_1": "price", "interval_1": "increments", "interval_n": "increments"}
        raise InvalidRequest(written.get(error.field, error.field), error.problem) from None


def _said(edit: EditedRate) -> str:
    if edit.removed:
        return "removed"
    return "blocked" if edit.rate is None else rate_words(edit.rate)


def _print(edit: EditedRate, *, as_json: bool) -> None:
    if as_json:
        print_json(_json(edit))
        return
    until = "" if edit.effective_to is None else f" until {edit.effective_to.isoformat()}"
    say(f"{edit.key.prefix}: {_said(edit)}, from {edit.effective_from.isoformat()}{until}")


def _json(edit: EditedRate) -> dict[str, Any]:
    return {
        "prefix": edit.key.prefix,
        "origin": edit.key.origin,
        "band": edit.key.band,
        "direction": edit.direction,
        "rate": None if edit.rate is None else edit.rate.to_json(),
        "blocked": edit.blocked,
        "removed": edit.removed,
        "effective_from": edit.effective_from.isoformat(),
        "effective_to": None if edit.effective_to is None else edit.effective_to.isoformat(),
    }
