"""Words that carriers write where a deck has a status, a price or a time of day.

Law: a word is known or it is not. What is not known is never taken for a usual one.
"""

from __future__ import annotations

import re
from typing import Final

_AMOUNT_OF_CHANGE: Final = re.compile(r"[+−-]\s*\d+(?:[.,]\d+)?\s*%?|\d+(?:[.,]\d+)?\s*%|0", re.ASCII)  # +3 %, -0.01
_WORD: Final = re.compile(r"[^\W_]+")
# Of a status, what says nothing by itself: "rate increase" is an increase.
_FILLERS: Final = frozenset(
    ("rate", "rates", "price", "prices", "pricing", "cost", "code", "codes", "the", "a", "in", "is")
)

# A status by which a code is open: its price is what the row says.
_OPEN: Final = frozenset(
    (
        *(
            "active",
            "activated",
            "open",
            "opened",
            "unblocked",
            "unbarred",
            "enabled",
            "allowed",
            "available",
            "ok",
            "current",
            "currently",
        ),
        *("valid", "live", "existing", "confirmed", "reopened", "re opened"),
        *("new", "added", "add", "addition", "new destination", "new breakout", "new area", "newly added"),
        *("effective", "in effect", "effect", "effective now", "now effective"),
        *("unchanged", "no change", "no changes", "not changed", "nochange", "n c", "nc", "same", "remains"),
        *("stable", "unchange", "equal", "as before"),
        *("changed", "change", "changes", "updated", "update", "modified", "revised", "amended", "correction"),
        *("increase", "increased", "increasing", "increment", "raise", "raised", "up", "higher", "inc", "incr"),
        *("decrease", "decreased", "decreasing", "reduction", "reduced", "lowered", "lower", "down", "dec", "decr"),
        *("increase pending", "decrease pending", "pending increase", "pending decrease", "pending", "future"),
        *("promo", "promotion", "special", "special offer"),
    )
)
_BLOCKED: Final = frozenset(
    (
        *("blocked", "block", "barred", "bar", "suspended", "suspend", "inactive", "disabled", "not available"),
        *("unavailable", "not offered", "no service", "not supported", "unsupported", "out of service"),
        *("temporarily closed", "temporarily blocked", "temporarily suspended", "stopped", "stop"),
    )
)
_CLOSED: Final = frozenset(
    (
        *("closed", "close", "closing", "deleted", "delete", "deletion", "discontinued", "discontinue", "removed"),
        *("remove", "removal", "expired", "expire", "terminated", "terminate", "termination", "withdrawn", "withdraw"),
        *("withdrawal", "ended", "end", "ending", "ceased", "cancelled", "canceled", "obsolete", "to be deleted"),
        *("to be closed", "to be removed"),
    )
)
# In the place of a price, where a carrier takes no calls to a code.
_NO_PRICE: Final = frozenset(
    (
        *(_BLOCKED | _CLOSED),
        *("n a", "na", "nil", "none", "null", "tba", "tbd", "tbc", "to be advised", "to be confirmed", "on request"),
        *("upon request", "ask", "call", "poa", "no", "no offer", "not offer", "no route", "not applicable"),
        *("not priced", "unpriced", "not open", "not active"),
    )
)
_DASHES: Final = frozenset("-–—−")
_ARROWS: Final = frozenset(("↑", "↓", "→", "=", "▲", "▼"))

_ANY_TIME: Final = frozenset(
    (
        *("any", "all", "always", "allday", "alldays", "everyday", "flat", "flatrate", "alltime", "alltimes"),
        *("anytime", "anytimes", "anyday", "anyhour", "allhours", "allhour", "fullday", "wholeday", "default"),
        *("24", "24h", "24hr", "24hrs", "24hour", "24hours", "247", "24x7", "7x24", "024", "0024", "023", "0023"),
        *("00002400", "00002359", "0002400", "0002359", "000000235959", "000000240000", "0000000000", "00000000"),
        *("na", "none", "notimeband", "notime", "monsun", "mondaysunday", "all24h", "24hday", "24hoursaday"),
    )
)


def says_open(status: str) -> bool:
    """Whether a status says that calls are taken, at the price of the row."""
    plain = _plain(status)
    return _is_sign(status) or _is_of(plain, _OPEN)


def says_blocked(status: str) -> bool:
    """Whether a status says that calls are not taken."""
    return _is_of(_plain(status), _BLOCKED)


def says_closed(status: str) -> bool:
    """Whether a status says that the code is no more."""
    return _is_of(_plain(status), _CLOSED)


def says_no_price(cell: str) -> bool:
    """Whether a word stands for a price that there is not: the code is blocked. An empty cell is none."""
    text = cell.strip()
    if not text:
        return False
    return text in _DASHES or text.strip("-–—−") == "" or _words(text.strip("#")) in _NO_PRICE


def says_any_time(band: str) -> bool:
    """Whether a time of day is every time of day."""
    return not _words(band) or _words(band).replace(" ", "") in _ANY_TIME


def _is_of(plain: str, known: frozenset[str]) -> bool:
    """Whether a status is known as a whole, or every word of it: "new, effective"."""
    return plain in known or (bool(plain) and all(word in known for word in plain.split()))


def _is_sign(status: str) -> bool:
    text = status.strip()
    if _AMOUNT_OF_CHANGE.fullmatch(text):
        return True
    return not _words(text) and (not text or text in _DASHES or text in _ARROWS)


def _plain(status: str) -> str:
    """A status without what says nothing by itself; '' where nothing is left."""
    words = _words(status).split()
    return " ".join(word for word in words if word not in _FILLERS)


def _words(text: str) -> str:
    return " ".join(_WORD.findall(text.casefold()))
