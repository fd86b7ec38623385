"""The codes of a row: one, a list of them, ranges, with or without the country code in a column of its own.

Law: every code is written out in the deck, a range as each code in it: `7900-7909` is ten prefixes and not `790`, which
a longer or shorter row may price otherwise. What could be read in two ways is refused.
"""

from __future__ import annotations

import re
from typing import Final

from rating_engine.rating.number import MAX_NUMBER_DIGITS
from rating_engine.services.decks.file.errors import RowRejected

MAX_CODES_IN_ROW: Final = 10_000  # a whole range of four digits; a wider one is a typing error, or a shorter prefix

_SEPARATORS: Final = re.compile(r"[,;\n]")
_RANGE: Final = re.compile(r"\+?(\d+)\s*(?:-|–|—|\.\.\.?)\s*\+?(\d+)", re.ASCII)


def whole_codes(text: str, name: str) -> tuple[str, ...]:
    """The prefixes of a cell of whole ones, each once, in the order of the cell. `name`: of the column.

    Raises RowRejected with the reason.
    """
    # A leading apostrophe is how spreadsheets say "text, not a number".
    codes = _expanded(text.strip().removeprefix("'"), name)
    if not codes:
        raise RowRejected(f"{name}: is empty")
    if len(codes) > 1 and not codes[0].startswith("0") and any(code.startswith("0") for code in codes):
        raise RowRejected(f"{name}: {shown(text)} seems to shorten codes: write each one out")
    return _within_limits(codes, name)


def joined_codes(country: str, areas: str, country_name: str, area_name: str) -> tuple[str, ...]:
    """The prefixes of a country code and its area codes; the country code itself where there is no area.

    Raises RowRejected with the reason.
    """
    country = country.strip().removeprefix("'").removeprefix("+")
    if not country:
        raise RowRejected(f"{country_name}: is empty")
    if not (country.isascii() and country.isdigit()):
        raise RowRejected(f"{country_name}: {shown(country)} is not a country code of digits")
    codes = _expanded(areas.strip().removeprefix("'"), area_name) or [""]
    return _within_limits([country + code for code in codes], area_name)


def shown(text: str) -> str:
    """A cell as a reason may carry it."""
    return repr(text if len(text) <= 40 else text[:40] + "...")


def _expanded(text: str, name: str) -> list[str]:
    """Every code of a cell; separators at the end, and between nothing and nothing, don't count."""
    codes: list[str] = []
    for part in map(str.strip, _SEPARATORS.split(text)):
        if not part:
            continue
        if pair := _RANGE.fullmatch(part):
            codes += _range(pair[1], pair[2], part, name)
        elif (code := part.removeprefix("+")).isascii() and code.isdigit():
            codes.append(code)
        else:
            raise RowRejected(f"{name}: {shown(part)} is not a prefix of digits")
        if len(codes) > MAX_CODES_IN_ROW:
            raise RowRejected(f"{name}: says more than {MAX_CODES_IN_ROW} codes")
    return codes


def _range(first: str, last: str, part: str, name: str) -> list[str]:
    width = len(first)
    if len(last) != width:
        raise RowRejected(f"{name}: the ends of the range {shown(part)} have not the same number of digits")
    if width > MAX_NUMBER_DIGITS:
        raise RowRejected(f"{name}: has more than {MAX_NUMBER_DIGITS} digits")
    start, end = int(first), int(last)
    if start > end:
        raise RowRejected(f"{name}: the range {shown(part)} ends before it begins")
    if end - start >= MAX_CODES_IN_ROW:
        raise RowRejected(f"{name}: the range {shown(part)} has more than {MAX_CODES_IN_ROW} codes")
    return [f"{code:0{width}}" for code in range(start, end + 1)]


def _within_limits(codes: list[str], name: str) -> tuple[str, ...]:
    if max(map(len, codes)) > MAX_NUMBER_DIGITS:
        raise RowRejected(f"{name}: has more than {MAX_NUMBER_DIGITS} digits")
    return tuple(dict.fromkeys(codes))
