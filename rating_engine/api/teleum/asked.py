"""One command of a user who has shown a session: what a handler is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta, timezone, tzinfo
from functools import cached_property
from typing import Any, Final
from zoneinfo import ZoneInfo

from rating_engine.api.teleum.errors import NOT_FOUND, Failure
from rating_engine.api.teleum.reading import Values
from rating_engine.api.teleum.words import Words, words_for
from rating_engine.domain.did import Did, DidState
from rating_engine.domain.page import MAX_LIMIT, Cursor
from rating_engine.domain.party import Party
from rating_engine.services.catalogue import UseCases

Answer = dict[str, Any]
NO_ZONE: Final = "UTC"  # of an account that was given none
MAX_PAGES: Final = 10  # of one's own numbers: 10,000 are more than a contract has


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

    async def zone_name(self) -> str:
        """The time zone of the user's account; '': it has none of its own (UTC), and the user's clock counts."""
        own = await self.use.accounts.own(self.who)
        return "" if own is None or own.time_zone == NO_ZONE else own.time_zone

    async def zone(self) -> tzinfo:
        """By which times are told and read."""
        name = await self.zone_name()
        return ZoneInfo(name) if name else timezone(timedelta(minutes=self.party.utc_offset))

    async def numbers(self) -> Sequence[Did]:
        """The user's own numbers that are connected, in their order."""
        found: list[Did] = []
        after: str | None = None
        for _ in range(MAX_PAGES):
            page = await self.use.dids.page(Cursor(MAX_LIMIT, after), own=True)
            found += page.items
            after = page.next
            if after is None:
                break
        return [did for did in found if did.party_id == self.who and did.state is not DidState.ORDERED]

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
