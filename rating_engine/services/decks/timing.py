"""When a deck comes into force.

Law: in the future or at once. In the past it would change what calls cost that were made.
"""

from __future__ import annotations

from datetime import datetime

from rating_engine.domain.errors import InvalidRequest


def check_ahead(instant: datetime | None, now: datetime) -> None:
    """Whether a deck can come into force then; None: at once. Errors: InvalidRequest where that has passed."""
    if instant is not None and instant <= now:
        raise InvalidRequest(
            "effective_from",
            f"{instant.isoformat()} has passed: the price of a call that was made does not change any more",
        )
