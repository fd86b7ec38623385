"""The codes of a row: one, a list of them, ranges, with or without the country code in a column of its own.

Laws: every code is written out in the deck, a range as each code in it: `7900-7909` is ten prefixes and not `790`,
which a longer or shorter row may price otherwise. A range has ends of one width in one country; `34-91` is a country
code and an area code. What could be read in two ways is refused, unless it was said which.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from rating_engine.rating.number import MAX_NUMBER_DIGITS
from rating_engine.services.decks.file.country_codes import KEEP_THEIR_ZERO, country_of, is_country_code
from rating_engine.services.decks.file.errors import DeckFileError, RowRejected
from rating_engine.services.decks.file.notes import Notes

MAX_CODES_IN_ROW: Final = 10_000  # a whole range of four digits; a wider one is a typing error, or a shorter prefix

_SEPARATORS: Final = re.compile(r"[,;\n]")
_RANGE: Final = re.compile(r"\+?(\d+)\s*(-|–|—|\.\.\.?)\s*\+?(\d+)", re.ASCII)
_PARTS: Final = re.compile(r"\+?\d{1,3}(?:\s*[-–—]\s*\d+){2,4}", re.ASCII)  # 1-242-357
_DASHES: Final = frozenset("-–—")
_NANP_RANGE: Final = re.compile(r"(1?[2-9]\d{5,9})\s*[-–—]\s*(1?[2-9]\d{5,9})", re.ASCII)
_NANP_CODE: Final = re.compile(r"(1)?([2-9]\d{2}(?:[2-9]\d{0,6})?)|1", re.ASCII)
_NANP_PUNCTUATION: Final = str.maketrans("", "", " -.()/+–—")
NPA_END: Final = 4  # digits of 1 and an area code
_INTERNATIONAL: Final = ("00", "011")  # what callers dial before a country code, which never begins with 0
_PAIR: Final = 2  # groups of digits that may be the ends of a range
_SHORTEST_TAIL: Final = 2  # of a shortened code; one digit could be a country code


class Dash(StrEnum):
    """What a dash between two groups of digits stands for where it could be either."""

    RANGE = "range"
    AREA = "area"


class CodeReader:
    """Reads the codes of one file.

    `dash`: what it means where it could be either; None: such a row is refused. `digits_before`: put before each code
    that does not begin so. `notes`: told of codes that are read otherwise than they stand there. `of_nanp`: they are
    area codes of the North American plan with what comes after, as 201200, with or without the country code 1.
    """

    def __init__(
        self,
        dash: Dash | None = None,
        digits_before: str = "",
        notes: Notes | None = None,
        *,
        of_nanp: bool = False,
    ) -> None:
        self._note = (notes if notes is not None else Notes()).add
        self._dash = dash
        self._before = digits_before
        self._of_nanp = of_nanp
        self._areas = 0  # that are not empty, and how many of them begin with their country code
        self._repeating = 0

    def whole(self, text: str, name: str) -> tuple[str, ...]:
        """The prefixes of a cell of whole ones, each once, in the order of the cell. `name`: of the column.

        Raises RowRejected with the reason.
        """
        # A leading apostrophe is how spreadsheets say "text, not a number".
        text = text.strip().removeprefix("'")
        codes = self._nanp_codes(text, name) if self._of_nanp else self._expanded(text, name)
        if not codes:
            raise RowRejected(f"{name}: is empty")
        return _within_limits([self._international(code, name) for code in codes], name)

    def joined(self, country: str, areas: str, country_name: str, area_name: str) -> tuple[str, ...]:
        """The prefixes of a country code and its area codes; the country code itself where there is no area.

        Raises RowRejected with the reason.
        """
        country = country.strip().removeprefix("'").removeprefix("+")
        if not country:
            raise RowRejected(f"{country_name}: is empty")
        if not (country.isascii() and country.isdigit()):
            raise RowRejected(f"{country_name}: {shown(country)} is not a country code of digits")
        country = self._nanp_code(country, country_name) if self._of_nanp else country
        country = self._international(country, country_name)
        codes = _areas(areas.strip().removeprefix("'"), area_name) or [""]
        if not self._of_nanp:
            said = [code for code in codes if code]
            self._areas += len(said)
            self._repeating += sum(code.startswith(country) for code in said)
        if country not in KEEP_THEIR_ZERO:
            codes = [self._without_trunk_zero(country, code, area_name) for code in codes]
        return _within_limits([country + code for code in codes], area_name)

    def refuse_repeated_countries(self) -> None:
        """Raises DeckFileError where every area code begins with its country code: they are rather whole codes."""
        if self._areas and self._areas == self._repeating:
            raise DeckFileError(
                "every area code begins with its country code, so they may be whole codes: a profile says which, with"
                " that column as its prefix or as its area_code"
            )

    def _expanded(self, text: str, name: str) -> list[str]:
        """Every code of a cell; separators at the end, and between nothing and nothing, don't count."""
        codes: list[str] = []
        country = ""  # of a code written with a dash: those after it may leave it out
        for part in filter(None, map(str.strip, _SEPARATORS.split(text))):
            if pair := _RANGE.fullmatch(part):
                first, last = pair[1], pair[3]
                if pair[2] in _DASHES and self._is_area(first, last, part, name):
                    country = first
                    codes.append(first + last)
                else:
                    self._refuse_far_apart(first, last, part, name)
                    codes += _range(first, last, part, name)
            elif _PARTS.fullmatch(part) and is_country_code(re.split(r"\D+", part.removeprefix("+"))[0]):
                codes.append("".join(re.findall(r"\d+", part)))
            elif (code := part.removeprefix("+")).isascii() and code.isdigit():
                codes.append(self._completed(code, codes, country, text, name))
            else:
                raise RowRejected(f"{name}: {shown(part)} is not a prefix of digits")
            if len(codes) > MAX_CODES_IN_ROW:
                raise RowRejected(f"{name}: says more than {MAX_CODES_IN_ROW} codes")
        return codes

    def _nanp_codes(self, text: str, name: str) -> list[str]:
        """Every code of a cell: 201200, 201-200, 1 (201) 200 and 201200-201299; no shortened ones."""
        codes: list[str] = []
        for part in filter(None, map(str.strip, _SEPARATORS.split(text))):
            if pair := _NANP_RANGE.fullmatch(part):
                first, last = (self._nanp_code(end, name) for end in (pair[1], pair[2]))
                if first[:NPA_END] != last[:NPA_END]:
                    raise RowRejected(f"{name}: the ends of the range {shown(part)} are not of one area code")
                codes += _range(first, last, part, name)
            else:
                codes.append(self._nanp_code(part, name))
            if len(codes) > MAX_CODES_IN_ROW:
                raise RowRejected(f"{name}: says more than {MAX_CODES_IN_ROW} codes")
        if len({len(code) for code in codes}) > 1:
            raise RowRejected(f"{name}: {shown(text)} has codes of several lengths: write each one out")
        return codes

    def _nanp_code(self, part: str, name: str) -> str:
        """With its country code."""
        digits = part.translate(_NANP_PUNCTUATION)
        if not (found := _NANP_CODE.fullmatch(digits)):
            raise RowRejected(f"{name}: {shown(part)} is no area code of North America, as in 201 or 201200")
        if digits != "1" and not found[1]:
            self._note("1 was put before codes", f"{part} is 1{digits}")
        return "1" + (found[2] or "")

    def _is_area(self, first: str, last: str, part: str, name: str) -> bool:
        """Whether a dash stands between a country code and an area code, and not between the ends of a range."""
        if not is_country_code(first):
            return False
        could_be_a_range = len(first) == len(last) and first[0] == last[0] and first < last
        if could_be_a_range and self._dash is None:
            raise RowRejected(
                f"{name}: {shown(part)} may be a range or a country code and an area code: a profile says which, as in"
                ' dash = "area"'
            )
        return not could_be_a_range or self._dash is Dash.AREA

    def _refuse_far_apart(self, first: str, last: str, part: str, name: str) -> None:
        """A range of several countries is rather two codes, or a slip; one that was said to be a range is one."""
        is_one = country_of(first) == country_of(last) if self._dash is None else first[0] == last[0]
        if len(first) == len(last) and not is_one:
            raise RowRejected(f"{name}: the ends of the range {shown(part)} are not of one country")

    def _completed(self, code: str, before: list[str], country: str, text: str, name: str) -> str:
        """A code of a list, which may leave out what it has in common with the first one."""
        if not before or len(code) >= len(before[0]):
            return code
        first, last = before[0], before[-1]
        whole = country + code if country else first[: len(first) - len(code)] + code
        is_whole = len(code) > len(of := country or country_of(first)) and code.startswith(of)  # or may be
        is_certain = not is_whole and (
            country
            or (
                len(code) >= _SHORTEST_TAIL
                and not is_country_code(code)
                and len(last) == len(first)
                and last < whole
                and not first.startswith(code)
            )
        )
        if not is_certain:
            raise RowRejected(f"{name}: {shown(text)} seems to shorten codes: write each one out")
        self._note("shortened codes were completed", f"{code} after {last} is {whole}")
        return whole

    def _international(self, code: str, name: str) -> str:
        """A whole code as E.164 has it."""
        for mark in _INTERNATIONAL:
            if code.startswith(mark) and not code[len(mark) :].startswith("0") and len(code) > len(mark):
                self._note("international prefixes were dropped", f"{code} is {code[len(mark) :]}")
                code = code[len(mark) :]
                break
        if code.startswith("0"):
            raise RowRejected(f"{name}: {shown(code)} begins with 0, as no country code does")
        if not code.startswith(self._before):
            self._note(f"{self._before} was put before codes", f"{code} is {self._before + code}")
            code = self._before + code
        return code

    def _without_trunk_zero(self, country: str, code: str, name: str) -> str:
        if not code.startswith("0"):
            return code
        if len(code) == 1 or code[1] == "0":
            raise RowRejected(f"{name}: {shown(code)} is no area code")
        self._note("trunk zeros were dropped", f"{country} {code} is {country + code[1:]}")
        return code[1:]


