"""The columns of `rates` in the order in which decks are loaded, compared and written out.

Law: of the rows of one key that count at an instant, the one that began last is meant: rating/matching says
the same.
"""

from __future__ import annotations

from typing import Final

# What rates are told apart by, besides the time when they count: where to, from where, in which band.
KEY: Final = ("prefix", "origin", "band")
WINDOW: Final = ("effective_from", "effective_to")
# What a row says besides for which calls it counts.
TERMS: Final = (
    *("direction", "price_1", "price_n", "price_unit", "interval_1", "interval_n", "connect_fee", "free_seconds"),
    *("grace_period", "postcall_surcharge", "minimum_charge", "extras", "blocked"),
)
ROW: Final = (*KEY, *WINDOW, *TERMS)
# What a tariff's multiplier multiplies.
AMOUNTS: Final = ("price_1", "price_n", "connect_fee", "postcall_surcharge", "minimum_charge")


def listed(columns: tuple[str, ...], table: str = "") -> str:
    """Columns as SQL lists them."""
    return ", ".join(f"{table}.{name}" if table else name for name in columns)


def same(left: str, right: str, columns: tuple[str, ...] = KEY) -> str:
    """SQL: that rows of two tables have these columns equal; none of them is NULL."""
    return " AND ".join(f"{left}.{name} = {right}.{name}" for name in columns)


def same_terms(left: str, right: str) -> str:
    """SQL: that rows of two tables have the same terms."""
    return f"ROW({listed(TERMS, left)}) IS NOT DISTINCT FROM ROW({listed(TERMS, right)})"
