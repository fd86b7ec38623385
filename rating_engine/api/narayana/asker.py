"""Who asks: by the key, and by what the query says of its user.

Laws: a default user of a key counts before what a query names; a client key's user shows a password; where a key
authorises by extension or SIM card, its owner asks, and for a line that is nobody's the owner of the key. All else is
one answer: E_AUTH_FAILED.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rating_engine.api.narayana.arguments import MAX_WHOLE, plain_name
from rating_engine.api.narayana.declare import Method
from rating_engine.api.narayana.errors import CODE_OF_REFUSAL, Code, Failure
from rating_engine.domain.api_key import ApiKey, AuthBy, KeyKind
from rating_engine.domain.party import SYSTEM
from rating_engine.domain.principal import Principal
from rating_engine.domain.refusal import NotAdmitted
from rating_engine.services.parties.access import Access, Door

NO_PARTY: Final = 0  # of no party: what is unknown is looked for, so that it takes as long as what is known


async def who_asks(
    access: Access, key: ApiKey, door: Door, method: Method, given: Mapping[str, str]
) -> tuple[Principal, str | None]:
    """The asker, and the extension that it was found by. Raises Failure; errors: Overloaded, Unavailable."""
    asking, line = await _named(access, key, door, method, given)
    other = given.get("username")
    if other and not _takes_username(method) and not isinstance(asking, NotAdmitted):
        asking, line = await access.on_behalf(key, asking, other, door), None
    if isinstance(asking, NotAdmitted):
        raise Failure(CODE_OF_REFUSAL.get(asking.reason, Code.E_AUTH_FAILED))
    return asking, line


def check_level(key: ApiKey, asking: Principal, method: Method) -> None:
    """Whether the asker may ask for the method. Raises Failure (E_INSUFFICIENT_ACCESS)."""
    if key.methods and method.name not in key.methods:
        raise Failure(Code.E_INSUFFICIENT_ACCESS, "the key is for other methods")
    if asking.method_level < method.level:
        raise Failure(Code.E_INSUFFICIENT_ACCESS, f"{method.name} takes level {method.level}")


async def _named(
    access: Access, key: ApiKey, door: Door, method: Method, given: Mapping[str, str]
) -> tuple[Principal | NotAdmitted, str | None]:
    login = given.get("login")
    if key.default_user is not None:
        return await access.as_user(key, door), await _default_line(access, key)
    if not login:
        if method.level > 0:
            raise Failure(Code.E_AUTH_FAILED, "nobody is named")
        return await access.as_user(key, door), None
    md5 = given.get("password", "").lower() if key.kind is KeyKind.CLIENT or given.get("password") else None
    match key.auth_by:
        case AuthBy.USERNAME:
            return await access.as_user(key, door, user=login, md5=md5), None
        case AuthBy.ID:
            number = (
                int(login) if login.isascii() and login.isdigit() and len(login) < len(str(MAX_WHOLE)) else NO_PARTY
            )
            return await access.as_user(key, door, user=number, md5=md5), None
        case AuthBy.SIP_EXTENSION:
            owner = await access.owner_of_line(login)
            if owner == SYSTEM and key.kind is KeyKind.SERVER:
                return await access.as_owner(key, door), login
            return await access.as_user(key, door, user=NO_PARTY if owner is None else owner, md5=md5), login
        case AuthBy.ICCID | AuthBy.MSISDN:
            found = await access.owner_of_card(login, by_iccid=key.auth_by is AuthBy.ICCID)
            owner, line = (NO_PARTY, None) if found is None else found
            return await access.as_user(key, door, user=owner, md5=md5), line
        case _:
            return await access.as_user(key, door, user=NO_PARTY, md5=md5), None


async def _default_line(access: Access, key: ApiKey) -> str | None:
    """The extension that a key's default user is named by, or that its SIM card calls by, while it has it."""
    line: str | None = key.default_value
    if not line or key.default_user is None:
        return None
    if key.auth_by in (AuthBy.ICCID, AuthBy.MSISDN):
        card = await access.owner_of_card(line, by_iccid=key.auth_by is AuthBy.ICCID)
        line = None if card is None else card[1]
    if line is None or key.auth_by is AuthBy.ID:
        return None
    owner, user = await access.owner_of_line(line), await access.party(key.default_user)
    return line if owner == user.party_id else None


def _takes_username(method: Method) -> bool:
    return any("username" in map(plain_name, (each.name, *each.also)) for each in method.arguments)
