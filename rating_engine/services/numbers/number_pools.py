"""Pools of numbers, and the lists of users that go by them. What is changed counts from the next call or message on.

Law: pools are the installation's, and lists are given by who manages it: a user sees its own and changes none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.number_lists import ListSide, NewNumberPool, NumberList, NumberPool, PoolNumber
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.party import SYSTEM
from rating_engine.domain.principal import Principal
from rating_engine.storage.audit_log import record
from rating_engine.storage.numbers import number_pools as store
from rating_engine.storage.parties.parties import find_party, hold_party
from rating_engine.storage.postgres.pool import Database

MOST_AT_ONCE: Final = 10_000  # entries of one request: some 300 kB, and one statement of a tenth of a second
SHOWN_IN_AUDIT: Final = 20  # entries of a change that its audit row names; of more it has the number


class NumberPools:
    """What one principal does with pools, each by its name, and with lists."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    async def add(self, new: NewNumberPool) -> NumberPool:
        """An empty pool. Errors: AlreadyExists, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            await store.add_pool(tx, new)
            await record(tx, "number_pool.add", new.name)
        return await self.show(new.name)

    async def show(self, name: str) -> NumberPool:
        """Errors: NotFound, Unavailable."""
        return await store.find_pool(self._database, name)

    async def page(self, cursor: Cursor) -> Page[NumberPool]:
        """By name. Errors: InvalidRequest (after), Unavailable."""
        return await store.list_pools(self._database, cursor)

    async def remove(self, name: str) -> None:
        """Errors: NotFound, InvalidRequest (lists go by it), Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            await store.remove_pool(tx, name)
            await record(tx, "number_pool.remove", name)

    async def numbers(self, name: str, cursor: Cursor) -> Page[PoolNumber]:
        """The entries of a pool. Errors: NotFound, InvalidRequest (after), Unavailable."""
        return await store.list_numbers(self._database, (await self.show(name)).pool_id, cursor)

    async def put(self, name: str, numbers: Sequence[PoolNumber]) -> int:
        """Put entries into a pool; how many were not there. Errors: NotFound, InvalidRequest (numbers), Unavailable."""
        check_number(numbers)
        async with self._database.transaction(self._principal) as tx:
            changed = await store.put_numbers(tx, await store.hold_pool(tx, name), numbers)
            await record(tx, "number_pool.put", name, _in_audit(numbers, changed))
        return changed

    async def take(self, name: str, numbers: Sequence[PoolNumber]) -> int:
        """Take entries out; how many were there. Errors: NotFound, InvalidRequest (numbers), Unavailable."""
        check_number(numbers)
        async with self._database.transaction(self._principal) as tx:
            changed = await store.take_numbers(tx, await store.hold_pool(tx, name), numbers)
            await record(tx, "number_pool.take", name, _in_audit(numbers, changed))
        return changed

    async def set_list(self, who: str | int, side: ListSide, wanted: NumberList | None) -> None:
        """The list of a user; None: none. It decides for all its lines and numbers, not for users below it.

        Errors: InvalidRequest (the system's own user), NotFound (user, pool), Unavailable.
        """
        async with self._database.transaction(self._principal) as tx:
            party = await hold_party(tx, who)
            if party.party_id == SYSTEM:
                raise InvalidRequest("user", "the system's own user has no lists: block destinations of its accounts")
            before = (await store.lists_of(tx, party.party_id)).get(side)
            await store.set_list(tx, party.party_id, side, wanted)
            await record(tx, "user.list", party.login, {"side": side, "before": _text(before), "after": _text(wanted)})

    async def lists_of(self, who: str | int) -> dict[ListSide, NumberList]:
        """The lists that a user has. Errors: NotFound, Unavailable."""
        return await store.lists_of(self._database, (await find_party(self._database, who)).party_id)


def check_number(numbers: Sequence[object]) -> None:
    """How many are put or taken at a time. Raises InvalidRequest."""
    if not 1 <= len(numbers) <= MOST_AT_ONCE:
        raise InvalidRequest("numbers", f"1 to {MOST_AT_ONCE} at a time")


def _in_audit(numbers: Sequence[PoolNumber], changed: int) -> dict[str, object]:
    return {"changed": changed, "of": len(numbers), "numbers": [str(each) for each in numbers[:SHOWN_IN_AUDIT]]}


def _text(wanted: NumberList | None) -> str | None:
    return None if wanted is None else f"{wanted.kind}:{wanted.pool}"