def possible_codes(text: str) -> tuple[str, ...]:
    """Codes that a cell may mean which cannot be read for certain; none that is shorter than what it says.

    They are what is not to be called at the price of a shorter code: `44 7700` may be 447700, `7901-09` all from 7901
    to 7909. Below a country code there is no shorter one.
    """
    groups = [group.removeprefix("00") for group in re.findall(r"\d+", text) if group.removeprefix("00")]
    if not groups or not all(group.isascii() for group in groups):
        return ()
    first = groups[0]
    possible = ["".join(groups)]
    for group in groups:
        whole = first[: len(first) - len(group)] + group if len(group) < len(first) else group
        if country_of(group) == country_of(first) != group:
            possible.append(group)
        if country_of(whole) == country_of(first) != whole:
            possible.append(whole)
            if _RANGE.fullmatch(text.strip()) and 0 < int(whole) - int(first) < MAX_CODES_IN_ROW:
                possible += [str(code) for code in range(int(first), int(whole))]
    kept = (code for code in possible if len(code) <= MAX_NUMBER_DIGITS and country_of(code) not in ("", code))
    return tuple(dict.fromkeys(kept))


def possible_areas(country: str, areas: str) -> tuple[str, ...]:
    """The same of a country code in a cell of its own, as 4420 of 44 and `(0)20`."""
    country = re.sub(r"\D", "", country).removeprefix("00")
    groups = [group.lstrip("0") for group in re.findall(r"\d+", areas)]
    found = [country + group for group in ("".join(groups), *groups) if group]
    usable = country.isascii() and is_country_code(country)
    return tuple(dict.fromkeys(code for code in found if usable and code.isascii() and len(code) <= MAX_NUMBER_DIGITS))


def shown(text: str) -> str:
    """A cell as a reason may carry it."""
    return repr(text if len(text) <= 40 else text[:40] + "...")


def _areas(text: str, name: str) -> list[str]:
    """Every area code of a cell: a dash there is a range, since the country stands elsewhere."""
    codes: list[str] = []
    for part in filter(None, map(str.strip, _SEPARATORS.split(text))):
        if pair := _RANGE.fullmatch(part):
            codes += _range(pair[1], pair[3], part, name)
        elif part.isascii() and part.isdigit():
            codes.append(part)
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
