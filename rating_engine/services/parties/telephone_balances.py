"""Balances for telephones, which prove nothing: asked for by whoever knows a number, where an operator allows it.

Laws: nothing but one amount is told; who guesses passwords is banned as who guesses keys; addresses are limited.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from rating_engine.services.parties.access import Door
from rating_engine.services.parties.bans import WrongKeys
from rating_engine.services.phones.secrets import SecretBox
from rating_engine.storage.parties import telephone_balances as store
from rating_engine.storage.postgres.pool import Database


@dataclass(frozen=True, slots=True)
class Money:
    """A balance in its account's currency."""

    balance: Decimal
    currency: str


class TelephoneBalances:
    """What a telephone asks. One a process."""

    def __init__(self, database: Database, box: SecretBox, wrong: WrongKeys) -> None:
        """`wrong`: told of passwords that nobody has."""
        self._database = database
        self._box = box
        self._wrong = wrong

    async def of_user(self, who: str | int) -> Money | None:
        """Of a user's own account, by login or number; None: there is none. Errors: Unavailable."""
        return _money(await store.balance_of_user(self._database, who))

    async def of_line(self, login: str) -> Money | None:
        """Of the account of a line. Errors: Unavailable."""
        return _money(await store.balance_of_line(self._database, login))

    async def of_password(self, password: str, door: Door) -> Money | None:
        """Of the account of the line that registers by a password; None where none does, or several do.

        Errors: NoSecretKey, Unavailable.
        """
        found = _money(await store.balance_of_password(self._database, self._box.hashes(password)))
        if found is None:
            await self._wrong.heard(door.address, password.encode())
        return found


def _money(found: tuple[Decimal, str] | None) -> Money | None:
    return None if found is None else Money(*found)
