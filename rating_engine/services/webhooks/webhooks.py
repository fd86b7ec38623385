"""Webhooks of one party: made, listed, given another secret, taken away.

Law: a webhook hears of everything that is entered in its party's ledgers after it was made, and of nothing before.
"""

from __future__ import annotations

import secrets as random
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from rating_engine.domain.errors import InvalidRequest, NotFound, Refused
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.principal import Principal
from rating_engine.domain.sip_account import NoSecretKey
from rating_engine.domain.webhook import MAX_WEBHOOKS, STATES, ListedDelivery, NewWebhook, Webhook, check_place
from rating_engine.services.phones.secrets import SecretBox
from rating_engine.storage.audit_log import record
from rating_engine.storage.parties.parties import tree_of
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.webhooks import webhooks as store

SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class MadeWebhook:
    """`secret`: shown this once."""

    webhook_id: int
    secret: str = field(repr=False)


class Webhooks:
    """What one principal does with its own."""

    def __init__(
        self, database: Database, principal: Principal, box: SecretBox, private_hosts: Collection[str] = ()
    ) -> None:
        """`private_hosts`: where events may go though it is not public."""
        self._database = database
        self._principal = principal
        self._box = box
        self._private_hosts = frozenset(host.lower() for host in private_hosts)

    async def add(self, new: NewWebhook) -> MadeWebhook:
        """Errors: InvalidRequest (url), Refused (too many, or no secret_keys), Unavailable."""
        check_place(new.url, self._private_hosts)
        secret, sealed = self._secret()
        realm = self._principal.realm
        async with self._database.transaction(self._principal) as tx:
            if await store.count_of(tx, realm) >= MAX_WEBHOOKS:
                raise Refused(f"there are {MAX_WEBHOOKS} webhooks: take one away first")
            number = await store.add(tx, realm, new.url, new.wanted, new.low_balance, sealed)
            ledgers = await store.ledgers_of(tx, await tree_of(tx, realm))
            await store.put_places(tx, number, [(each.bucket, each.account_id, each.last_entry) for each in ledgers])
            await record(tx, "webhook.add", str(number), {"url": new.url, "events": new.wanted})
        return MadeWebhook(number, secret)

    async def page(self) -> list[Webhook]:
        """All of them, MAX_WEBHOOKS at the most. Errors: Unavailable."""
        return await store.of_party(self._database, self._principal.realm)

    async def rotate(self, webhook_id: int) -> MadeWebhook:
        """Another secret; for a day the old one signs as well. Errors: NotFound, Refused, Unavailable."""
        if webhook_id not in {each.webhook_id for each in await self.page()}:
            raise NotFound("there is no such webhook", field="id")
        secret, sealed = self._secret()
        async with self._database.transaction(self._principal) as tx:
            if not await store.rotate(tx, webhook_id, self._principal.realm, sealed):
                raise NotFound("there is no such webhook", field="id")
            await record(tx, "webhook.rotate", str(webhook_id))
        return MadeWebhook(webhook_id, secret)

    async def remove(self, webhook_id: int) -> None:
        """What waits for it is dropped. Errors: NotFound, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            if not await store.remove(tx, webhook_id, self._principal.realm):
                raise NotFound("there is no such webhook", field="id")
            await record(tx, "webhook.remove", str(webhook_id))

    async def every(self) -> list[Webhook]:
        """Everybody's, with what waits for each. Errors: Unavailable."""
        return await store.of_party(self._database, None)

    async def deliveries(self, webhook_id: int, cursor: Cursor, state: str | None = None) -> Page[ListedDelivery]:
        """What became of its events within a week, the latest first; `state`: of those alone.

        Errors: NotFound, InvalidRequest (after, state), Unavailable.
        """
        if state is not None and state not in STATES:
            raise InvalidRequest("state", f"is none of {', '.join(STATES)}")
        await self._find(webhook_id)
        return await store.deliveries_of(self._database, webhook_id, self._owner, state, cursor)

    async def send_again(self, webhook_id: int, delivery_id: int) -> None:
        """An event that was sent, or given up, once more: by the id that it had. Errors: NotFound, Unavailable."""
        await self._find(webhook_id)
        async with self._database.transaction(self._principal) as tx:
            event = await store.queue_again(tx, webhook_id, delivery_id)
            if event is None:
                raise NotFound("there is no such delivery, or it waits", field="delivery")
            await record(tx, "webhook.again", str(webhook_id), {"event": event})

    @property
    def _owner(self) -> int | None:
        """Whose webhooks it sees; None: everybody's."""
        return None if self._principal.sees_all else self._principal.realm

    async def _find(self, webhook_id: int) -> None:
        found = await store.of_party(self._database, self._owner)
        if webhook_id not in {each.webhook_id for each in found}:
            raise NotFound("there is no such webhook", field="id")

    def _secret(self) -> tuple[str, bytes]:
        secret = random.token_hex(SECRET_BYTES)
        try:
            return secret, self._box.seal(secret)
        except NoSecretKey:
            raise Refused("webhooks need a key to keep their secrets with: the operator sets secret_keys") from None
