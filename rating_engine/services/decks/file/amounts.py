"""Amounts as carriers write them: decimal commas, thousands, currencies in the cell.

Law: what can be two numbers is one only where the rest of the file says which. `1,234` is a thousand or a bit more than
one: it is read with a decimal comma where other amounts show one, such as 0,05; the file is refused where none does, or
others have decimal points. A currency in a cell has to be the tariff's.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from rating_engine.rating.money import EXACT, PRICE_DECIMALS, InvalidAmount, format_amount, quantise, read_amount
from rating_engine.services.decks.file.errors import DeckFileError, RowRejected
from rating_engine.services.decks.file.notes import Notes
from rating_engine.services.decks.file.units import currencies_of

_LONG_AMOUNT: Final = re.compile(rf"\d{{1,10}}\.\d{{{PRICE_DECIMALS + 1},30}}", re.ASCII)
_AROUND: Final = re.compile(r"([^\d.,+-]*)([+-]?\s*[\d.,].*?)([^\d.,]*)", re.DOTALL)
# Thousands and decimals, each with a mark of its own.
_THOUSANDS_POINT: Final = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+\.\d+", re.ASCII)
_THOUSANDS_COMMA: Final = re.compile(r"[+-]?[1-9]\d{0,2}(?:\.\d{3})+,\d+", re.ASCII)
_SPACED: Final = re.compile(r"[+-]?[1-9]\d{0,2}(?:[ \u00a0\u202f'’]\d{3})+(?:[.,]\d+)?", re.ASCII)
_SPACES: Final = str.maketrans("", "", " \u00a0\u202f'’")
# One mark that may be either, or that is a decimal one.
_EITHER: Final = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}", re.ASCII)
_DECIMAL: Final = re.compile(r"[+-]?\d*[.,]\d+", re.ASCII)


class AmountReader:
    """Reads the amounts of one file. `decimal_comma`: whether 0,05 is five cents; never in a comma-separated file."""

    def __init__(self, currency: str, notes: Notes, *, decimal_comma: bool) -> None:
        self._currency = currency
        self._notes = notes
        self._decimal_comma = decimal_comma
        self._shown: dict[str, str] = {}  # mark to an amount that shows it
        self._taken: dict[str, str] = {}  # mark to an amount that was taken to have it

    def read(self, text: str, name: str) -> str:
        """An amount with a decimal point and nothing around it; what is no amount as it stands. Raises RowRejected.

        `name`: of its column.
        """
        plain = self._without_currency(text.strip(), name)
        if _SPACED.fullmatch(plain):
            plain = plain.translate(_SPACES)
        if _THOUSANDS_POINT.fullmatch(plain):
            self._shown.setdefault(".", plain)
            return plain.replace(",", "")
        if not self._decimal_comma:
            return plain
        if _THOUSANDS_COMMA.fullmatch(plain):
            self._shown.setdefault(",", plain)
            return plain.replace(".", "").replace(",", ".")
        if _DECIMAL.fullmatch(plain):
            mark = "," if "," in plain else "."
            (self._taken if _EITHER.fullmatch(plain) else self._shown).setdefault(mark, plain)
        return plain.replace(",", ".", 1) if "." not in plain else plain

    def refuse_contradictions(self) -> None:
        """Raises DeckFileError where an amount was taken to have a decimal mark, and others show the other one; or a
        comma that no other amount shows to be one."""
        for mark, other in ((",", "."), (".", ",")):
            if mark in self._taken and other in self._shown:
                raise DeckFileError(
                    f"{self._taken[mark]!r} may be thousands or have decimals: other amounts of the file, such as"
                    f" {self._shown[other]!r}, have another decimal mark. Write all of them with a decimal point"
                )
        if "," in self._taken and "," not in self._shown:
            raise DeckFileError(
                f"{self._taken[',']!r} may be thousands or have decimals, and no other amount of the file says which."
                " Write it with a decimal point, or with another decimal: 1,2340"
            )

    def scaled(self, text: str, factor: Decimal, name: str) -> str:
        """An amount of the currency, from what the column counts in. Raises InvalidAmount."""
        return format_amount(EXACT.multiply(read_amount(text.strip(), name), factor))

    def rounded(self, text: str) -> str:
        """An amount with at most PRICE_DECIMALS decimals, as Excel computes more; what is no amount as it is.

        What is more than nothing is never rounded to nothing.
        """
        found = _LONG_AMOUNT.fullmatch(_in_plain(text.strip()))
        if found is None:
            return text
        rounded = quantise(Decimal(found[0]), PRICE_DECIMALS)
        if not rounded:
            return text
        example = f"{text.strip()} is {format_amount(rounded)}"
        self._notes.add(f"amounts were rounded to {PRICE_DECIMALS} decimals", example)
        return format_amount(rounded)

    def _without_currency(self, text: str, name: str) -> str:
        """The number in a cell that names its currency beside it."""
        found = _AROUND.fullmatch(text)
        if found is None or not (found[1] or found[3]):
            return text
        for token in (found[1].strip(), found[3].strip()):
            if not token:
                continue
            possible = currencies_of(token)
            if not possible:
                return text
            if self._currency not in possible:
                raise RowRejected(f"{name}: {text[:40]!r} is not in the tariff's currency, {self._currency}")
        return found[2].strip()


def _in_plain(text: str) -> str:
    """A number without an exponent; what is none as it is."""
    if "e" not in text and "E" not in text:
        return text
    try:
        return format_amount(read_amount(text, "amount"))
    except InvalidAmount:
        return text
