"""Who is it that asks: passwords (keys and sessions follow them), each answered by a principal or a refusal.

Laws: what is wrong is told alike and takes alike long, whether the login or the password was; a party that is locked or
deleted, or below one, is not let in; no secret is in an answer or a log line.
"""

from __future__ import annotations

from rating_engine.domain.errors import NotFound
from rating_engine.domain.principal import Principal, principal_of
from rating_engine.domain.refusal import NotAdmitted, Refusal
from rating_engine.services.parties.passwords import Passwords
from rating_engine.storage.parties import parties as store
from rating_engine.storage.postgres.pool import Database


class Access:
    """What a surface asks before anything else. One a process."""

    def __init__(self, database: Database, passwords: Passwords) -> None:
        self._database = database
        self._passwords = passwords

    async def by_password(self, login: str, md5: str, *, surface: str, address: str | None) -> Principal | NotAdmitted:
        """Who has this login and password, the password by its MD5 in hex. Errors: Overloaded, Unavailable."""
        try:
            party = await store.find_party(self._database, login)
        except NotFound:
            party = None
        hashed = None if party is None else await store.password_hash(self._database, party.party_id)
        if party is None or hashed is None:
            await self._passwords.verify_nobody(md5)
            return NotAdmitted(Refusal.NO_USER, "no such user, or it has no password")
        if not await self._passwords.verify(md5, hashed):
            return NotAdmitted(Refusal.NO_USER, "the password is wrong")
        if await store.is_locked(self._database, party.party_id):
            return NotAdmitted(Refusal.LOCKED)
        return principal_of(party, surface, address=address)
