"""How long a call may last, and how much of that is paid for ahead: by the settings, the account, and whether its
exchange is watched. No I/O.

Laws: a call that nobody can lengthen holds the money of all it may last. One that can be lengthened holds a first part,
and what comes after it is asked for while it lasts.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final, NamedTuple

from rating_engine.domain.account import Subscriber
from rating_engine.domain.reservation import ResellerHold
from rating_engine.rating.charge import max_charge, min_charge, price_per_minute
from rating_engine.rating.rate import Rate

MONEY_KEPT: Final = 4_096  # as many as rates
HOLDS_KEPT: Final = 1_024  # nearly all calls have one of a few: only limits of their own make more


@dataclass(frozen=True, slots=True, eq=False)  # one a process: `hold_of` looks it up by what it is, not by what it says
class ChargingPolicy:
    """How calls are planned, by the settings of the same names.

    `max_call_seconds`: the longest call where neither login nor account has a limit; `max_reserve_seconds`: the most
    that a prepaid call of these holds at a time, and so its end where nobody can lengthen it.
    `reservation_grace_seconds`: how long past its end a reservation waits for its finish before it expires. `quota`:
    accounts that don't say reserve in slices of `quota_seconds`; where those cannot be lengthened, at most
    `reservation_share` of what is available, but the money of `reservation_floor_seconds`. `watches_exchanges`: whether
    any exchange is to be watched at all.
    """

    max_call_seconds: int = 14_400
    max_reserve_seconds: int = 3_600
    reservation_grace_seconds: int = 300
    international_prefix: str = "00"
    quota: bool = False
    quota_seconds: int = 120
    reservation_share: Decimal = Decimal("0.5")
    reservation_floor_seconds: int = 300
    watches_exchanges: bool = False


class Hold(NamedTuple):
    """`longest`: seconds that the call may last in all; `ahead`: those that are paid for at first, `longest` where it
    cannot be lengthened; `covered`: those for which it holds free seconds of packages.

    `steered`: it can be lengthened. `slices`: it is granted in slices. `share`: it holds at most this part of what is
    available while others of the account may come, but the money of `floor` seconds; None: all there is.
    """

    longest: int
    ahead: int
    covered: int
    steered: bool
    slices: bool
    share: Decimal | None
    floor: int


def own_limit(subscriber: Subscriber) -> int | None:
    """The seconds that a subscriber's calls may last by its own limit and its account's; None: neither has one."""
    own, accounts = subscriber.max_seconds, subscriber.max_call_seconds
    return min(own, accounts) if own and accounts else own or accounts or None


@lru_cache(maxsize=HOLDS_KEPT)
def hold_of(policy: ChargingPolicy, *, quota: bool | None, own: int | None, prepaid: bool, watched: bool) -> Hold:
    """How a call is paid for, of an account that asks for slices or not (`quota`; None: as the settings say).

    `own`: as `own_limit`. `watched`: its exchange can be told how long it lasts.
    """
    in_slices = policy.quota if quota is None else quota
    at_a_time = min(policy.max_reserve_seconds, policy.max_call_seconds)
    if own is not None:
        longest = own
    elif watched or not prepaid:  # a bill binds nobody's money
        longest = policy.max_call_seconds
    else:
        longest = at_a_time
    ahead = longest
    if watched:
        ahead = min(longest, policy.quota_seconds if in_slices else policy.max_reserve_seconds)
    return Hold(
        longest=longest,
        ahead=ahead,
        covered=longest if own is not None else min(longest, at_a_time),
        steered=watched,
        slices=watched and in_slices,
        share=policy.reservation_share if in_slices and not watched else None,
        floor=min(longest, policy.reservation_floor_seconds),
    )


@lru_cache(maxsize=MONEY_KEPT)
def money_of(rate: Rate, ahead: int, floor: int | None) -> ResellerHold:
    """What is asked of who pays by a rate: the money of `ahead` seconds; `floor`: as Hold has it, None: nothing is
    shared."""
    minimum = min_charge(rate)
    return ResellerHold(
        minimum=minimum,
        maximum=max(minimum, max_charge(rate, ahead)),
        share_least=Decimal(0) if floor is None else max(minimum, max_charge(rate, floor)),
        price_per_minute=price_per_minute(rate),
    )
