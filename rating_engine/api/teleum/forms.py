"""How numbers, money, lengths and times are written here. Pure.

Laws: amounts are cut to two decimals and not rounded, so there is never more than there is; every scalar is text.
"""

from __future__ import annotations

from datetime import datetime, tzinfo
from decimal import ROUND_DOWN, Decimal
from typing import Final

_CENTS: Final = Decimal("0.01")
_RUSSIAN: Final = 11  # digits of a number with 7 before its area
X: Final = "\u0445"  # the Cyrillic letter, as printed


def money(amount: Decimal) -> str:
    """Two decimals; -0.00 is 0.00."""
    cut = amount.quantize(_CENTS, ROUND_DOWN)
    return f"{cut if cut else abs(cut):f}"


def number_form(number: str) -> str:
    """+7 (812) 323-2323 of 78123232323; of what is no such number, its digits after a +."""
    if len(number) == _RUSSIAN and number[0] == "7":
        return f"+7 ({number[1:4]}) {number[4:7]}-{number[7:]}"
    return f"+{number}"


def series_form(series: str) -> str:
    """+7 (812) 323-xxxx of 7812323; the same of others."""
    return number_form(series + X * 4)


def length(seconds: int) -> str:
    """MM:SS, and from an hour on H:MM:SS."""
    minutes, rest = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes:02}:{rest:02}"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def date_time(moment: datetime) -> str:
    """2015-07-17 12:12:35."""
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def date_time_formatted(moment: datetime) -> str:
    """17.07.2015 12:12:35."""
    return f"{moment:%d.%m.%Y %H:%M:%S}"


def month(year: int, number: int, zone: tzinfo) -> tuple[datetime, datetime]:
    """When a month begins and ends there."""
    after = (year, number + 1) if number < 12 else (year + 1, 1)
    return datetime(year, number, 1, tzinfo=zone), datetime(*after, 1, tzinfo=zone)
