"""One request whose asker is known: what a function is given, and its parameters read as what they are.

Laws: what does not parse is the function's own error and never guessed; a number has so many digits at most.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

from starlette.responses import Response

from rating_engine.api.mor.declare import Function, Role
from rating_engine.api.mor.errors import Failed
from rating_engine.api.mor.signing import value_of
from rating_engine.api.mor.xml import Element
from rating_engine.domain.outcomes import BalanceOutcome, PrepareCall
from rating_engine.domain.principal import Principal
from rating_engine.services.catalogue import Services, UseCases
from rating_engine.services.parties.access import Door

COOKIE: Final = "mor_session"
MAX_WHOLE: Final = 2**63 - 1  # of a column
MAX_MOMENT: Final = 253_402_300_799  # the last second of the year 9999

_WHOLE: Final = re.compile(r"[0-9]{1,19}")
_AMOUNT: Final = re.compile(r"[+-]?[0-9]{1,20}(?:\.[0-9]{1,20})?")
_FLAGS: Final[Mapping[str, bool]] = {"0": False, "1": True}


class CallQuestions(Protocol):
    """Whether a call may be made, without holding anything for it; a broken database is an answer."""

    async def balance(self, login: str, call: PrepareCall | None = None) -> BalanceOutcome:
        """The account's money, and how long `call` would last on it, or why it may not be made."""


@dataclass(frozen=True)
class Asked:
    """`given`: by plain names, as it was sent. `in_path`: what stands behind the function in the path. `cookie`: the
    session that the request brings. `zone`: of the moments in answers.
    `charging`: what is asked before a callback. `mails`: whether mail is sent at all.
    """

    function: Function
    given: Mapping[str, str] = field(repr=False)
    role: Role
    asking: Principal
    services: Services
    door: Door
    zone: ZoneInfo
    charging: CallQuestions
    mails: bool = False
    in_path: str | None = field(default=None, repr=False)
    cookie: str | None = field(default=None, repr=False)

    @cached_property
    def use(self) -> UseCases:
        """What the asker can ask."""
        return self.services.of(self.asking)

    @property
    def is_admin(self) -> bool:
        """Whether it is an administrator who asks."""
        return self.role is Role.ADMIN

    async def hides_usernames(self) -> bool:
        """Whether the asker is not shown the names by which phones register. Errors: Unavailable."""
        return self.role is Role.USER and await self.services.signed.hides_usernames(self.who)

    @property
    def who(self) -> int:
        """The number of who asks."""
        assert self.asking.party_id is not None
        return self.asking.party_id

    def sent(self, name: str) -> bool:
        """Whether the parameter was sent, with or without a value."""
        return value_of(self.function, name, self.given) is not None

    def text(self, name: str, default: str = "") -> str:
        """Its value as it was sent; absent: `default`."""
        value = value_of(self.function, name, self.given)
        return default if value is None else value

    def needed(self, name: str, error: str) -> str:
        """Its value. Raises Failed(error) where there is none."""
        value = self.text(name).strip()
        if not value:
            raise Failed(error)
        return value

    def whole(self, name: str, error: str) -> int | None:
        """A whole number from 0 on; None: absent or empty. Raises Failed(error)."""
        text = self.text(name).strip()
        return whole_of(text, error) if text else None

    def needed_whole(self, name: str, error: str) -> int:
        """The same that has to be given. Raises Failed(error)."""
        return whole_of(self.text(name).strip(), error)

    def amount(self, name: str, error: str) -> Decimal | None:
        """A decimal; None: absent or empty. Raises Failed(error)."""
        text = self.text(name).strip()
        if not text:
            return None
        if not _AMOUNT.fullmatch(text):
            raise Failed(error)
        return Decimal(text)

    def flag(self, name: str, error: str) -> bool | None:
        """0 or 1; None: absent. Raises Failed(error)."""
        if not self.sent(name):
            return None
        value = _FLAGS.get(self.text(name).strip())
        if value is None:
            raise Failed(error)
        return value

    def moment(self, name: str, error: str) -> datetime | None:
        """A unix timestamp; None: absent or empty. Raises Failed(error)."""
        seconds = self.whole(name, error)
        if seconds is None:
            return None
        if seconds > MAX_MOMENT:
            raise Failed(error)
        return datetime.fromtimestamp(seconds, UTC)

    def shown(self, moment: datetime | None) -> str:
        """A moment as answers have it: 2015-11-05 02:00:00 +0200; None: ''."""
        return "" if moment is None else f"{moment.astimezone(self.zone):%Y-%m-%d %H:%M:%S %z}"


Answer = Element | Response
Handler = Callable[[Asked], Awaitable[Any]]  # Answer


def whole_of(text: str, error: str) -> int:
    """A whole number of a column. Raises Failed(error)."""
    if not _WHOLE.fullmatch(text) or (number := int(text)) > MAX_WHOLE:
        raise Failed(error)
    return number


def stored(amount: Decimal) -> str:
    """An amount as it is stored: zeros at the end cut, one decimal at least (10.084034, 20.0)."""
    whole, _, decimals = f"{amount:.6f}".partition(".")
    return f"{whole}.{decimals.rstrip('0') or '0'}"
