"""Numbers as people and exchanges write them, made into what the engine compares.

A destination becomes E.164 digits. A caller id becomes text that is safe inside a dialplan variable.
"""

from __future__ import annotations

from typing import Final

MAX_NUMBER_DIGITS: Final = 32  # E.164 has at most 15; technical prefixes and carrier codes come before them
MAX_NUMBER_TEXT: Final = 128  # characters; with any punctuation a number stays far below
MAX_CALLERID_LENGTH: Final = 40  # a number with its technical prefix, or a short name

DEFAULT_INTERNATIONAL_PREFIX: Final = "00"  # recommended by ITU-T; 011 in North America

_PUNCTUATION: Final = str.maketrans("", "", " -.()")
_CALLERID_CHARACTERS: Final = frozenset("0123456789+ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


class InvalidNumber(ValueError):
    """Text that is no number to call; says why without repeating it whole."""


def normalise_destination(text: str, *, international_prefix: str = DEFAULT_INTERNATIONAL_PREFIX) -> str:
    """The digits of a dialled number, 1 to 32 of them, country code first.

    Spaces and `-.()` go, then one leading `+` or else one leading `international_prefix` (empty: none). Raises
    InvalidNumber for anything else that is not an ASCII digit, for nothing left, and for too many digits.
    """
    if len(text) > MAX_NUMBER_TEXT:
        raise InvalidNumber(f"is longer than {MAX_NUMBER_TEXT} characters")
    dialled = without_punctuation(text)
    digits = dialled.removeprefix("+" if dialled.startswith("+") else international_prefix)
    if not digits:
        raise InvalidNumber("has no digits")
    if not (digits.isascii() and digits.isdigit()):
        stray = next(character for character in digits if character not in "0123456789")
        raise InvalidNumber(f"has {stray!a}, which is not a digit")
    if len(digits) > MAX_NUMBER_DIGITS:
        raise InvalidNumber(f"has more than {MAX_NUMBER_DIGITS} digits")
    return digits


def without_punctuation(text: str) -> str:
    """A number without the spaces and `-.()` that people write into it."""
    return text.translate(_PUNCTUATION)


def normalise_callerid(text: str) -> str:
    """The ASCII digits, letters and `+` of a caller id, the first 40 of them; everything else is left out.

    What is left cannot end a dialplan argument, open an expression or break a line. May be empty.
    """
    if text.isascii() and text.isalnum():  # a plain number
        return text[:MAX_CALLERID_LENGTH]
    kept = [character for character in text[:MAX_NUMBER_TEXT] if character in _CALLERID_CHARACTERS]
    return "".join(kept[:MAX_CALLERID_LENGTH])
