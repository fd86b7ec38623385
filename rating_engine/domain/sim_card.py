"""SIM cards: whose they are, by which number they are reached, and what its owner calls by.

Laws: a card becomes a user's by both of its PUKs, or by who owns the user; the PUKs are kept encrypted and shown to its
owner and to administrators alone; who guesses them is told no for a while, with the right ones too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rating_engine.domain.change import LEAVE, Leave
from rating_engine.domain.checks import check_callerid, check_name
from rating_engine.domain.errors import InvalidRequest

WRONG_PUKS: Final = 5  # wrong ones in a row; then none is looked at for a while: a PUK has eight digits
LOCK_MINUTES: Final = 15

_ICCID: Final = re.compile("[0-9]{1,22}")
_MSISDN: Final = re.compile("(?:[0-9]{3,15})?")
_PUK: Final = re.compile("[0-9]{4,16}")


@dataclass(frozen=True, slots=True)
class SimCard:
    """One card. `owner` by login, None: nobody's. `line`: which of its owner's lines it calls by; '': the first one.

    `puk1`, `puk2`: as far as the reader may see them and there is a key; else ''.
    """

    iccid: str
    msisdn: str
    provider: str
    owner_id: int | None
    owner: str | None
    line: str
    callback_cid: str
    allow_direct_sms: bool
    enabled: bool
    last_network: str
    last_network_at: datetime | None
    puk1: str = ""
    puk2: str = ""


@dataclass(frozen=True, slots=True)
class NewSimCard:
    """A card to be added. Raises InvalidRequest naming the field."""

    iccid: str
    provider: str
    msisdn: str = ""
    puk1: str = ""
    puk2: str = ""

    def __post_init__(self) -> None:
        check_iccid(self.iccid)
        check_name(self.provider, "provider")
        if not _MSISDN.fullmatch(self.msisdn):
            raise InvalidRequest("msisdn", "must be 3 to 15 digits")
        for field, puk in (("puk1", self.puk1), ("puk2", self.puk2)):
            check_puk(puk, field, empty=True)


@dataclass(frozen=True, slots=True)
class SimChanges:
    """What is to be changed; LEAVE: as it is. `owner` None: nobody's. Raises InvalidRequest naming the field."""

    owner: str | Leave | None = LEAVE
    puk1: str | Leave = LEAVE
    puk2: str | Leave = LEAVE
    line: str | Leave = LEAVE
    callback_cid: str | Leave = LEAVE
    allow_direct_sms: bool | Leave = LEAVE
    enabled: bool | Leave = LEAVE

    def __post_init__(self) -> None:
        for field, puk in (("puk1", self.puk1), ("puk2", self.puk2)):
            if puk is not LEAVE:
                check_puk(puk, field, empty=True)
        if self.callback_cid is not LEAVE:
            check_callerid(self.callback_cid, "callback_cid")


def check_iccid(iccid: str) -> None:
    """Raises InvalidRequest."""
    if not _ICCID.fullmatch(iccid):
        raise InvalidRequest("iccid", "must be 1 to 22 digits")


def check_puk(puk: str, field: str, *, empty: bool = False) -> None:
    """Raises InvalidRequest, which does not repeat it."""
    if not (empty and not puk) and not _PUK.fullmatch(puk):
        raise InvalidRequest(field, "must be 4 to 16 digits")
