"""How the phones of an account write numbers, and which of them are national.

Law: whatever the plan, a destination is 1 to 32 digits, and what is dialled with + under a plan without rewrites for it
is those digits. The plan that says nothing reads numbers as `normalise_destination` does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from rating_engine.rating.number import (
    DEFAULT_INTERNATIONAL_PREFIX,
    MAX_NUMBER_TEXT,
    InvalidNumber,
    digits_of,
    without_punctuation,
)
from rating_engine.rating.prefix import longest_match

NO_ALIASES: Final[Mapping[str, str]] = MappingProxyType({})

_INTERNATIONAL: Final = re.compile(r"\+?[1-9][0-9]{6,14}")  # E.164: at most 15 digits, no country code begins with 0


@dataclass(frozen=True, slots=True)
class NumberingPlan:
    """What numbers begin with as they are dialled; '' or empty: nothing does.

    `national_prefix` stands before a number of `country_code`. A number of exactly `national_length` digits that begins
    with neither prefix is one of it too; 0: none is. `technical_prefixes` say which service is meant, and are
    no part of the number. `rewrites`: leading characters (digits, *, #, +) and what replaces them.
    """

    name: str
    international_prefix: str = DEFAULT_INTERNATIONAL_PREFIX
    national_prefix: str = ""
    country_code: str = ""
    technical_prefixes: tuple[str, ...] = ()
    rewrites: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    national_length: int = 0


def destination_of(text: str, plan: NumberingPlan, aliases: Mapping[str, str] = NO_ALIASES) -> str:
    """The E.164 digits of a number as it was dialled. Each step is taken once, in this order:

    1. Spaces and `-.()` go.
    2. An alias that is all that was dialled, a trailing # aside, becomes its destination, read on as if that had been
       dialled. Its destination is no alias again.
    3. The longest technical prefix goes.
    4. The longest key of the rewrites that it begins with is replaced. What comes out is read on as if dialled: written
       with + it is international whatever the plan says, with the national prefix national.
    5. A leading + or else the international prefix goes, or else the national prefix becomes the country code. A number
       without any of them is taken to begin with its country code, unless it has as many digits as national ones. A
       trailing # goes, and a zero alone in brackets behind the country code.

    Raises InvalidNumber for what has no digits left, too many, or anything else in them: `*` and `#` are only ever part
    of an alias or of the key of a rewrite, or that trailing #.
    """
    if len(text) > MAX_NUMBER_TEXT:
        raise InvalidNumber(f"is longer than {MAX_NUMBER_TEXT} characters")
    dialled = text if text.isalnum() else without_punctuation(text)
    if aliases and (meant := aliases.get(dialled) or aliases.get(dialled.removesuffix("#"))) is not None:
        dialled = without_punctuation(meant)
    if plan.technical_prefixes:
        dialled = dialled.removeprefix(max(filter(dialled.startswith, plan.technical_prefixes), key=len, default=""))
    if plan.rewrites and (rewrite := longest_match(dialled, plan.rewrites)):
        key, replacement = rewrite
        dialled = replacement + dialled.removeprefix(key)
    return digits_of(_nationwide(dialled.removesuffix("#"), plan), plan.international_prefix)


def is_international(callerid: str) -> bool:
    """Whether a caller id is a number as E.164 has it: perhaps a +, then 7 to 15 digits, the first of them no 0."""
    return _INTERNATIONAL.fullmatch(callerid) is not None


def national(callerid: str, country_code: str) -> bool:
    """Whether a caller id is a whole number of the country: one of E.164 that begins with its code.

    Without its country code a number can't be told from one of another country, so it is not. Countries that share a
    code, as those of 1, are one.
    """
    return bool(country_code) and is_international(callerid) and callerid.removeprefix("+").startswith(country_code)


def _nationwide(dialled: str, plan: NumberingPlan) -> str:
    """A number with the national prefix as an international one, any other as it is."""
    if plan.international_prefix and dialled.startswith(plan.international_prefix):
        return dialled
    if not plan.national_prefix or not dialled.startswith(plan.national_prefix):
        is_national = plan.national_length > 0 and len(dialled) == plan.national_length and dialled.isdigit()
        return f"+{plan.country_code}{dialled}" if is_national else dialled
    rest = dialled.removeprefix(plan.national_prefix)
    if not rest:
        raise InvalidNumber("has no digits after the national prefix")
    return f"+{plan.country_code}{rest}"
