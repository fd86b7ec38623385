"""The country codes of ITU-T E.164, as far as codes of decks need them to be told apart."""

from __future__ import annotations

from typing import Final

from rating_engine.rating.nanp import country_of_area

LONGEST: Final = 3  # digits

_ONE: Final = frozenset("17")
_TWO: Final = frozenset(
    (
        *("20", "27", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46", "47", "48", "49"),
        *("51", "52", "53", "54", "55", "56", "57", "58", "60", "61", "62", "63", "64", "65", "66", "81", "82", "84"),
        *("86", "90", "91", "92", "93", "94", "95", "98"),
    )
)
_ZONES_OF_THREE: Final = frozenset(
    (
        *("21", "22", "23", "24", "25", "26", "29", "35", "37", "38", "42", "50", "59", "67", "68", "69", "80", "85"),
        *("87", "88", "96", "97", "99"),
    )
)
# Where a national number keeps its 0 behind the country code, or has come to begin with one.
KEEP_THEIR_ZERO: Final = frozenset(("39", "225", "229", "241", "242", "378", "379"))


def is_country_code(code: str) -> bool:
    """Whether digits are a country code: no more and no less."""
    return code in _ONE or code in _TWO or (len(code) == LONGEST and code[:2] in _ZONES_OF_THREE)


def country_of(digits: str) -> str:
    """The country code that digits begin with; '' where they begin with none."""
    return next((digits[:length] for length in range(1, LONGEST + 1) if is_country_code(digits[:length])), "")


def country_of_code(code: str) -> str:
    """What tells the country of a code from others: of those that share 1 or 7 the country, else the country code.

    Other countries that share a code, as Guernsey has 44, are one with it. '' where the code is of none.
    """
    if code.startswith("1"):
        area = code[1:4]
        return country_of_area(area) or f"1{area}" if len(area) == len("201") else "US"
    if code.startswith("7"):
        return "KZ" if code[1:2] in ("6", "7") else "RU"
    return country_of(code)
