"""API keys: made, changed, listed, revoked.

Laws: the secret is shown once, by who made it, and kept by its SHA-256; nobody makes a key that may do more than itself
(above level 50 it takes a root admin); a name that was revoked is not used again, so that the audit log names one key.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Final

from rating_engine.domain.api_key import ApiKey, KeyChanges, NewKey
from rating_engine.domain.change import LEAVE, given
from rating_engine.domain.errors import InvalidRequest, NotAllowed, NotYours
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.party import SYSTEM, Level, Party
from rating_engine.domain.principal import Principal
from rating_engine.services.parties.lately import until_forgotten
from rating_engine.storage.audit_log import record
from rating_engine.storage.parties import keys as store
from rating_engine.storage.parties import parties
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.transaction import Transaction

SECRET_BYTES: Final = 32
SECRET_MIN: Final = 16  # characters of one that is given; shorter ones are guessed
SECRET_MAX: Final = 256
SHOWN: Final = 4  # characters that tell keys apart, and tell nobody the rest


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A key, and the one time its secret."""

    key: ApiKey
    secret: str


_SECRET: Final = re.compile(r"[A-Za-z0-9._~-]+")  # what stands in a path as it is


def hash_of(secret: str) -> bytes:
    """What is kept of a secret. It is random and long, so that no slow hash is needed."""
    return hashlib.sha256(secret.encode()).digest()


def check_secret(secret: str) -> str:
    """A secret that somebody else has made, as it is. Raises InvalidRequest."""
    if not SECRET_MIN <= len(secret) <= SECRET_MAX or not _SECRET.fullmatch(secret):
        raise InvalidRequest("secret", f"must have {SECRET_MIN} to {SECRET_MAX} letters, digits or any of . _ ~ -")
    return secret


class Keys:
    """What one principal does with keys, each by its name. What is changed counts from the next request on: it is
    answered when no process remembers the key as it was.
    """

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    async def add(self, new: NewKey, *, secret: str | None = None) -> MadeKey:
        """A key below `new.owner`, with a secret of its own or the one that is given.

        Errors: InvalidRequest naming the field, NotAllowed (level), NotFound (owner, default user), NotYours (default
        user), AlreadyExists (name, secret), Unavailable.
        """
        self._check_level(new.level)
        self._check_scopes(new.scopes)
        if new.rate_limit is not None:
            self._check_limits()
        secret = secrets.token_urlsafe(SECRET_BYTES) if secret is None else check_secret(secret)
        async with self._database.transaction(self._principal) as tx:
            owner = await parties.hold_party(tx, self._owner() if new.owner is None else new.owner)
            if owner.hidden:
                raise InvalidRequest("owner", f"{owner.login!r} was deleted")
            default = None if new.default_user is None else await self._default_user(tx, new.default_user, owner)
            await store.add_key(
                tx, new, hash_of(secret), secret[:SHOWN], owner_id=owner.party_id, default_party_id=default
            )
            asked = {name: value for name, value in given(new).items() if value not in (None, ())}
            await record(tx, "key.add", new.name, {**asked, "owner": owner.login, "level": int(new.level)})
        return MadeKey(await self.show(new.name), secret)

    async def show(self, name: str) -> ApiKey:
        """A key, without its secret. Errors: NotFound, Unavailable."""
        return await store.find_key(self._database, name)

    async def page(self, cursor: Cursor, *, revoked: bool = False) -> Page[ApiKey]:
        """Keys of who asks and of all below, the oldest first. Errors: InvalidRequest (after), Unavailable."""
        return await store.list_keys(self._database, self._principal.realm, revoked, cursor)

    async def change(self, name: str, changes: KeyChanges, *, secret: str | None = None) -> ApiKey:
        """Set what is given, another secret too. Errors: InvalidRequest, NotAllowed (level), NotFound, NotYours,
        AlreadyExists (secret), Unavailable.
        """
        values = given(changes)
        async with self._database.transaction(self._principal) as tx:
            key = await self._hold(tx, name)
            if changes.level is not LEAVE:
                self._check_level(changes.level)
                # The same rules as for a new one.
                NewKey(name, key.kind, changes.level)
            if changes.scopes is not LEAVE:
                self._check_scopes(changes.scopes)
            if changes.rate_limit is not LEAVE:
                self._check_limits()
            columns = dict(values)
            if changes.default_user is not LEAVE:
                user = columns.pop("default_user")
                owner = await parties.find_party(tx, key.owner_id)
                columns["default_party_id"] = None if user is None else await self._default_user(tx, user, owner)
                columns.setdefault("default_value", "")
            if secret is not None:
                columns |= {"secret_hash": hash_of(check_secret(secret)), "shown": secret[:SHOWN]}
            if columns:
                await store.change_key(tx, key.key_id, columns)
                await record(tx, "key.change", name, {**values, **({} if secret is None else {"secret": True})})
        await until_forgotten()
        return await self.show(name)

    async def revoke(self, name: str) -> ApiKey:
        """The next request with it is refused, for good. Errors: InvalidRequest (it was), NotFound, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            key = await self._hold(tx, name)
            await store.revoke_key(tx, key.key_id)
            await record(tx, "key.revoke", name, {"owner": key.owner})
        await until_forgotten()
        return await self.show(name)

    async def _hold(self, tx: Transaction, name: str) -> ApiKey:
        key = await store.find_key(tx, name)
        if key.revoked_at is not None:
            raise InvalidRequest("key", f"{name!r} was revoked")
        self._check_level(key.level)
        return key

    async def _default_user(self, tx: Transaction, who: str | int, owner: Party) -> int:
        """A user that belongs to the owner of the key: for others it does not ask."""
        party = await parties.find_party(tx, who)
        if not await parties.is_below(tx, party.party_id, owner.realm):
            raise NotYours(f"user {party.login!r} does not belong to {owner.login!r}", field="default_user")
        if party.level > self._principal.level:
            raise NotAllowed(f"user {party.login!r} has a level above yours", field="default_user")
        return party.party_id

    def _check_level(self, level: Level) -> None:
        if level > Level.SERVER and self._principal.level < Level.ROOT_ADMIN:
            raise NotAllowed(f"a key of a level above {int(Level.SERVER)} is for a root admin to make", field="level")
        if level > self._principal.level and self._principal.level < Level.ADMIN:
            raise NotAllowed("nobody gives a key a level above its own", field="level")

    def _check_limits(self) -> None:
        if self._principal.level < Level.ADMIN:
            raise NotAllowed("how often a key may ask is for administrators to say", field="rate_limit")

    def _check_scopes(self, scopes: tuple[str, ...]) -> None:
        own = self._principal.scopes
        if own is not None and not (scopes and own.issuperset(scopes)):
            raise NotAllowed(f"a key with the scopes {', '.join(sorted(own))} gives no others", field="scopes")

    def _owner(self) -> int:
        return SYSTEM if self._principal.party_id is None else self._principal.party_id
