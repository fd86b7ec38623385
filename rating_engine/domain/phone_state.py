"""Whether the phone of a line is registered at its exchange, as the exchange says it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class HeardPhone:
    """What an exchange says of the telephones that are registered by one number (its address of record).

    `contact`: the SIP URI of the one that has registered for longest from now; '': none is. `contacts`: how many are.
    `expires_at`: when that registration ends; None: not said yet, and `user_agent` neither.
    """

    login: str
    online: bool
    contact: str = ""
    user_agent: str = ""
    contacts: int = 0
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PhoneState:
    """The same, as it is kept. `online`: it can be called. `contact` and `user_agent` are the last ones known.

    `registered_at`: when it was seen to register last, to the minute. `changed_at`: since when it is online or offline.
    """

    online: bool
    contact: str
    user_agent: str
    contacts: int
    registered_at: datetime
    changed_at: datetime

    @property
    def address(self) -> str:
        """Host and port of the contact, without names and parameters; '' where it says none."""
        return self.contact.partition(";")[0].rpartition("@")[2].removeprefix("sips:").removeprefix("sip:")

    @property
    def last_update(self) -> datetime:
        """The latest that is known of it."""
        return max(self.registered_at, self.changed_at)
