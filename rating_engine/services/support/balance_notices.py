"""Mail to users whose balance has fallen below their limit: once for each fall.

Who has an hour for it is told in that hour of its own clock, if the balance is still low then.

Law: the mail is queued in the transaction that says its user was told; a balance that has risen is told of anew when it
falls again. A limit is in the system's currency: where nobody knows what the account's is in it, nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Final

from rating_engine.domain.principal import Principal
from rating_engine.rating.exchange import ExchangeRates
from rating_engine.rating.money import format_amount, quantise
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.support import notices as store
from rating_engine.storage.tariffs.exchange_rates import load_exchange_rates

BATCH: Final = 500  # of one turn; the rest at the next one, a minute later
SHOWN_DECIMALS: Final = 2


class BalanceNotices:
    """Looks who has to be told. `system_currency`: of the limits."""

    def __init__(
        self, database: Database, principal: Principal, now: Callable[[], datetime], *, system_currency: str
    ) -> None:
        self._database = database
        self._principal = principal
        self._now = now
        self._system = system_currency

    async def turn(self) -> int:
        """Tell who has fallen below since the last turn; how many were. Errors: Unavailable."""
        told = 0
        known = ExchangeRates(await load_exchange_rates(self._database))
        now = self._now()
        rates = known.all_to(self._system, now)
        for crossed in await store.crossed_limits(self._database, rates, BATCH, now):
            async with self._database.transaction(self._principal) as tx:
                address = await store.mark_low(tx, crossed.party_id, low=crossed.is_low)
                if crossed.is_low and address:
                    await store.queue(tx, crossed.party_id, address, *_words(crossed))
                    told += 1
        return told


def _words(crossed: store.Crossed) -> tuple[str, str]:
    """Subject and body."""
    balance = f"{_shown(crossed.balance)} {crossed.currency}"
    limit = f"{_shown(crossed.limit / crossed.rate)} {crossed.currency}"
    return (
        f"Your balance is {balance}",
        f"The balance of account {crossed.account_id} of {crossed.login} is {balance}, below the limit of {limit} that"
        " you have set for this notice.\n",
    )


def _shown(amount: Decimal) -> str:
    return format_amount(quantise(amount, SHOWN_DECIMALS), SHOWN_DECIMALS)
