"""Users who spend more than they should within some minutes: found each minute, told by mail, and blocked.

Laws: whom it blocks, whom it tells and what it has counted is one transaction; what has been counted counts no more, so
who is let go starts anew; who is protected is told and never blocked. What nobody knows in the system's currency is not
counted.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from rating_engine.domain.change import LEAVE, given
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.monitoring import Monitoring, MonitoringChanges, NewMonitoring
from rating_engine.domain.principal import Principal
from rating_engine.rating.exchange import ExchangeRates
from rating_engine.rating.money import format_amount, quantise
from rating_engine.services.parties.lately import until_forgotten
from rating_engine.storage.audit_log import record
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.transaction import Transaction
from rating_engine.storage.support import monitorings as store
from rating_engine.storage.tariffs.exchange_rates import load_exchange_rates

BATCH: Final = 500  # of one monitoring and turn; the rest at the next one, a minute later
SHOWN_DECIMALS: Final = 2


class Monitorings:
    """What one principal does with them. `system_currency`: of their amounts."""

    def __init__(
        self, database: Database, principal: Principal, now: Callable[[], datetime], *, system_currency: str
    ) -> None:
        self._database = database
        self._principal = principal
        self._now = now
        self._system = system_currency

    async def add(self, new: NewMonitoring) -> Monitoring:
        """One more, which is on. Errors: InvalidRequest (users), Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            await _check_users(tx, new.users)
            number = await store.add_monitoring(tx, new)
            await record(tx, "monitoring.add", str(number), given(new))
        return await self.show(number)

    async def show(self, number: int) -> Monitoring:
        """Errors: NotFound, Unavailable."""
        return await store.find_monitoring(self._database, number)

    async def page(self) -> list[Monitoring]:
        """All of them: a handful, made by hand. Errors: Unavailable."""
        return await store.list_monitorings(self._database)

    async def change(self, number: int, changes: MonitoringChanges) -> Monitoring:
        """Set what is given. Errors: InvalidRequest (users), NotFound, Unavailable."""
        values = given(changes)
        async with self._database.transaction(self._principal) as tx:
            await store.find_monitoring(tx, number)
            if changes.users is not LEAVE:
                await _check_users(tx, changes.users)
            await store.change_monitoring(tx, number, values)
            await record(tx, "monitoring.change", str(number), values)
        return await self.show(number)

    async def remove(self, number: int) -> None:
        """Who is blocked stays so. Errors: NotFound, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            await store.find_monitoring(tx, number)
            await store.remove_monitoring(tx, number)
            await record(tx, "monitoring.remove", str(number))

    async def turn(self) -> int:
        """Look who has spent more; how many were caught. Errors: Unavailable."""
        watches = [each for each in await self.page() if each.enabled]
        if not watches:
            return 0
        known = ExchangeRates(await load_exchange_rates(self._database))
        rates = known.all_to(self._system, self._now())
        caught = 0
        for watch in watches:
            since = self._now() - timedelta(minutes=watch.minutes)
            for each in await store.above(self._database, watch, since, rates, BATCH):
                caught += await self._act(watch, each)
        if caught:
            await until_forgotten()
        return caught

    async def _act(self, watch: Monitoring, caught: store.Caught) -> bool:
        """Count it against somebody, once."""
        async with self._database.transaction(self._principal) as tx:
            if not await store.catch(tx, watch.monitoring_id, caught):
                return False
            blocked = watch.block and await store.block(tx, caught.party_id)
            await store.tell(tx, caught.party_id, *self._words(watch, caught, blocked=blocked))
            await record(
                tx, "monitoring.caught", caught.login,
                {"monitoring": watch.monitoring_id, "spent": caught.spent, "blocked": blocked},
            )  # fmt: skip
        return True

    def _words(self, watch: Monitoring, caught: store.Caught, *, blocked: bool) -> tuple[str, str]:
        """Subject and body."""
        spent, most = (
            f"{format_amount(quantise(amount, SHOWN_DECIMALS), SHOWN_DECIMALS)} {self._system}"
            for amount in (caught.spent, watch.amount)
        )
        then = " It is blocked: no call is made until somebody lets it go." if blocked else ""
        return (
            f"{caught.login} has spent {spent}{' and is blocked' if blocked else ''}",
            f"The calls of {caught.login} within {watch.minutes} minutes cost {spent}, more than {most}.{then}\n",
        )


async def _check_users(tx: Transaction, users: tuple[int, ...]) -> None:
    unknown = await store.unknown_user(tx, users) if users else None
    if unknown is not None:
        raise InvalidRequest("users", f"no user has the number {unknown}")
