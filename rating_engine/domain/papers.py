"""What invoices, payments and credit notes have in common: who stands on them, and tax.

Law: tax is what a percentage of a net amount is in cents, rounded once, half up; nothing else on a paper is rounded. Of
several taxes each is rounded so, on the net amount and not on one another, and what is paid is the sum of its lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from rating_engine.domain.tax import PartyTax, TaxLine
from rating_engine.rating.money import EXACT, quantise

CENTS: Final = 2  # decimals of a tax: it is paid to somebody who counts in them


@dataclass(frozen=True, slots=True)
class PaperParty:
    """Who issues a paper, or is billed by it, as it stood then."""

    name: str
    address: str = ""
    email: str = ""
    bank_account: str = ""
    tax_number: str = ""


def written(amount: Decimal) -> str:
    """As papers have it: two decimals, or as many as it has."""
    whole, _, decimals = format(amount, "f").partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(CENTS, '0')}"


def tax_on(net: Decimal, percent: Decimal) -> Decimal:
    """The tax on a net amount, in cents."""
    return quantise(EXACT.multiply(net, percent).scaleb(-2, context=EXACT), CENTS)


def taxes_on(net: Decimal, taxes: Sequence[PartyTax] | Sequence[TaxLine]) -> tuple[TaxLine, ...]:
    """What each of several taxes is on a net amount, in cents."""
    return tuple(TaxLine(tax.name, tax.percent, tax_on(net, tax.percent)) for tax in taxes)


def sum_of_taxes(net: Decimal, taxes: Sequence[PartyTax] | Sequence[TaxLine]) -> Decimal:
    """What they are together: the sum of their lines."""
    return sum((line.amount for line in taxes_on(net, taxes)), Decimal(0))


def net_of(gross: Decimal, percent: Decimal) -> tuple[Decimal, Decimal]:
    """What a gross amount is without its tax, to six decimals, and that tax: their sum is the gross amount."""
    share = Decimal(100) + percent
    tax = quantise(gross * percent / share, CENTS)
    return gross - tax, tax
