"""Amounts as MOR has them: in the system's currency unless another one is asked for, as precise as they are stored."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from rating_engine.api.mor.asked import Asked
from rating_engine.api.mor.errors import ACCESS_DENIED, Failed

USER: Final = "USER"  # as a currency: the user's own


def at_least(amount: Decimal, decimals: int) -> str:
    """As it is stored, zeros at the end cut but for so many decimals: 66.0000, 10.084034."""
    whole, _, fraction = f"{amount:.6f}".partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(decimals, '0')}"


async def in_system_currency(asked: Asked, amount: Decimal, currency: str, error: str = ACCESS_DENIED) -> Decimal:
    """An amount of an account's currency. Raises Failed(error) where nobody said how many of the one are the other."""
    converter = await asked.use.currencies.converter()
    return known(converter.convert(amount, currency, converter.system), error)


def known(amount: Decimal | None, error: str = ACCESS_DENIED) -> Decimal:
    """An amount that was converted. Raises Failed(error)."""
    if amount is None:
        raise Failed(error)
    return amount
