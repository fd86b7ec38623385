"""What the setups of cases of calling cards say, by the id of the case."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tests.support.mor import Mor

CARD_SETUPS: dict[str, Callable[[Mor], Awaitable[None]]] = {}
