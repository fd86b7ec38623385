"""Secrets of signed requests: made or given, switched on and off, bound to addresses, kept from functions.

Laws: a secret is shown once, by who makes it, and kept encrypted, since a hash is worked out of itself; what is changed
counts at once.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Final

from rating_engine.domain.change import given
from rating_engine.domain.errors import InvalidRequest, NotFound, Refused
from rating_engine.domain.hash_secret import SECRET_GOOD, HashSecret, HashSecretChanges, check_hash_secret
from rating_engine.domain.principal import Principal
from rating_engine.domain.sip_account import NoSecretKey
from rating_engine.services.parties.lately import until_forgotten
from rating_engine.services.phones.secrets import SecretBox
from rating_engine.storage.audit_log import record
from rating_engine.storage.parties import hash_secrets as store
from rating_engine.storage.parties.parties import hold_party
from rating_engine.storage.postgres.pool import Database

SECRET_BYTES: Final = 24


@dataclass(frozen=True, slots=True)
class MadeHashSecret:
    """A secret, and the one time its text."""

    kept: HashSecret
    secret: str = field(repr=False)


class HashSecrets:
    """What one principal does with them, each by whose it is."""

    def __init__(self, database: Database, principal: Principal, box: SecretBox) -> None:
        self._database = database
        self._principal = principal
        self._box = box

    async def put(self, who: str | int, secret: str | None = None) -> MadeHashSecret:
        """A new one in place of the one before, of its own making or the one that is given; switched on.

        Errors: InvalidRequest (of whom, secret), Refused (no secret_keys), NotFound, Unavailable.
        """
        text = secrets.token_urlsafe(SECRET_BYTES) if secret is None else check_hash_secret(secret)
        try:
            sealed = self._box.seal(text)
        except NoSecretKey:
            raise Refused("secrets are kept encrypted: the operator sets secret_keys first") from None
        async with self._database.transaction(self._principal) as tx:
            party = await hold_party(tx, who)
            if party.hidden or not party.kind.may_own:
                raise InvalidRequest("user", f"{party.login!r} signs with the secret of {party.owner or 'nobody'}")
            await store.put_secret(tx, party.party_id, sealed, is_short=len(text) < SECRET_GOOD)
            await record(tx, "hash_secret.put", party.login, {"is_short": len(text) < SECRET_GOOD})
        await until_forgotten()
        return MadeHashSecret(await self.show(party.party_id), text)

    async def show(self, who: str | int) -> HashSecret:
        """Without its text. Errors: NotFound, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            party = await hold_party(tx, who)
            found = await store.secret_of(tx, party.party_id)
        if found is None:
            raise NotFound(f"{party.login!r} has no secret of its own", field="user")
        return found[0]

    async def page(self) -> list[HashSecret]:
        """All of them. Errors: Unavailable."""
        return await store.list_secrets(self._database)

    async def change(self, who: str | int, changes: HashSecretChanges) -> HashSecret:
        """Set what is given. Errors: NotFound, Unavailable."""
        kept = await self.show(who)
        values = given(changes)
        async with self._database.transaction(self._principal) as tx:
            await store.change_secret(tx, kept.owner_id, values)
            await record(tx, "hash_secret.change", kept.owner, values)
        await until_forgotten()
        return await self.show(kept.owner_id)
