"""A single rate of a deck, changed after the deck was published."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rating_engine.rating.rate import Rate


@dataclass(frozen=True, slots=True)
class RateKey:
    """What rates of a deck are told apart by: where to, from where ('': anywhere), in which band ('': any other)."""

    prefix: str
    origin: str = ""
    band: str = ""


@dataclass(frozen=True, slots=True)
class EditedRate:
    """An edit as it is kept: for calls that start in [effective_from, effective_to) it stands for the deck's rows.

    `rate` None: such calls are declined (`blocked`), or go by what else the deck has (`removed`). `effective_to` None:
    until it is edited again, or another deck comes into force. `direction`: a code.
    """

    key: RateKey
    direction: str
    rate: Rate | None
    blocked: bool
    removed: bool
    effective_from: datetime
    effective_to: datetime | None
