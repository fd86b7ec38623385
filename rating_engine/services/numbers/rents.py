"""What numbers cost: orders and months, each posted once, whoever asks for it and whatever dies in between.

Laws: the money is taken first and by a reference that says which month or order it is for, and the number is changed
then; so who comes again after a crash pays nothing twice and ends what was begun. What could not be paid for is not
given: an order goes back to its pool, a month that was not there leaves the number without calls.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, Protocol

import structlog

from rating_engine.domain.did import (
    LOCAL,
    MAX_AHEAD,
    Did,
    DidPool,
    DidState,
    a_month_after,
    next_month,
    order_reference,
    rent_reference,
)
from rating_engine.domain.errors import (
    Hint,
    NotFound,
    OrderFailed,
    RatingEngineError,
    Refused,
)
from rating_engine.domain.principal import Principal
from rating_engine.domain.transfer import InsufficientMoney
from rating_engine.rating.exchange import ExchangeRates
from rating_engine.storage.audit_log import note_of, record
from rating_engine.storage.numbers import dids as store
from rating_engine.storage.numbers.call_rules import remove_all_rules
from rating_engine.storage.numbers.did_pools import find_pool
from rating_engine.storage.numbers.rents import (
    Payer,
    Taken,
    due_rents,
    ending_rents,
    payer_of,
    stuck_orders,
    take_fee,
)
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.support.notices import queue_of_number
from rating_engine.storage.tariffs.exchange_rates import load_exchange_rates

AHEAD: Final = timedelta(hours=1)  # so long before its end the next month is paid: no call falls between
STUCK_AFTER: Final = timedelta(minutes=2)  # an order takes a second; one that is older has lost who began it
BATCH: Final = 200  # numbers read at a time
_Mail = tuple[str, str]  # subject and body
_CENTS: Final = Decimal("0.000001")

_log = structlog.get_logger(__name__)


class NumberProvider(Protocol):
    """Somebody who has numbers: asked for each one that is ordered from a pool of his."""

    async def order(self, number: str, pool: DidPool, arguments: tuple[str, str, str], reference: str) -> None:
        """Make a number ours; the same reference again changes nothing. Errors: OrderFailed."""


class LocalStock:
    """Numbers that we have: being in the pool is all it takes."""

    async def order(self, number: str, pool: DidPool, arguments: tuple[str, str, str], reference: str) -> None:
        """Nobody has to be asked."""


PROVIDERS: Final[Mapping[str, NumberProvider]] = {LOCAL: LocalStock()}


@dataclass(frozen=True, slots=True)
class RentTurn:
    """What one turn did, in numbers."""

    renewed: int = 0
    unpaid: int = 0
    closed: int = 0
    notified: int = 0
    orders: int = 0


class Rents:
    """Takes what numbers cost. `now`: the instant that months are counted by."""

    def __init__(
        self,
        database: Database,
        principal: Principal,
        now: Callable[[], datetime],
        providers: Mapping[str, NumberProvider] = PROVIDERS,
    ) -> None:
        self._database = database
        self._principal = principal
        self._now = now
        self._providers = providers

    async def begin_order(self, number: str, pool_id: int, party_id: int, arguments: tuple[str, str, str]) -> Did:
        """Take a free number of a pool for a party, and see it through.

        Errors: NotFound, OrderFailed (not free, or the provider refuses), InsufficientMoney, Refused, Unavailable.
        """
        pool = await find_pool(self._database, pool_id)
        if pool.provider not in self._providers:
            raise OrderFailed(f"no provider {pool.provider!r} is configured")
        async with self._database.transaction(self._principal) as tx:
            did = await store.hold_did(tx, number)
            if did.pool_id != pool_id or did.state is not DidState.FREE:
                raise OrderFailed(f"{number} is not to be had in this pool")
            if await payer_of(tx, party_id, None) is None:
                raise _nobody_pays(did)
            await store.change_did(
                tx,
                did.did_id,
                {
                    "state": DidState.ORDERED, "party_id": party_id, "ordered_at": self._now(),
                    "orders": did.orders + 1, "arguments": list(arguments), "monthly_price": pool.monthly_price,
                    "setup_price": pool.setup_price, "currency": pool.currency, "enabled": True, "auto_renew": True,
                },
            )  # fmt: skip
            await record(tx, "did.order", number, {"pool": pool_id, "party": party_id})
        return await self.end_order(number, arguments)

    async def end_order(self, number: str, arguments: tuple[str, str, str] = ("", "", "")) -> Did:
        """The rest of an order that was begun, also by somebody who died. Errors as of `begin_order`."""
        did = await store.find_did(self._database, number)
        if did.state is not DidState.ORDERED or did.party_id is None or did.pool_id is None:
            return did
        pool = await find_pool(self._database, did.pool_id)
        reference = order_reference(did)
        try:
            await self._take(did, did.setup_price + did.monthly_price, reference, f"{number}: connection and a month")
        except Refused:
            await self._back_to_pool(did)
            raise
        try:
            await self._providers[pool.provider].order(number, pool, arguments, reference)
        except (OrderFailed, LookupError) as error:
            back = -(did.setup_price + did.monthly_price)
            await self._take(did, back, f"{reference}:back", f"{number}: could not be had")
            await self._back_to_pool(did)
            raise OrderFailed(str(error)) from error
        return await self._settle(did, a_month_after(self._now()), "did.ordered")

    async def give_back(self, number: str) -> None:
        """A number that was ordered just now goes back to its pool, and its money to who paid. Errors: Unavailable."""
        did = await store.find_did(self._database, number)
        if did.state is DidState.ACTIVE and did.pool_id is not None:
            back = -(did.setup_price + did.monthly_price)
            await self._take(did, back, f"{order_reference(did)}:back", f"{number}: given back")
            await self._back_to_pool(did)

    async def renew(self, number: str) -> Did:
        """Pay a month more, of those that are not over: an engine that was away for a year charges one. Errors:
        NotFound, Refused (nobody's; paid for a hundred years), InsufficientMoney, Unavailable.
        """
        did = await store.find_did(self._database, number)
        if did.state not in (DidState.ACTIVE, DidState.UNPAID) or did.paid_to is None:
            raise Refused(f"{number} is nobody's: it is {did.state}")
        now = self._now()
        if did.paid_to > now + MAX_AHEAD:
            raise Refused(f"{number} is paid to {did.paid_to:%Y-%m-%d} already")
        paid_to = next_month(did.paid_to, now)
        await self._take(did, did.monthly_price, rent_reference(did), f"{number}: a month to {paid_to:%Y-%m-%d}")
        return await self._settle(did, paid_to, "did.renew")

    async def turn(self, *, grace: timedelta, notice: timedelta) -> RentTurn:
        """All that is due: orders ended, months renewed, numbers closed whose rent is missing for longer than `grace`,
        owners told whose month ends within `notice`. One that fails is logged, and the others go on.
        """
        now = self._now()
        orders = 0
        for number in await stuck_orders(self._database, now - STUCK_AFTER, BATCH):
            orders += await self._tried(number, self.end_order)
        counts = dict.fromkeys(("renewed", "unpaid", "closed"), 0)
        after: str | None = None
        while numbers := await due_rents(self._database, now + AHEAD, after, BATCH):
            for number in numbers:
                became = await self._due(number, now, grace)
                if became is not None:
                    counts[became] += 1
            after = numbers[-1]
        return RentTurn(**counts, notified=await self._notify(now, notice), orders=orders)

    async def _due(self, number: str, now: datetime, grace: timedelta) -> str | None:
        """What became of a number whose month ends; None: nothing yet."""
        did = await store.find_did(self._database, number)
        if did.paid_to is None:
            return None
        if did.auto_renew and await self._tried(number, self.renew):
            return "renewed"
        if did.paid_to + grace <= now:
            await self.close(did, "did.close", mail=_closed(did))
            return "closed"
        if did.paid_to <= now and did.state is DidState.ACTIVE:
            await self._set(did, {"state": DidState.UNPAID}, "did.unpaid", mail=_unpaid(did))
            return "unpaid"
        return None

    async def close(self, did: Did, action: str, *, mail: _Mail | None = None) -> None:
        """Make a number nobody's, with its rules; `mail`: to who had it. Errors: Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            held = await store.hold_did(tx, did.number)
            if (held.state, held.paid_to) != (did.state, did.paid_to):
                return  # somebody has paid meanwhile
            await remove_all_rules(tx, did_id=did.did_id)
            await store.change_did(
                tx,
                did.did_id,
                {"state": DidState.CLOSED, "party_id": None, "paid_to": None, "line": None, "notified_at": None},
            )
            await record(tx, action, did.number, {"owner": did.owner, "paid_to": did.paid_to})
            if mail is not None:
                await queue_of_number(tx, did.party_id, *mail)

    async def _tried(self, number: str, work: Callable[[str], Awaitable[object]]) -> bool:
        try:
            await work(number)
        except (Refused, NotFound, OrderFailed) as error:
            _log.info("did_not_paid", number=number, reason=error.code, error=str(error))
            return False
        except RatingEngineError as error:
            _log.warning("did_put_off", number=number, error=str(error))
            return False
        return True

    async def _notify(self, now: datetime, notice: timedelta) -> int:
        numbers = await ending_rents(self._database, now, notice, BATCH)
        for number in numbers:
            did = await store.find_did(self._database, number)
            if did.notified:  # by somebody else, since the list was read
                continue
            _log.warning(
                "did_rent_ends", number=number, owner=did.owner, paid_to=did.paid_to, auto_renew=did.auto_renew
            )
            await self._set(did, {"notified_at": self._now()}, "did.notice", mail=_ends(did))
        return len(numbers)

    async def _set(self, did: Did, values: Mapping[str, object], action: str, *, mail: _Mail | None = None) -> None:
        """Change a number that is still as it was read; `mail`: to its owner, who wants it. Errors: Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            held = await store.hold_did(tx, did.number)
            is_told = mail is not None and held.notified != did.notified  # by somebody else, just now
            if (held.state, held.paid_to) == (did.state, did.paid_to) and not is_told:
                await store.change_did(tx, did.did_id, values)
                await record(tx, action, did.number, {"owner": did.owner, "paid_to": did.paid_to})
                if mail is not None:
                    await queue_of_number(tx, held.party_id, *mail)

    async def _settle(self, did: Did, paid_to: datetime, action: str) -> Did:
        """The number is paid until then, unless somebody else has said so already."""
        paid = {"state": DidState.ACTIVE, "paid_to": paid_to, "notified_at": None}
        await self._set(did, paid, action)
        return await store.find_did(self._database, did.number)

    async def _back_to_pool(self, did: Did) -> None:
        free = {"state": DidState.FREE, "party_id": None, "paid_to": None, "line": None}
        await self._set(did, free, "did.order_failed")

    async def _take(self, did: Did, fee: Decimal, reference: str, subject: str) -> None:
        """Errors: InsufficientMoney, Refused (nobody pays; no exchange rate), Unavailable."""
        assert did.party_id is not None
        payer = await payer_of(self._database, did.party_id, did.line)
        if payer is None:
            raise _nobody_pays(did)
        if fee == 0:
            return
        amount = await self._in_currency_of(payer, fee * payer.did_multiplier, did)
        note = note_of(self._principal, "did.fee", payer.login, {"number": did.number, "fee": amount})
        taken = await take_fee(self._database, payer, amount, reference, subject, note)
        if taken is Taken.UNKNOWN:
            raise _nobody_pays(did)
        if taken is Taken.NOT_THERE:
            raise InsufficientMoney(
                f"{amount} {payer.currency} for {did.number} is more than is available",
                hint=Hint.TOP_UP,
                about={"login": payer.login},
            )

    async def _in_currency_of(self, payer: Payer, fee: Decimal, did: Did) -> Decimal:
        if payer.currency == did.currency:
            return fee.quantize(_CENTS, ROUND_HALF_UP)
        rates = ExchangeRates(await load_exchange_rates(self._database))
        rate = rates.rate_at(did.currency, payer.currency, self._now())
        if rate is None:
            raise Refused(
                f"one {did.currency} in {payer.currency} is not known",
                hint=Hint.NO_EXCHANGE_RATE,
                about={"currency_from": did.currency, "currency_to": payer.currency},
            )
        return (fee * rate).quantize(_CENTS, ROUND_HALF_UP)


def _ends(did: Did) -> _Mail:
    then = "its next month is paid from your account then" if did.auto_renew else "it is not renewed by itself"
    return f"Number {did.number} ends", f"The paid month of {did.number} ends on {_day(did)}: {then}.\n"


def _unpaid(did: Did) -> _Mail:
    why = "could not be paid" if did.auto_renew else "was not renewed"
    return (
        f"Number {did.number} takes no calls",
        f"The month of {did.number} ended on {_day(did)} and {why}. It takes no calls until it is paid.\n",
    )


def _closed(did: Did) -> _Mail:
    return f"Number {did.number} is closed", f"{did.number} was paid to {_day(did)} and is not yours any more.\n"


def _day(did: Did) -> str:
    return "" if did.paid_to is None else f"{did.paid_to:%Y-%m-%d %H:%M} UTC"


def _nobody_pays(did: Did) -> Refused:
    return Refused(f"{did.number}: its owner has no line whose account could pay")
