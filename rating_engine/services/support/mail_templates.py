"""Mails from templates: kept, and sent to users.

Law: what is sent waits in the outbox, in the transaction that says who sent it.
"""

from __future__ import annotations

from collections.abc import Mapping

from rating_engine.domain.errors import Refused
from rating_engine.domain.mail_template import MailTemplate
from rating_engine.domain.principal import Principal
from rating_engine.storage.audit_log import record
from rating_engine.storage.parties.parties import find_party
from rating_engine.storage.parties.party_details import find_details
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.support import mail_templates as store
from rating_engine.storage.support.outbox import queue


class MailTemplates:
    """What one principal does with them."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    async def put(self, template: MailTemplate) -> None:
        """Keep one, in place of the one with its name. Errors: Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            await store.put_template(tx, template)
            await record(tx, "mail_template.put", template.name)

    async def show(self, name: str) -> MailTemplate:
        """Errors: NotFound, Unavailable."""
        return await store.find_template(self._database, name)

    async def page(self) -> list[MailTemplate]:
        """By name. Errors: Unavailable."""
        return await store.list_templates(self._database)

    async def remove(self, name: str) -> None:
        """Errors: NotFound, Unavailable."""
        await self.show(name)
        async with self._database.transaction(self._principal) as tx:
            await store.remove_template(tx, name)
            await record(tx, "mail_template.remove", name)

    async def send(self, name: str, who: str | int, words: Mapping[str, str]) -> None:
        """Send one to a user, at the address of his notices, else of his details.

        Errors: NotFound (template, user), Refused (no address is known), Unavailable.
        """
        async with self._database.transaction(self._principal) as tx:
            template = await store.find_template(tx, name)
            party = await find_party(tx, who)
            details = await find_details(tx, party.party_id)
            address = party.notify_email or details.email or party.billing_email
            if not address or party.hidden:
                raise Refused(f"no address of {party.login!r} is known")
            own = {"username": party.login, "first_name": details.first_name, "last_name": details.last_name}
            subject, body = template.filled({**own, **words})
            await queue(tx, party.party_id, address, subject, body)
            await record(tx, "mail.send", party.login, {"template": name})
