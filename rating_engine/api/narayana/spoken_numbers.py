"""A whole number as names of Asterisk's sounds, in the order in which a language says it. Pure.

Names and grammar are those of Asterisk's SayNumber() (main/say.c), so what is recorded for it is enough: German says
`1-and` before `20`, French `20`, `et`, `1`, Spanish one word up to 30; Russian and Polish have a form after 1, after 2
to 4, and after the rest, and what is counted has a gender. Languages that are not here are said as English.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

MOST: Final = 999_999_999  # what can be said

Speak = Callable[[int, str], Iterator[str]]  # a number above zero and the gender of what is counted: m or f

FEW: Final = range(2, 5)
TEENS: Final = range(11, 15)  # said as the many, though they end as the few


def spoken(number: int, language: str, gender: str = "m") -> tuple[str, ...]:
    """The sounds of 1 to MOST; nothing for 0, which each caller says in its own way."""
    return tuple(f"digits/{sound}" for sound in _SPEAK.get(language, _english)(number, gender))


def counted_form(number: int, language: str) -> int:
    """Which form what is counted takes: 0 after one, 1 after a few (Slavic languages alone), 2 after many."""
    if language not in ("ru", "pl"):
        return 0 if number == 1 else 2
    last, two = number % 10, number % 100
    if last == 1 and two != 11 and (language == "ru" or number == 1):
        return 0
    return 1 if last in FEW and two not in TEENS else 2


def _english(number: int, gender: str) -> Iterator[str]:
    for size, name in ((1_000_000, "million"), (1_000, "thousand"), (100, "hundred")):
        if number >= size:
            yield from _english(number // size, gender)
            yield name
            number %= size
    yield from _tens(number)


def _tens(number: int) -> Iterator[str]:
    if number > 20 and number % 10:
        yield str(number - number % 10)
        number %= 10
    if number:
        yield str(number)


def _german(number: int, gender: str) -> Iterator[str]:
    """`1N` is ein, `1F` eine; a hundred and a thousand alone have none before them."""
    if number >= 1_000_000:
        yield from ("1F", "million") if number // 1_000_000 == 1 else (*_german(number // 1_000_000, "m"), "millions")
        number %= 1_000_000
    for size, name in ((1_000, "thousand"), (100, "hundred")):
        if number == size:
            yield name
            return
        if number > size:
            yield from _german(number // size, "m")
            yield name
            number %= size
    if number > 20 and number % 10:
        yield f"{number % 10}-and"
        number -= number % 10
    if number:
        yield {"m": "1N", "f": "1F"}[gender] if number == 1 else str(number)


def _french(number: int, gender: str) -> Iterator[str]:
    """`et` before 1 and 11; 70 and 90 are said by 60 and 80; a hundred and a thousand have no one before them."""
    for size, name in ((1_000_000, "million"), (1_000, "thousand"), (100, "hundred")):
        if number >= size:
            if size == 1_000_000 or number // size > 1:
                yield from _french(number // size, "m")
            yield name
            number %= size
    if number > 20:
        tens = 80 if number >= 80 else min(number - number % 10, 60)
        yield str(tens)
        number -= tens
        if number in (1, 11) and tens != 80:
            yield "et"
    if number:
        yield "1F" if number == 1 and gender == "f" else str(number)


def _spanish(number: int, gender: str) -> Iterator[str]:
    """One word up to 30; 100 is another word where something follows; hundreds are words of their own."""
    if number >= 1_000_000:
        yield from _spanish(number // 1_000_000, "m")
        yield "million" if number // 1_000_000 == 1 else "millions"
        number %= 1_000_000
    if number >= 1_000:
        if number >= 2_000:
            yield from _spanish(number // 1_000, gender)
        yield "thousand"
        number %= 1_000
    if number > 100:
        yield "100-and" if number < 200 else str(number - number % 100)
        number %= 100
    if number > 30 and number != 100 and number % 10:
        yield from (str(number - number % 10), "and")
        number %= 10
    if number:
        yield {"m": "1M", "f": "1F"}[gender] if number == 1 else str(number)


def _russian(number: int, gender: str) -> Iterator[str]:
    """Thousands are feminine, and so are kopecks: `1f`, `2f`."""
    for size, forms, kind in (
        (1_000_000, ("million", "million-a", "millions"), "m"),
        (1_000, ("thousand", "thousands-i", "thousands"), "f"),
    ):
        if number >= size:
            yield from _russian(number // size, kind)
            yield forms[counted_form(number // size, "ru")]
            number %= size
    if number >= 100:
        yield str(number - number % 100)
        number %= 100
    *before, last = (*_tens(number),) or ("",)
    yield from before
    if last:
        yield f"{last}f" if gender == "f" and last in ("1", "2") else last


def _polish(number: int, gender: str) -> Iterator[str]:
    for size in (1_000_000, 1_000):
        if number >= size:
            yield from _polish(number // size, "m")
            yield (f"{size}", f"{size}.2", f"{size}.5")[counted_form(number // size, "pl")]
            number %= size
    if number >= 100:
        yield str(number - number % 100)
        number %= 100
    yield from _tens(number)


_SPEAK: Final[Mapping[str, Speak]] = {
    "de": _german, "fr": _french, "es": _spanish, "ru": _russian, "pl": _polish,
}  # fmt: skip
