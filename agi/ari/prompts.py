"""What a caller is told in words: amounts and times as lists of media that Asterisk plays one behind the other. No I/O.

Sources: config/asterisk/balance.conf, which says the same from a dialplan; Asterisk's core sounds, which have a word
for dollars alone, so that other currencies are spelled.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

Media = tuple[str, ...]

CURRENCIES: Final = {"USD": "digits/dollars"}


def amount(money: Decimal, currency: str) -> Media:
    """12.50 EUR: twelve, dot, five, zero, and the currency."""
    whole, parts = divmod(abs(int(money * 100)), 100)
    said = ["digits/minus"] if money < 0 and (whole or parts) else []
    said.append(f"number:{whole}")
    if parts:
        said += ["letters/dot", f"digits:{parts:02d}"]
    said.append(CURRENCIES.get(currency, f"characters:{currency.lower()}"))
    return tuple(said)


def duration(seconds: int) -> Media:
    """Whole minutes, or seconds where it is less than one."""
    if seconds < 60:
        return f"number:{seconds}", "second" if seconds == 1 else "seconds"
    minutes = seconds // 60
    return f"number:{minutes}", "minute" if minutes == 1 else "minutes"
