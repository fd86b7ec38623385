"""How long a call that is planned would last on the money there is now, of all who pay for it; nothing is held.

Law: what reserve() would say with the same money; the least of all who pay counts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal

from rating_engine.domain.account import AccountState
from rating_engine.domain.outcomes import Declined, DeclineReason
from rating_engine.domain.reservation import ResellerHold
from rating_engine.rating.charge import max_duration
from rating_engine.rating.rate import Rate
from rating_engine.services.calls.plan import Plan
from rating_engine.storage.calls.reseller_funds import ResellerFund

# The funds of accounts (bucket, accounts, destination).
FundsOf = Callable[[int, Sequence[int], str], Awaitable[Mapping[int, ResellerFund]]]


async def seconds_on(plan: Plan, state: AccountState, funds_of: FundsOf) -> int | Declined:
    """The seconds that it would last, or why it may not be made. Errors: Unavailable, Overloaded."""
    longest = _on_own(plan, state)
    if isinstance(longest, Declined) or not plan.request.resellers:
        return longest
    request = plan.request
    prices = request.details.resellers
    funds = await funds_of(request.bucket, [price.account_id for price in prices], request.details.destination)
    for price, hold in zip(prices, request.resellers, strict=True):
        fund = funds.get(price.account_id)
        refusal = _refusal(fund, hold)
        if fund is None or refusal is not None:
            return Declined(refusal or DeclineReason.RESELLER_INACTIVE)
        rest = fund.rest
        if rest is not None:
            rest = _shared(rest, request.share, hold.share_least, is_last=fund.calls_left == 1)
            longest = min(longest, max_duration(Rate.from_json(price.rate), rest, request.cap_seconds))
    return longest


def _on_own(plan: Plan, state: AccountState) -> int | Declined:
    request = plan.request
    funds: Decimal | None = None
    for left, refusal in (
        (state.available, DeclineReason.INSUFFICIENT_FUNDS),
        (_left(state.daily_limit, state.day_spent, state), DeclineReason.DAILY_LIMIT),
        (_left(state.monthly_limit, state.month_spent, state), DeclineReason.MONTHLY_LIMIT),
    ):
        if left is not None and left < request.minimum and request.minimum > 0:
            return Declined(refusal)
        if left is not None:
            funds = left if funds is None else min(funds, left)
    if funds is None:
        return request.cap_seconds
    is_last = state.max_calls is not None and state.max_calls - state.open_calls <= 1
    funds = _shared(funds, request.share, request.share_least, is_last=is_last)
    return max_duration(plan.rate, funds, request.cap_seconds)


def _left(limit: Decimal | None, spent: Decimal, state: AccountState) -> Decimal | None:
    return None if limit is None else limit - spent - state.reserved


def _refusal(fund: ResellerFund | None, hold: ResellerHold) -> DeclineReason | None:
    """As ask_resellers in schema.sql."""
    if fund is None or not fund.is_active:
        return DeclineReason.RESELLER_INACTIVE
    too_dear = fund.max_price is not None and hold.price_per_minute > fund.max_price
    if too_dear or not fund.allowed or (fund.calls_left is not None and fund.calls_left <= 0):
        return DeclineReason.RESELLER_LIMIT
    if hold.minimum > 0 and fund.rest is not None and fund.rest < hold.minimum:
        return DeclineReason.RESELLER_INSUFFICIENT_FUNDS
    return None


def _shared(funds: Decimal, share: Decimal | None, least: Decimal, *, is_last: bool) -> Decimal:
    """What one of several calls may have of it: as amount_granted in schema.sql."""
    if share is None or is_last:
        return funds
    return min(funds, max(funds * share, least))
