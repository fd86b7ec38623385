"""Commands of SIP lines. The id of a line is its number.

Laws: a password is set and never answered; a line that is made without one has one that nobody knows; of caller ids one
shows one's own numbers.
"""

from __future__ import annotations

import contextlib
import secrets
import string
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from rating_engine.api.teleum.asked import Answer, Asked, Handler
from rating_engine.api.teleum.errors import NOT_FOUND, Failure, wrong
from rating_engine.domain.checks import is_email
from rating_engine.domain.sip_account import ExtensionTaken, NewSipAccount, SipAccount, SipChanges

PASSWORD_LENGTH: Final = 20
TRIES: Final = 20  # lines of one user that are made at once
ALPHABET: Final = string.ascii_letters + string.digits


async def get_sips(asked: Asked) -> Answer:
    """One's own lines, the default one first, under both names of the document."""
    lines = [
        _shown(line, is_default=place == 0) for place, line in enumerate(await asked.use.sip_accounts.of(asked.who))
    ]
    return {"spis": lines, "sips": lines}


async def get_next_sip(asked: Asked) -> Answer:
    """The number that the next line would have."""
    return {"num": await asked.use.sip_accounts.next_of(asked.who)}


async def edit_sip(asked: Asked) -> Answer:
    """Make a line (id 0), or change what is given of one."""
    values, use = asked.values, asked.use.sip_accounts
    settings = SipChanges(**await _settings(asked))
    if values.whole("id") == 0:
        line = await _made(asked, settings)
    else:
        password = values.text("paswd")
        line = await use.change((await _own(asked)).login, _with_password(settings, password))
    return {"id": line.login, "num": line.login}


async def delete_sip(asked: Asked) -> Answer:
    """It registers and calls no more."""
    line = await _own(asked)
    await asked.use.sip_accounts.delete(line.login)
    return {"id": line.login}


HANDLERS: Final[Mapping[str, Handler]] = {
    "getSIPs": get_sips,
    "getNextSIP": get_next_sip,
    "editSIP": edit_sip,
    "deleteSIP": delete_sip,
}


async def _made(asked: Asked, settings: SipChanges) -> SipAccount:
    """A new line. Whoever makes one at the same time may take its number first; then it has the next one."""
    password = asked.values.text("paswd") or "".join(secrets.choice(ALPHABET) for _ in range(PASSWORD_LENGTH))
    use = asked.use.sip_accounts

    async def with_the_next() -> SipAccount:
        login = await use.next_of(asked.who)
        return await use.create(NewSipAccount(login=login, password=password, settings=settings))

    for _ in range(TRIES):
        with contextlib.suppress(ExtensionTaken):
            return await with_the_next()
    return await with_the_next()


async def _own(asked: Asked) -> SipAccount:
    named = asked.values.needed("id")
    for line in await asked.use.sip_accounts.of(asked.who):
        if line.login == named:
            return line
    raise Failure(NOT_FOUND)


async def _settings(asked: Asked) -> dict[str, Any]:
    values, settings = asked.values, dict[str, Any]()
    if values.has("descr"):
        settings["label"] = values.text("descr")
    if values.has("email"):
        settings["email"] = email = values.text("email").strip()
        if email and not is_email(email):
            raise wrong("email")
    if values.has("rcid"):
        named = values.text("rcid").strip().removeprefix("+")
        settings["callerid"] = (await asked.number(named)).number if named not in ("", "0") else ""
    return settings


def _with_password(settings: SipChanges, password: str) -> SipChanges:
    return replace(settings, password=password) if password else settings


def _shown(line: SipAccount, *, is_default: bool) -> dict[str, str]:
    online = line.state is not None and line.state.online
    return {
        "id": line.login,
        "num": line.login,
        "email": line.email,
        "def": str(int(is_default)),
        "rcid": line.callerid.lstrip("+"),
        "descr": line.label,
        "uagent": line.state.user_agent if line.state is not None and online else "",
        "status": "online" if online else "offline",
    }
