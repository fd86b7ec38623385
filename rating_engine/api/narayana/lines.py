"""The lines of callPrepare and callFinish: fields by blanks, so that no field has one; `-` where there is nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from rating_engine.domain.outcomes import Allowed, Saved, Spooled

NO_PITCH: Final = -1  # nothing is changed


def allowed_line(call: Allowed, pitch: int = NO_PITCH) -> str:
    """Allowed seconds destination callerid direction prefix route, and the pitches of what is heard and said."""
    fields = (call.destination, call.callerid, call.direction, call.route_prefix, call.route_name)
    return f"Allowed {call.max_seconds} {' '.join(map(word, fields))} {NO_PITCH} {pitch}"


def saved_line(call: Saved | Spooled, status: str) -> str:
    """Saved direction [callerid/destination] via [route] seconds cost currency status; the status as it was given.

    What a call costs that waits on disk is not known yet: `-`.
    """
    cost = "-" if call.cost is None else plain(call.cost)
    return (
        f"Saved {word(call.direction)} [{word(call.callerid)}/{word(call.destination)}] via [{word(call.route_name)}] "
        f"{call.seconds} {cost} {word(call.currency or '')} {word(status)}"
    )


def plain(amount: Decimal) -> str:
    """0, 0.25: no more decimals than it has."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def word(text: str) -> str:
    """Without blanks, brackets and what cannot be printed: RussiaMobile-Tele2."""
    return "".join(sign for sign in text if sign.isprintable() and sign not in " []") or "-"
