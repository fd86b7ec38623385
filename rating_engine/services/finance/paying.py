"""Whose money a paper moves, and by how much: what payments and credit notes have in common.

Law: only an administrator of the system confirms money that came from outside; whoever is below one confirms with money
of its own account, which then changes hands.
"""

from __future__ import annotations

from decimal import ROUND_UP, Decimal
from typing import Final

from rating_engine.domain.errors import NotAllowed
from rating_engine.domain.party import Level
from rating_engine.domain.principal import Principal
from rating_engine.rating.money import AMOUNT_DECIMALS, EXACT, unit
from rating_engine.services.finance.moving import Moving
from rating_engine.storage.finance.purses import Purse
from rating_engine.storage.postgres.pool import Database

_UNIT: Final = unit(AMOUNT_DECIMALS)


class Paying:
    """What one principal pays papers with."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._principal = principal
        self.moving = Moving(database, principal)

    async def payer(self) -> Purse | None:
        """Its own account; None: money comes from outside. Errors: NotAllowed, NotFound (it has none), Unavailable."""
        who = self._principal
        if not who.moves_money:
            raise NotAllowed("moves money, which an accountant does not")
        if who.level >= Level.ADMIN and who.sees_all:
            return None
        purse = await self.moving.own(who.realm)
        purse.check_open()
        return purse

    async def taken(self, payer: Purse | None, amount: Decimal, currency: str) -> Decimal | None:
        """What that is of the payer's account, rounded up: no money is made by a conversion. Errors: NoExchangeRate."""
        if payer is None:
            return None
        rate = await self.moving.rate(currency, payer.currency)
        return EXACT.multiply(amount, rate).quantize(_UNIT, rounding=ROUND_UP, context=EXACT)
