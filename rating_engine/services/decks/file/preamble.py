"""What stands above the header of a file: a carrier's name, conditions, and perhaps the currency of everything below.

Law: what is said there of the prices and not in the header is not dropped: where it is not what they are taken for, the
file is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from rating_engine.services.decks.file.columns import PRICES
from rating_engine.services.decks.file.errors import DeckFileError
from rating_engine.services.decks.file.layout import Layout
from rating_engine.services.decks.file.units import ALSO_WORDS, currencies_of, says_hundredths

_OF_PRICES: Final = re.compile(r"\b(currenc(?:y|ies)|rates?|prices?|pricing|charges?|amounts?|costs?|tariffs?)\b", re.I)
_TOKEN: Final = re.compile(r"[^\W\d_]+|[^\w\s]")
_SHOWN: Final = 80  # characters of a line, in a reason


def check_preamble(above: Iterable[str], layout: Layout, currency: str) -> None:
    """Raises DeckFileError where the lines above name another currency, or hundredths of one, and the header none."""
    says_unit = bool(layout.currencies) or any(column in layout.factors for column in PRICES)
    if says_unit:
        return
    named: list[tuple[str, frozenset[str]]] = []
    for line in above:
        if not _OF_PRICES.search(line):
            continue
        words = _TOKEN.findall(line)
        if any(map(says_hundredths, words)):
            raise DeckFileError(
                f"above the header stands {line[:_SHOWN]!r}, and the header names no unit: write it there, as in"
                " Rate (cents)"
            )
        named += [(line, found) for word in words if (found := _named(word))]
    if named and not any(currency in found for _, found in named):
        line, found = named[0]
        raise DeckFileError(
            f"above the header stands {line[:_SHOWN]!r}, which is not {currency}, the tariff's currency: take it into a"
            f" tariff in {min(found)}, or name the currency in the header, as in Rate ({currency})"
        )


def _named(word: str) -> frozenset[str]:
    """The currencies of a word that is certainly of one: written in capitals, or a sign, or its name."""
    is_code = len(word) == len("EUR") and word.isupper() and word not in ALSO_WORDS
    is_name = not word.isascii() or word == "$" or word.casefold() in ("euro", "euros", "dollar", "dollars", "sterling")
    return currencies_of(word) if is_code or is_name else frozenset()
