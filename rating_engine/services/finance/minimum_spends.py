"""The least that the calls of users cost in a month: what they cost less is taken once the month has ended.

Laws: a month is settled once, by a fee whose reference names it, from the user's own account; what is not there is
owed, and months are settled in their order. Only whole months count, and none that had ended before somebody said so.
What nobody knows in the system's currency puts a month off.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

import structlog

from rating_engine.domain.checks import check_above_zero, check_amount
from rating_engine.domain.errors import InvalidRequest, RatingEngineError
from rating_engine.domain.invoice import month_of
from rating_engine.domain.minimum_spend import MinimumSpend, first_month, month_after
from rating_engine.domain.party import SYSTEM
from rating_engine.domain.principal import Principal
from rating_engine.rating.exchange import ExchangeRates
from rating_engine.rating.money import AMOUNT_DECIMALS, format_amount, quantise
from rating_engine.storage.audit_log import note_of, record
from rating_engine.storage.finance import minimum_spends as store
from rating_engine.storage.finance.purses import purse_of_party
from rating_engine.storage.numbers.rents import Taken, take_fee_of
from rating_engine.storage.parties.parties import find_party, hold_party
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs.exchange_rates import load_exchange_rates

BATCH: Final = 200  # read at a time
ENDED: Final = timedelta(hours=13)  # after a month's end: calls that ended in it are told by then

_log = structlog.get_logger(__name__)


class MinimumSpends:
    """What one principal does with them. `system_currency`: of their amounts."""

    def __init__(
        self, database: Database, principal: Principal, now: Callable[[], datetime], *, system_currency: str
    ) -> None:
        self._database = database
        self._principal = principal
        self._now = now
        self._system = system_currency

    async def show(self, who: str | int) -> MinimumSpend | None:
        """Of a user; None: there is none. Errors: NotFound, Unavailable."""
        return await store.minimum_of(self._database, (await find_party(self._database, who)).party_id)

    async def put(self, who: str | int, amount: Decimal, since: date | None = None) -> MinimumSpend:
        """From the first whole month from `since` on (None: today). Errors: InvalidRequest, NotFound, Unavailable."""
        check_amount(amount, "amount")
        check_above_zero(amount, "amount")
        today = self._now().date()
        since = since or today
        if since < today.replace(day=1):
            raise InvalidRequest("since", f"is before this month: from {today.replace(day=1)} on")
        async with self._database.transaction(self._principal) as tx:
            party = await hold_party(tx, who)
            if party.party_id == SYSTEM or party.hidden:
                raise InvalidRequest("user", f"{party.login!r} makes no calls")
            await store.put_minimum(tx, party.party_id, amount, since, first_month(since))
            await record(tx, "minimum_spend.put", party.login, {"amount": amount, "since": since})
        found = await self.show(party.party_id)
        assert found is not None
        return found

    async def remove(self, who: str | int) -> None:
        """What is owed of ended months is forgotten. Errors: NotFound, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            party = await hold_party(tx, who)
            await store.remove_minimum(tx, party.party_id)
            await record(tx, "minimum_spend.remove", party.login)

    async def turn(self) -> int:
        """Settle of each user the next month that has ended; how many were. Errors: Unavailable."""
        settled, after = 0, None
        while due := await store.due_minimums(self._database, self._now().date().replace(day=1), after, BATCH):
            for minimum in due:
                try:
                    settled += await self._settle(minimum)
                except RatingEngineError as error:
                    _log.warning("minimum_spend_put_off", user=minimum.user, problem=str(error))
            after = due[-1].party_id
        return settled

    async def _settle(self, minimum: MinimumSpend) -> bool:
        """False: it has not ended, or cannot be settled now."""
        purse = await purse_of_party(self._database, minimum.party_id)
        if purse is None:
            return False
        month = month_of(minimum.next_month.year, minimum.next_month.month, purse.time_zone)
        if month.ends_at + ENDED > self._now():
            return False
        known = ExchangeRates(await load_exchange_rates(self._database))
        rates = known.all_to(self._system, month.ends_at)
        spent = await store.spent_by_calls(
            self._database, minimum.party_id, month.begins_at, month.ends_at, rates
        )  # fmt: skip
        if spent is None or purse.currency not in rates:
            _log.warning("minimum_spend_put_off", user=minimum.user, problem="a currency has no exchange rate")
            return False
        fee = quantise(max(minimum.amount - spent, Decimal(0)) / rates[purse.currency], AMOUNT_DECIMALS)
        if fee > 0:
            detail = {"month": f"{month.start:%Y-%m}", "fee": fee, "spent": spent}
            taken = await take_fee_of(
                self._database, purse.bucket, purse.account_id, fee,
                f"minimum:{minimum.party_id}:{month.start:%Y-%m}",
                f"minimum for calls, {month.start:%Y-%m}, {format_amount(minimum.amount)} {self._system}",
                note_of(self._principal, "minimum_spend.fee", minimum.user, detail),
            )  # fmt: skip
            if taken not in (Taken.POSTED, Taken.REPEATED):
                return False
        async with self._database.transaction(self._principal) as tx:
            await store.note_settled(tx, minimum, month_after(month.start))
        return True
