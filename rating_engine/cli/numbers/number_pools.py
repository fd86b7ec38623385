"""`rating-engine number-pool`: numbers that belong together; and `user lists`: what a user makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.table import Column, Table

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, reported_errors, say, with_services
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.number_lists import ListKind, ListSide, NewNumberPool, NumberList, pool_number
from rating_engine.services.catalogue import UseCases
from rating_engine.services.numbers.number_pools import MOST_AT_ONCE

number_pools_app = typer.Typer(no_args_is_help=True, help="Pools of numbers, for black and white lists of users.")

_Each = TypeVar("_Each")

Name = Annotated[str, typer.Argument(metavar="POOL")]
Numbers = Annotated[
    list[str] | None, typer.Argument(metavar="[NUMBER]...", help="79010000001; 7901* is all that begin so.")
]
FileOption = Annotated[Path | None, typer.Option("--file", metavar="FILE", help="More of them, one a line.")]
SideOption = Annotated[str | None, typer.Option(metavar="KIND:POOL|none", help="blacklist:POOL or whitelist:POOL.")]


@number_pools_app.command(epilog="Example: rating-engine number-pool add premium --description 'Costly numbers'")
def add(
    name: Name,
    description: Annotated[str, typer.Option(help="For people.")] = "",
    config: ConfigOption = None,
) -> None:
    """Make an empty pool."""
    with reported_errors():
        new = NewNumberPool(name, description)
    with_services(config, lambda services: services.number_pools.add(new))
    say(f"number pool {name} added")


@number_pools_app.command(epilog="Example: rating-engine number-pool put premium '4990*' 79010000001")
def put(name: Name, numbers: Numbers = None, file: FileOption = None, config: ConfigOption = None) -> None:
    """Put numbers into a pool; they count from the next call on."""
    with reported_errors():
        wanted = [pool_number(line) for line in lines_of(numbers, file)]

    async def work(services: UseCases) -> int:
        return sum([await services.number_pools.put(name, part) for part in parts_of(wanted)])

    say(f"{name}: {with_services(config, work):,} more")


@number_pools_app.command(epilog="Example: rating-engine number-pool take premium 79010000001")
def take(name: Name, numbers: Numbers = None, file: FileOption = None, config: ConfigOption = None) -> None:
    """Take numbers out of a pool."""
    with reported_errors():
        wanted = [pool_number(line) for line in lines_of(numbers, file)]

    async def work(services: UseCases) -> int:
        return sum([await services.number_pools.take(name, part) for part in parts_of(wanted)])

    say(f"{name}: {with_services(config, work):,} fewer")


@number_pools_app.command("list", epilog="Example: rating-engine number-pool list")
def list_(
    limit: LimitOption = None, after: AfterOption = None, json: JsonOption = False, config: ConfigOption = None
) -> None:
    """The pools, and how many entries each has."""
    page = with_services(config, lambda services: listed(services.number_pools.page, limit, after))
    if json:
        pools = [{"pool": each.name, "description": each.description, "entries": each.entries} for each in page.items]
        print_json({"pools": pools, **next_json(page)})
        return
    table = Table("pool", Column("entries", justify="right"), "description")
    for pool in page.items:
        table.add_row(pool.name, f"{pool.entries:,}", pool.description)
    out.print(table)
    say_next(page)


@number_pools_app.command(epilog="Example: rating-engine number-pool show premium --limit 100")
def show(
    name: Name,
    limit: LimitOption = None,
    after: AfterOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """The numbers of a pool."""
    page = with_services(
        config, lambda services: listed(lambda cursor: services.number_pools.numbers(name, cursor), limit, after)
    )
    if json:
        print_json({"pool": name, "numbers": [str(each) for each in page.items], **next_json(page)})
        return
    for number in page.items:
        out.print(str(number), highlight=False)
    say_next(page)


@number_pools_app.command(epilog="Example: rating-engine number-pool remove premium")
def remove(name: Name, config: ConfigOption = None) -> None:
    """Delete a pool with its numbers; no list may go by it."""
    with_services(config, lambda services: services.number_pools.remove(name))
    say(f"number pool {name} is gone")


def lists(
    user: Annotated[str, typer.Argument(metavar="USER")],
    source: SideOption = None,
    destination: SideOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Whom a user's lines may call (destination), and who may call them (source); shown where nothing is set."""
    with reported_errors():
        given = {ListSide.SOURCE: source, ListSide.DESTINATION: destination}
        wanted = {side: _list(text, side) for side, text in given.items() if text is not None}

    async def work(services: UseCases) -> dict[ListSide, NumberList]:
        for side, each in wanted.items():
            await services.number_pools.set_list(user, side, each)
        return await services.number_pools.lists_of(user)

    found = with_services(config, work)
    shown = {side.value: f"{found[side].kind}:{found[side].pool}" if side in found else None for side in ListSide}
    if json:
        print_json({"user": user, **shown})
        return
    for side, text in shown.items():
        say((f"{side}: ", "bold"), text or words.NONE)


def _list(text: str, side: ListSide) -> NumberList | None:
    if text == words.NONE:
        return None
    kind, colon, pool = text.partition(":")
    if not colon or not pool:
        raise InvalidRequest(side.value, f"{text[:40]!r} is neither none nor such as blacklist:POOL")
    return NumberList(words.choice(ListKind, kind, side.value), pool)


def lines_of(numbers: list[str] | None, file: Path | None) -> list[str]:
    """Numbers that are named, and those of a file. Raises InvalidRequest."""
    lines = list(numbers or ())
    if file is not None:
        try:
            lines += [line for line in file.read_text("utf-8").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidRequest("file", f"cannot be read: {error}") from None
    if not lines:
        raise InvalidRequest("numbers", "name some, or a --file of them")
    return lines


def parts_of(numbers: list[_Each]) -> list[list[_Each]]:
    """As many at a time as one request takes."""
    return [numbers[first : first + MOST_AT_ONCE] for first in range(0, len(numbers), MOST_AT_ONCE)]
