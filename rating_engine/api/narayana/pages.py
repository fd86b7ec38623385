"""Lists that a method answers whole: read page by page, so many items at most."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from rating_engine.domain.page import MAX_LIMIT, Cursor, Page

MOST: Final = 10_000  # a client that wants more of one answer has to ask for less

T = TypeVar("T")


async def whole_list(read: Callable[[Cursor], Awaitable[Page[T]]], most: int = MOST) -> list[T]:
    """The items from the first on, `most` at the most."""
    items: list[T] = []
    after: str | None = None
    while len(items) < most:
        page = await read(Cursor(min(MAX_LIMIT, most - len(items)), after))
        items += page.items
        after = page.next
        if after is None:
            break
    return items
