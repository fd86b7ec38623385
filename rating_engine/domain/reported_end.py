"""Ends of calls that an exchange wrote down when no engine took them, and what became of each when it was posted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from rating_engine.domain.outcomes import CallKey


@dataclass(frozen=True, slots=True)
class ReportedEnd:
    """One line of a file that says how a call ended.

    `moment`: when, as it is written there, in the exchange's own time; '' where the line has none. `attempt`, `login`:
    None where the line does not say (a CDR of the exchange). `route`: by which trunk, '' where it does not say.
    `is_did`: by which number of ours it came in, '' where it went out.
    """

    line: int
    uniqueid: str
    seconds: int
    disposition: str
    cause: int
    moment: str
    destination: str
    attempt: int | None = None
    login: str | None = None
    route: str = ""
    is_did: str = ""

    @property
    def is_cdr(self) -> bool:
        """Whether it is a record of the exchange's own, and no line of the dialplan's."""
        return self.attempt is None


@dataclass(frozen=True, slots=True)
class KnownCall:
    """A call as the database has it: open, or ended. `final`: its end was heard, and stands.

    `cap_seconds`: how long it might last; None where it is over. `seconds`: 0 while it is open.
    """

    call_key: CallKey
    login: str
    destination: str
    route: str
    prepared_at: datetime
    final: bool
    seconds: int
    cap_seconds: int | None


class PostOutcome(StrEnum):
    """What became of one line."""

    CHARGED = "charged"  # or would be, in a preview
    KNOWN = "charged before"
    REFUSED = "refused"  # it is not certain, or the engine says no
    UNMATCHED = "no rated call"  # a record of the exchange of which the engine knows nothing
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class PostedEnd:
    """One line and what became of it; `cost` as charged, None where it was not. `call`, `login`: '' where not known."""

    line: int
    outcome: PostOutcome
    call: str = ""
    login: str = ""
    destination: str = ""
    seconds: int = 0
    cost: Decimal | None = None
    currency: str = ""
    reason: str = ""
