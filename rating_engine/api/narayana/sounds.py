"""An amount as names of sounds joined by `&`, as Playback() takes them. Pure.

`balance & null & euro & null & cents & tadam3s`: 0 is `null`; other numbers are those of Asterisk's own sounds
(digits/1 … digits/hundred), below zero `minus` before them. More is never said than there is: cents are cut off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import ROUND_DOWN, Decimal
from typing import Final

MOST: Final = 999_999_999  # what can be said; more is said as this
_ZERO: Final = "null"
_UNITS: Final[Mapping[str, tuple[str, str]]] = {
    "EUR": ("euro", "cents"),
    "USD": ("dollars", "cents"),
    "GBP": ("pounds", "pence"),
    "RUB": ("rubles", "kopecks"),
}
_GROUPS: Final = ((1_000_000, "digits/million"), (1_000, "digits/thousand"), (100, "digits/hundred"))


def balance_sounds(amount: Decimal, currency: str) -> str:
    """The sounds of an amount; of a currency without sounds of its own by its code."""
    cents = int((abs(amount) * 100).to_integral_value(ROUND_DOWN))
    whole, rest = divmod(cents, 100)
    unit, part = _UNITS.get(currency, (currency.lower() or "units", "cents"))
    sign = ("minus",) if amount < 0 and cents else ()
    return "&".join(("balance", *sign, *number_sounds(min(whole, MOST)), unit, *number_sounds(rest), part, "tadam3s"))


def number_sounds(number: int) -> tuple[str, ...]:
    """A number from 0 to MOST."""
    return tuple(_spoken(number)) or (_ZERO,)


def _spoken(number: int) -> Iterator[str]:
    for size, name in _GROUPS:
        if number >= size:
            yield from _spoken(number // size)
            yield name
            number %= size
    if number > 20 and number % 10:
        yield f"digits/{number - number % 10}"
        number %= 10
    if number:
        yield f"digits/{number}"
