"""Callers who ring in from anywhere, and the lines that they are let use: by number and PIN, or by a trusted caller id.

Laws: five wrong PINs of a line within fifteen minutes lock it for fifteen, with the right one too; a line of somebody
else, one that is not there and a wrong PIN are one answer. A PIN is compared in constant time, and told to no log.
"""

from __future__ import annotations

import hmac
from typing import Final

import structlog

from rating_engine.domain.call_rules import digits_of
from rating_engine.domain.errors import RatingEngineError
from rating_engine.domain.principal import Principal
from rating_engine.storage.parties.parties import is_below
from rating_engine.storage.phones.known_callers import login_of_caller
from rating_engine.storage.phones.pins import LinePin, clear_tries, count_wrong, hold_tries, pins_of
from rating_engine.storage.postgres.pool import Database

WRONG_PINS: Final = 5  # narayana-notes 49
LOCK_SECONDS: Final = 15 * 60.0
MAX_AUTH: Final = 80  # a login has 64 characters at the most, a PIN 16

_log = structlog.get_logger(__name__)


class WrongPin(RatingEngineError):
    """Who rings in is not let use any line, or must wait. No retry helps within fifteen minutes of the fifth."""

    code = "wrong_pin"


class Disa:
    """What one principal's exchange asks of its callers."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    async def authorize(self, auth: str, callerid: str | None = None) -> str:
        """The login of the line that `auth` names: its number with its PIN behind it, wherever the one ends.

        From its trusted caller id the number alone is enough. Errors: WrongPin, Unavailable.
        """
        lines = await self._candidates(auth)
        if callerid:
            for line in lines:
                if line.login == auth and line.trusted_cli and _digits(line.trusted_cli) == _digits(callerid):
                    return line.login
            known = await login_of_caller(self._database, digits_of(callerid))
            if known is not None and known[0] == auth and not known[1] and any(line.login == auth for line in lines):
                return auth
        named = [line for line in lines if line.pin and line.login != auth]
        if not named:
            raise WrongPin("no line has this number and PIN")
        async with self._database.transaction(self._principal) as tx:
            locked = await hold_tries(tx, [line.login for line in named])
            free = [line for line in named if not locked[line.login]]
            right = [line for line in free if _is_pin(line, auth)]
            if right:
                await clear_tries(tx, right[0].login)
                return right[0].login
            now_locked = await count_wrong(tx, [line.login for line in free], most=WRONG_PINS, seconds=LOCK_SECONDS)
        for login in now_locked:
            _log.warning("pin_locked", login=login, seconds=LOCK_SECONDS)
        raise WrongPin("no line has this number and PIN")

    async def _candidates(self, auth: str) -> list[LinePin]:
        """The asker's lines whose number `auth` begins with, the longest first: one number may begin another."""
        if not auth or len(auth) > MAX_AUTH or not auth.isprintable():
            return []
        lines = await pins_of(self._database, [auth[:end] for end in range(1, len(auth) + 1)])
        own = [line for line in lines if await is_below(self._database, line.party_id, self._principal.realm)]
        return sorted(own, key=lambda line: len(line.login), reverse=True)


def _is_pin(line: LinePin, auth: str) -> bool:
    return hmac.compare_digest(auth[len(line.login) :].encode(), line.pin.encode())


def _digits(number: str) -> str:
    return "".join(sign for sign in number if sign.isascii() and sign.isdigit())
