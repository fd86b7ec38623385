"""Codes: numbers of 16 digits that carry money to whoever activates them, or invite somebody to register."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final

from rating_engine.domain.checks import check_amount
from rating_engine.domain.errors import InvalidRequest, Refused
from rating_engine.domain.party import Level, PartyKind

LEVELS: Final = (Level.SIMPLE_USER, Level.USER, Level.RESELLER, Level.PARTNER)  # of who registers by one
DIGITS: Final = 16


class CodeIsEmpty(Refused):
    """It carries no money, or none any more."""

    code = "code_empty"


class NoInvites(Refused):
    """Whoever is below a reseller makes as many codes as it was given invites."""

    code = "no_invites"


class TooManyTries(Refused):
    """So often an hour, and no more: codes are not to be guessed."""

    code = "too_many_tries"


@dataclass(frozen=True, slots=True)
class NewCode:
    """A code to be made. `target`: who alone may have it: a login, or the ICCID or number of a user's SIM card.
    `currency` of the balance; '': that of the account that pays, or of who makes it.

    Raises InvalidRequest naming the field.
    """

    balance: Decimal = Decimal(0)
    level: int = Level.SIMPLE_USER
    target: str = ""
    currency: str = ""

    def __post_init__(self) -> None:
        check_amount(self.balance, "balance")
        if self.level not in LEVELS:
            raise InvalidRequest("accesslevel", f"is none of {', '.join(str(int(level)) for level in LEVELS)}")


@dataclass(frozen=True, slots=True)
class Code:
    """One code. `number`: None where the key of its encryption is not there. `creator`: '' of who was nobody yet.

    `balance`: what it carries now, in `currency`; '' where it never carried any.
    """

    card_id: int
    number: str | None = field(repr=False)
    balance: Decimal
    currency: str
    level: Level
    creator: str
    target: str
    created_at: datetime
    activated_by: str
    activated_at: datetime | None


def kind_of(level: Level) -> PartyKind:
    """What somebody of that level is registered as."""
    return PartyKind.USER if level < Level.RESELLER else PartyKind.RESELLER
