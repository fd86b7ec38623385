"""Lists at the command line: so many items, or all of them, read a page at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from rating_engine.cli.terminal import say
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.page import MAX_LIMIT, Cursor, Page

T = TypeVar("T")

LimitOption = Annotated[int | None, typer.Option("--limit", metavar="N", help="So many at most; all if not given.")]
AfterOption = Annotated[
    str | None, typer.Option("--after", metavar="CURSOR", help="Those behind: what `next` was of the list before.")
]


async def listed(
    list_page: Callable[[Cursor], Awaitable[Page[T]]], limit: int | None = None, after: str | None = None
) -> Page[T]:
    """`limit` items behind `after`, all of them where it is None. Errors: those of the list, InvalidRequest (limit)."""
    if limit is not None and limit < 1:
        raise InvalidRequest("limit", "must be 1 or more")
    items: list[T] = []
    while True:
        wanted = MAX_LIMIT if limit is None else min(limit - len(items), MAX_LIMIT)
        page = await list_page(Cursor(wanted, after))
        items += page.items
        after = page.next
        if after is None or len(items) == limit:
            return Page(tuple(items), after)


def next_json(page: Page[T]) -> dict[str, str]:
    """`next` of a list that has more; nothing where it is whole."""
    return {} if page.next is None else {"next": page.next}


def say_next(page: Page[T]) -> None:
    """How to see what a list has more."""
    if page.next is not None:
        say(f"there are more: --after {page.next}")
