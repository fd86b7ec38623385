"""How long the calls of an account may last, and what they hold, in words: what whoever creates an account is told."""

from __future__ import annotations

from rating_engine.domain.account import AccountKind, AccountState
from rating_engine.services.calls.hold import ChargingPolicy, Hold, hold_of

_UNITS = ((3_600, "h"), (60, "min"), (1, "s"))


def hold_words(policy: ChargingPolicy, state: AccountState) -> str:
    """A sentence for calls of exchanges that are watched, and one for the others."""
    prepaid = state.kind is AccountKind.PREPAID
    watched, alone = (
        hold_of(policy, quota=state.quota, own=state.max_call_seconds, prepaid=prepaid, watched=is_watched)
        for is_watched in (True, False)
    )
    if state.overdraft is None and state.daily_limit is None and state.monthly_limit is None:
        return f"Its calls hold nothing, and end after {_time(alone.longest)} at the latest."
    return (
        f"Where the exchange is watched (AMI) a call holds the money of {_time(watched.ahead)} at a time, and goes on"
        f" while there is money, {_time(watched.longest)} at most. Elsewhere it holds {_alone(alone, state)} when it"
        f" starts, ends with that, and lasts {_time(alone.longest)} at most."
    )


def _alone(hold: Hold, state: AccountState) -> str:
    if hold.share is None or hold.share == 1 or state.max_calls == 1:
        return "all it needs of what is available"
    return f"at most {hold.share * 100:f}".rstrip("0").rstrip(".") + (
        f" % of what is available, but the money of {_time(hold.floor)} as far as there is so much"
    )


def _time(seconds: int) -> str:
    """In the largest unit that it is whole in."""
    unit, name = next((unit, name) for unit, name in _UNITS if seconds % unit == 0)
    return f"{seconds // unit} {name}"
