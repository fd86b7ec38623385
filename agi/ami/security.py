"""Security events of an exchange: who could not log in there, from where. Pure.

Asterisk sends them to managers with `read = security`, for each SIP request and for its own manager port alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from rating_engine.domain.watching import FailedLogin

# Of somebody who guesses. What is for a person at the exchange (ACLs, limits, load) is none of them.
FAILURES: Final = frozenset(
    {"InvalidAccountID", "ChallengeResponseFailed", "InvalidPassword", "FailedACL", "AuthMethodNotAllowed"}
)
LENGTH_MAX: Final = 64  # characters of what somebody wrote, in the reason of a ban

_ADDRESS: Final = re.compile(r"IPV[46]/[^/]*/([0-9A-Fa-f.:]+)(?:%[^/]*)?/\d*")


def failed_login(event: Mapping[str, object]) -> FailedLogin | None:
    """What an event says of a login that failed; None: it is about something else."""
    name = str(event.get("Event", ""))
    found = _ADDRESS.fullmatch(str(event.get("RemoteAddress", ""))) if name in FAILURES else None
    if found is None:
        return None
    account = "".join(letter for letter in str(event.get("AccountID", "")) if letter.isascii() and letter.isprintable())
    service, session = (str(event.get(field, ""))[:LENGTH_MAX] for field in ("Service", "SessionID"))
    return FailedLogin(found[1], account[:LENGTH_MAX], name, service, session)
