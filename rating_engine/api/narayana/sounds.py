"""An amount as names of sounds joined by `&`, as Playback() takes them. Pure.

`balance & null & euro & null & cents & tadam3s`: 0 is `null`; other numbers are Asterisk's own sounds, as the language
says them (`spoken_numbers`), and what is counted is in the form that follows the number. More is never said than there
is: what is less than a cent is cut off.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal
from typing import Final, NamedTuple

from rating_engine.api.narayana.spoken_numbers import MOST, counted_form, spoken

ZERO: Final = "null"


class _Counted(NamedTuple):
    """The sound after one, after a few (Russian and Polish alone), after many; and its gender."""

    one: str
    few: str
    many: str
    gender: str = "m"


_CENTS: Final = _Counted("cent", "cents-few", "cents")
_UNITS: Final[Mapping[str, tuple[_Counted, _Counted]]] = {
    "EUR": (_Counted("euro", "euro", "euro"), _CENTS),
    "USD": (_Counted("dollar", "dollars-few", "dollars"), _CENTS),
    "GBP": (_Counted("pound", "pounds-few", "pounds"), _Counted("penny", "pence-few", "pence")),
    "RUB": (_Counted("ruble", "rubles-few", "rubles"), _Counted("kopeck", "kopecks-few", "kopecks", "f")),
    "PLN": (_Counted("zloty", "zlotys-few", "zlotys"), _Counted("grosz", "groszy-few", "groszy")),
}


def balance_sounds(amount: Decimal, currency: str, language: str = "en") -> str:
    """The sounds of an amount; of a currency without sounds of its own by its code. `language`: an ISO 639 code."""
    cents = int((abs(amount) * 100).to_integral_value(ROUND_DOWN))
    whole, rest = divmod(cents, 100)
    unit, part = _UNITS.get(currency, (_Counted(*(currency.lower(),) * 3), _CENTS))
    sign = ("digits/minus",) if amount < 0 and cents else ()
    said = (*_said(min(whole, MOST), unit, language), *_said(rest, part, language))
    return "&".join(("balance", *sign, *said, "tadam3s"))


def _said(number: int, counted: _Counted, language: str) -> tuple[str, ...]:
    sounds = spoken(number, language, counted.gender) if number else (ZERO,)
    return (*sounds, counted[counted_form(number, language)])
