"""What is known of the person or firm behind a party: names, addresses, numbers of its contract and taxes.

Law: how it is spoken to and reached a party says of itself; what is agreed with it says whoever owns it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from rating_engine.domain.change import LEAVE, Leave
from rating_engine.domain.checks import check_email, check_text
from rating_engine.domain.errors import InvalidRequest

MAX_DETAIL: Final = 200  # characters of each
AGREED: Final = frozenset({"client_id", "agreement_number", "agreement_date", "accounting_number"})  # said by its owner


@dataclass(frozen=True, slots=True)
class PartyDetails:
    """All of it; '' and None: not said."""

    first_name: str = ""
    last_name: str = ""
    personal_id: str = ""
    client_id: str = ""
    agreement_number: str = ""
    agreement_date: date | None = None
    accounting_number: str = ""
    taxation_country: str = ""
    tax_number: str = ""
    address: str = ""
    postcode: str = ""
    city: str = ""
    county: str = ""
    state: str = ""
    country: str = ""
    phone: str = ""
    mobile_phone: str = ""
    fax: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True)
class PartyDetailChanges:
    """What is to be changed; LEAVE: as it is. Raises InvalidRequest naming the field."""

    first_name: str | Leave = LEAVE
    last_name: str | Leave = LEAVE
    personal_id: str | Leave = LEAVE
    client_id: str | Leave = LEAVE
    agreement_number: str | Leave = LEAVE
    agreement_date: date | Leave | None = LEAVE
    accounting_number: str | Leave = LEAVE
    taxation_country: str | Leave = LEAVE
    tax_number: str | Leave = LEAVE
    address: str | Leave = LEAVE
    postcode: str | Leave = LEAVE
    city: str | Leave = LEAVE
    county: str | Leave = LEAVE
    state: str | Leave = LEAVE
    country: str | Leave = LEAVE
    phone: str | Leave = LEAVE
    mobile_phone: str | Leave = LEAVE
    fax: str | Leave = LEAVE
    email: str | Leave = LEAVE

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not isinstance(value, str):
                continue
            check_text(value, name)
            if len(value) > MAX_DETAIL or not value.isprintable():
                raise InvalidRequest(name, f"must be {MAX_DETAIL} printable characters at most")
        if isinstance(self.email, str) and self.email:
            check_email(self.email, "email")
