"""Numbers as people and exchanges write them, made into what the engine compares.

A destination becomes E.164 digits. A caller id becomes text that is safe inside a dialplan variable.
"""

from __future__ import annotations

import re
from typing import Final

MAX_NUMBER_DIGITS: Final = 32  # E.164 has at most 15; technical prefixes and carrier codes come before them
MAX_NUMBER_TEXT: Final = 128  # characters; with any punctuation a number stays far below
MAX_CALLERID_LENGTH: Final = 40  # a number with its technical prefix, or a short name

DEFAULT_INTERNATIONAL_PREFIX: Final = "00"  # recommended by ITU-T; 011 in North America

TRUNK_ZERO: Final = "(0)"  # as in +44 (0) 20: dialled within the country, and no part of the number
# Italy, San Marino and the Vatican have no trunk zero: theirs is part of the number, whatever is written around it.
_ZERO_IS_DIALLED: Final = frozenset({"39", "378", "379"})
_COUNTRY_CODE: Final = re.compile(r"[1-9][0-9]{0,2}")
_BRACKETED_ZERO: Final = re.compile(r"\( *0 *\)")

_PUNCTUATION: Final = str.maketrans("", "", " -.()")
_CALLERID_CHARACTERS: Final = frozenset("0123456789+ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


class InvalidNumber(ValueError):
    """Text that is no number to call; says why without repeating it whole."""


def normalise_destination(text: str, *, international_prefix: str = DEFAULT_INTERNATIONAL_PREFIX) -> str:
    """The digits of a dialled number, 1 to 32 of them, country code first.

    Spaces and `-.()` go, a trailing `#` (the end of dialling), then one leading `+` or else one leading
    `international_prefix` (empty: none), and a zero alone in brackets behind the country code. Raises InvalidNumber for
    anything else that is not an ASCII digit, so that nothing is joined over a separator, for a zero in brackets
    elsewhere, for nothing left, and for too many digits.
    """
    if len(text) > MAX_NUMBER_TEXT:
        raise InvalidNumber(f"is longer than {MAX_NUMBER_TEXT} characters")
    return digits_of(without_punctuation(text).removesuffix("#"), international_prefix)


def digits_of(dialled: str, international_prefix: str) -> str:
    """The same of what has neither punctuation nor a trailing # any more."""
    digits = dialled.removeprefix("+" if dialled.startswith("+") else international_prefix)
    if TRUNK_ZERO in digits:
        digits = _without_trunk_zero(digits)
    if not digits:
        raise InvalidNumber("has no digits")
    if not (digits.isascii() and digits.isdigit()):
        stray = next(character for character in digits if character not in "0123456789")
        raise InvalidNumber(f"has {stray!a}, which is not a digit")
    if len(digits) > MAX_NUMBER_DIGITS:
        raise InvalidNumber(f"has more than {MAX_NUMBER_DIGITS} digits")
    return digits


def without_punctuation(text: str) -> str:
    """A number without the spaces and `-.()` that people write into it; a TRUNK_ZERO behind other digits stays.

    At the beginning it is a zero like any other: (0)30 is what is dialled within the country.
    """
    if text.isalnum():  # nearly always
        return text
    if "(" not in text:
        return text.translate(_PUNCTUATION)
    first, *others = [part.translate(_PUNCTUATION) for part in _BRACKETED_ZERO.split(text)]
    if others and not first:
        first = f"0{others.pop(0)}"
    return TRUNK_ZERO.join([first, *others])


def _without_trunk_zero(digits: str) -> str:
    """Digits with a zero in brackets, as they are dialled from abroad."""
    country, _, rest = digits.partition(TRUNK_ZERO)
    if TRUNK_ZERO in rest or not _COUNTRY_CODE.fullmatch(country):
        raise InvalidNumber("has a zero in brackets that does not stand behind the country code")
    return f"{country}0{rest}" if country in _ZERO_IS_DIALLED else f"{country}{rest}"


def normalise_callerid(text: str) -> str:
    """The ASCII digits, letters and `+` of a caller id, the first 40 of them; everything else is left out.

    What is left cannot end a dialplan argument, open an expression or break a line. May be empty.
    """
    if text.isascii() and text.isalnum():  # a plain number
        return text[:MAX_CALLERID_LENGTH]
    kept = [character for character in text[:MAX_NUMBER_TEXT] if character in _CALLERID_CHARACTERS]
    return "".join(kept[:MAX_CALLERID_LENGTH])
