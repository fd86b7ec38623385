"""A text as SMS: in which alphabet it goes, and how many parts it takes. Pure.

Laws: what the GSM alphabet has goes in septets, all else as UCS-2 (UTF-16); a part is never cut within an escape
sequence or a surrogate pair; the parts in their order are the text. Source: 3GPP TS 23.038 (6.2.1, 6.2.1.1) and TS
23.040 (9.2.3.24.1: a header of concatenation takes 6 of the 140 octets).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SINGLE_SEPTETS: Final = 160  # 140 octets
PART_SEPTETS: Final = 153  # of several: 140 octets less the header, from the next septet on
SINGLE_UNITS: Final = 70  # of UCS-2
PART_UNITS: Final = 67
MAX_PARTS: Final = 20  # 3,060 letters: what a phone shows whole; the header could count to 255
ESCAPE: Final = 0x1B

GSM_ALPHABET: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENSION: Final = {
    "\f": 0x0A, "^": 0x14, "{": 0x28, "}": 0x29, "\\": 0x2F, "[": 0x3C, "~": 0x3D, "]": 0x3E, "|": 0x40, "€": 0x65,
}  # fmt: skip

_SEPTET: Final = {letter: code for code, letter in enumerate(GSM_ALPHABET) if code != ESCAPE}


class Encoding(StrEnum):
    """The alphabet that a text goes in. Stored."""

    GSM7 = "gsm7"
    UCS2 = "ucs2"


@dataclass(frozen=True, slots=True)
class EncodedText:
    """`units`: septets, or UTF-16 units, of the whole text without headers. `parts`: what each part carries."""

    encoding: Encoding
    units: int
    parts: tuple[str, ...]


def encode_text(text: str) -> EncodedText:
    """A text as it is sent, however long; '' is one empty part."""
    is_gsm = all(letter in _SEPTET or letter in GSM_EXTENSION for letter in text)
    size = _septets if is_gsm else _units
    single, part = (SINGLE_SEPTETS, PART_SEPTETS) if is_gsm else (SINGLE_UNITS, PART_UNITS)
    units = sum(map(size, text))
    encoding = Encoding.GSM7 if is_gsm else Encoding.UCS2
    return EncodedText(encoding, units, (text,) if units <= single else tuple(_cut(text, size, part)))


def septets_of(text: str) -> bytes:
    """A text in the GSM alphabet, a septet an octet, as SMPP carries it. KeyError where it does not have a letter."""
    codes: list[int] = []
    for letter in text:
        codes += [ESCAPE, GSM_EXTENSION[letter]] if letter in GSM_EXTENSION else [_SEPTET[letter]]
    return bytes(codes)


def text_of_septets(septets: bytes) -> str:
    """The same backwards; an unknown escape is a blank and the letter behind it, as the standard has it."""
    extension = {code: letter for letter, code in GSM_EXTENSION.items()}
    letters: list[str] = []
    escaped = False
    for code in septets:
        if code == ESCAPE and not escaped:
            escaped = True
            continue
        letters.append((extension.get(code, GSM_ALPHABET[code & 0x7F])) if escaped else GSM_ALPHABET[code & 0x7F])
        escaped = False
    return "".join(letters).replace("\x1b", " ")


def _septets(letter: str) -> int:
    return 2 if letter in GSM_EXTENSION else 1


def _units(letter: str) -> int:
    return 2 if ord(letter) > 0xFFFF else 1


def _cut(text: str, size: Callable[[str], int], most: int) -> Iterator[str]:
    begin = used = 0
    for place, letter in enumerate(text):
        if used + size(letter) > most:
            yield text[begin:place]
            begin, used = place, 0
        used += size(letter)
    yield text[begin:]
