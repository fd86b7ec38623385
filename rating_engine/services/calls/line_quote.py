"""What a call of a line would cost now, and how long it would last: by what plans and prices calls themselves.

Law: nothing is held for it, and it says what callPrepare would say of a call that is alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Final

from rating_engine.domain.outcomes import CallKey, Declined, PrepareCall
from rating_engine.domain.tariff import Route
from rating_engine.rating.charge import charge
from rating_engine.rating.rate import Rate
from rating_engine.services.calls.hold import ChargingPolicy
from rating_engine.services.calls.lasting import seconds_on
from rating_engine.services.calls.plan import Plan, Planning
from rating_engine.services.facts.memory import CallMemory
from rating_engine.storage.calls.reseller_funds import reseller_funds
from rating_engine.storage.parties.accounts import account_state
from rating_engine.storage.parties.logins import unknown_login
from rating_engine.storage.postgres.pool import Database

MINUTE: Final = 60
NO_CALL: Final = CallKey("quote", "quote")  # of no exchange, so that nobody is asked for it


@dataclass(frozen=True, slots=True)
class LineQuote:
    """`reason`: why the call may not be made now; '': it may. `max_seconds`: how long it lasts on the money there is.

    `rate`: in `currency`, with all that tariff, options and packages do to it, None: nothing serves the number.
    `first_minute`: what 60 seconds cost.
    """

    login: str
    number: str
    destination: str
    direction: str
    prefix: str
    tariff: str
    currency: str
    rate: Rate | None
    first_minute: Decimal | None
    max_seconds: int
    reason: str


class LineQuotes:
    """What calls of lines would cost."""

    def __init__(self, database: Database, policy: ChargingPolicy, default_route: tuple[str, str]) -> None:
        self._database = database
        self._policy = policy
        self._default_route = Route(*default_route, "", 1)

    async def quote(self, login: str, number: str) -> LineQuote:
        """A call of `login` to `number`, as dialled, that begins now. Errors: NotFound (the login), Unavailable."""
        state = await account_state(self._database, login)
        if state is None:
            raise unknown_login(login)
        memory = CallMemory(
            self._database,
            default_route=self._default_route,
            international_prefix=self._policy.international_prefix,
        )
        planning = Planning(memory.sources, self._policy)
        plan = await planning.plan(PrepareCall(NO_CALL, login, number), datetime.now(UTC))
        if isinstance(plan, Declined):
            reason = plan.reason.value
            return LineQuote(login, number, "", "", "", state.tariff, state.currency, None, None, 0, reason)
        lasts = await seconds_on(plan, state, partial(reseller_funds, self._database))
        return _quote(login, number, plan, lasts)


def _quote(login: str, number: str, plan: Plan, lasts: int | Declined) -> LineQuote:
    details = plan.request.details
    return LineQuote(
        login=login,
        number=number,
        destination=details.destination,
        direction=details.direction,
        prefix=details.prefix,
        tariff=plan.tariff.name,
        currency=plan.subscriber.currency,
        rate=plan.rate,
        first_minute=charge(plan.rate, MINUTE).cost,
        max_seconds=0 if isinstance(lasts, Declined) else lasts,
        reason=lasts.reason.value if isinstance(lasts, Declined) else "",
    )
