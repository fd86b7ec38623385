"""One command of a user who has shown a session: what a handler is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from rating_engine.api.teleum.errors import NOT_FOUND, Failure
from rating_engine.api.teleum.reading import Values
from rating_engine.api.teleum.words import Words, words_for
from rating_engine.domain.did import Did, DidState
from rating_engine.domain.page import MAX_LIMIT, Cursor
from rating_engine.domain.party import Party
from rating_engine.services.catalogue import UseCases

Answer = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """`party`: who asks. `base_url`: how the port was asked, with a slash behind it."""

    values: Values
    use: UseCases
    party: Party
    base_url: str

    @cached_property
    def words(self) -> Words:
        """Of the user's language."""
        return words_for(self.party.language)

    @property
    def who(self) -> int:
        """The user's number."""
        return self.party.party_id

    async def numbers(self) -> Sequence[Did]:
        """The user's own numbers that are connected, in their order."""
        page = await self.use.dids.page(Cursor(MAX_LIMIT), own=True)
        return [did for did in page.items if did.party_id == self.who and did.state is not DidState.ORDERED]

    async def number(self, named: str) -> Did:
        """One of them, by its id or in digits. Raises Failure."""
        found = await self.found_number(named)
        if found is None:
            raise Failure(NOT_FOUND)
        return found

    async def found_number(self, named: str) -> Did | None:
        """The same; None: none of the user's."""
        own = await self.numbers()
        by_id = [did for did in own if str(did.did_id) == named]
        return next(iter(by_id or [did for did in own if did.number == named]), None)


Handler = Callable[[Asked], Awaitable[Answer]]
NO_NUMBER: Final = "0"
