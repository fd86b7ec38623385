"""A call that a black or white list has kept out, as operators see it: there is no CDR of it, since it never was one.

Source: shared/spec/domain.md 2.9, mor.md section 6 (hangup causes 255, 256, 262, 263).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rating_engine.domain.outcomes import DeclineReason


@dataclass(frozen=True, slots=True)
class RefusedCall:
    """`login`: of the line that called, '' of a call that came in; `number`: who was called, as it was asked for.

    `cause`: the one that MOR documents for the reason.
    """

    at: datetime
    call_key: str
    login: str
    callerid: str
    number: str
    reason: DeclineReason
    cause: int


@dataclass(frozen=True, slots=True)
class RefusedCallFilter:
    """Which of them: of a line, or to or by a number; None: all."""

    login: str | None = None
    number: str | None = None
