"""Routes as their owners make them: how each is reached, by which exchange, and who asks for its balance."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from rating_engine.domain.change import LEAVE, Leave
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.tariff import CalleridPolicy, RouteChanges, check_route_name

HOST_MAX: Final = 255  # of a domain name
USERNAME_MAX: Final = 128
SECRET_MAX: Final = 256
NATIONAL_CODE: Final = "7"  # whose caller ids "RU only" means

_HOST: Final = re.compile(r"[A-Za-z0-9_.:\[\]-]*")


class RouteKind(StrEnum):
    """`sip`, `sms`: made with a gateway. `default`: of the exchange's own configuration."""

    SIP = "sip"
    SMS = "sms"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Gateway:
    """A route as its owner sees it. `name`: in the whole engine; `prefix`: what goes before the number, or sends SMS.

    `exchange` '': it has no gateway. `balance` None: nobody asked the carrier.
    """

    route_id: int
    name: str
    owner_id: int
    owner: str
    kind: RouteKind
    prefix: str
    policy: CalleridPolicy
    enabled: bool
    exchange: str
    host: str
    username: str
    from_user: bool
    balance: Decimal | None
    balance_updated_at: datetime | None

    @property
    def title(self) -> str:
        """Its name without that of its owner."""
        return self.name.removeprefix(f"{self.owner}.")


@dataclass(frozen=True, slots=True)
class GatewayChanges:
    """What is to be set of such a route; LEAVE: as it is. `secret`, `balance_secret`: '' none.

    Raises InvalidRequest naming the field.
    """

    name: str | Leave = LEAVE
    prefix: str | Leave = LEAVE
    host: str | Leave = LEAVE
    username: str | Leave = LEAVE
    secret: str | Leave = LEAVE
    from_user: bool | Leave = LEAVE
    policy: int | Leave = LEAVE
    balance_handler: str | Leave = LEAVE
    balance_username: str | Leave = LEAVE
    balance_secret: str | Leave = LEAVE

    def __post_init__(self) -> None:
        if self.name is not LEAVE:
            check_route_name(self.name, "route")
        if self.prefix is not LEAVE:
            RouteChanges(dial_prefix=self.prefix)
        if self.policy is not LEAVE and self.policy not in list(CalleridPolicy):
            raise InvalidRequest("callerid", "is 1, 2 or 99")
        if self.host is not LEAVE and (len(self.host) > HOST_MAX or not _HOST.fullmatch(self.host)):
            raise InvalidRequest("host", f"is a domain or an address, with a port or without, {HOST_MAX} at most")
        for name, most in (
            ("username", USERNAME_MAX), ("secret", SECRET_MAX), ("balance_handler", USERNAME_MAX),
            ("balance_username", USERNAME_MAX), ("balance_secret", SECRET_MAX),
        ):  # fmt: skip
            text = getattr(self, name)
            if text is not LEAVE and (len(text) > most or not (text.isascii() and text.isprintable())):
                raise InvalidRequest(name, f"has {most} printable ASCII characters at most")


@dataclass(frozen=True, slots=True)
class Trunk:
    """What an exchange has to know to reach a gateway. `secret` None: it asks for none."""

    name: str
    host: str
    username: str
    secret: str | None
    from_user: bool
