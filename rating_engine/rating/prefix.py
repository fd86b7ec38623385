"""The longest prefix of a number that has a value: what each cache level and the database must agree with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from rating_engine.rating.number import MAX_NUMBER_DIGITS

Value = TypeVar("Value")


def prefixes(number: str, longest: int = MAX_NUMBER_DIGITS) -> list[str]:
    """Every prefix of `number` of 1 to `longest` digits, longest first: the order in which a match wins.

    `longest` is the length of the longest prefix there is to find; what is beyond it need not be asked for.
    """
    return [number[:length] for length in range(min(len(number), longest), 0, -1)]


def longest_match(
    number: str, values: Mapping[str, Value], longest: int = MAX_NUMBER_DIGITS
) -> tuple[str, Value] | None:
    """The longest prefix of `number` among the keys of `values`, with its value; None if there is none.

    An empty key matches nothing: a rate for every number is ten rates, one a digit.
    """
    for prefix in prefixes(number, longest):
        if prefix in values:
            return prefix, values[prefix]
    return None
