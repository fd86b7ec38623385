"""What an exchange was seen to say of a call, against what its finish says. No I/O.

Law: what is seen of both, answer and hangup, is believed against a finish that cannot be true beside it; so is an
answer against a finish that says there was none. schema.sql (`contradicts`, `end_of_call`) decides; here is what is
charged then.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Final

# A begun second is charged once this much of it has passed, as RATING_TOLERANCE_MS of the shipped dialplan has it: a
# call is charged alike whoever reports its end.
TOLERANCE_SECONDS: Final = 0.2
# What a finish says may be so far from what was seen, and a call so much longer than it was allowed, before a person
# should look at it: an exchange under load is late with its events, and cuts late.
APART_SECONDS: Final = 10
ANSWERED: Final = "ANSWER"  # as DIALSTATUS has it, so that statistics count the call among the answered


def contradicts(said: int, seen: int) -> bool:
    """Whether a finish of `said` seconds cannot be that of a call seen to last `seen`; both 0: no conversation."""
    return (said == 0) != (seen == 0) or abs(said - seen) > APART_SECONDS


def seconds_seen(answered_at: datetime, ended_at: datetime) -> int:
    """The seconds of a conversation that was seen, a begun one whole, at least one."""
    return max(1, math.ceil((ended_at - answered_at).total_seconds() - TOLERANCE_SECONDS))


def seconds_charged(longest: int, answered_at: datetime, ended_at: datetime, *, assumed: bool) -> int:
    """The same, never past the `longest` that what the call was granted pays for where its end is `assumed`.

    A limit that cut some milliseconds late is not the caller's fault either.
    """
    talked = seconds_seen(answered_at, ended_at)
    return max(1, min(talked, longest)) if assumed or talked == longest + 1 else talked
