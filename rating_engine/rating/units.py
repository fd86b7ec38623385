"""The choices of a rate: what a price is for, what a surcharge is, how increments and fractions are counted."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

SECONDS_PER_MINUTE: Final = 60


class PriceUnit(StrEnum):
    """What `price_1` and `price_n` pay for."""

    INTERVAL = "interval"  # one whole interval, as the tenant billing REST document says
    MINUTE = "minute"  # sixty seconds: an interval of i seconds costs price * i / 60, as rate decks are sold


class SurchargeUnit(StrEnum):
    """What `postcall_surcharge` is."""

    AMOUNT = "amount"  # money, added once
    PERCENT = "percent"  # of connect fee and usage together


class IncrementMode(StrEnum):
    """Where the increments after the first interval are counted from. At 30/18, 31 seconds are billed as:"""

    INTERVAL = "interval"  # 48: first interval + one whole interval_n, the telco meaning
    TOTAL = "total"  # 36: the whole call rounded up to interval_n, as A2Billing and MagnusBilling do


class DurationRounding(StrEnum):
    """What becomes of a fraction of a second."""

    UP = "up"  # it counts as a whole one
    NEAREST = "nearest"  # half a second and more counts as a whole one, less as none
