"""Exchanges: made, shown, listed, changed. How the engine reaches one over AMI stays in the settings, by its name."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path
from typing import Final

from rating_engine.domain.change import LEAVE, given
from rating_engine.domain.errors import Refused
from rating_engine.domain.exchanges import (
    MAX_ROLE,
    ExchangeChanges,
    ExchangeRole,
    NewExchange,
    SipExchange,
    check_role,
    scram_verifier,
)
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.principal import Principal
from rating_engine.services.phones.rendering import NO_TRUNKS, Reload, Rendered, TrunksOf, render
from rating_engine.storage.audit_log import record
from rating_engine.storage.phones import exchanges as store
from rating_engine.storage.phones import roles
from rating_engine.storage.postgres.pool import Database

SALT_BYTES: Final = 16  # as PostgreSQL takes


class Exchanges:
    """What one principal does with exchanges, each by its name."""

    def __init__(self, database: Database, principal: Principal, reload: Reload, trunks_of: TrunksOf) -> None:
        self._database = database
        self._principal = principal
        self._reload = reload
        self._trunks_of = trunks_of

    async def add(self, new: NewExchange) -> SipExchange:
        """Errors: InvalidRequest naming the field, AlreadyExists (name), Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            await store.add_exchange(tx, new)
            await record(tx, "exchange.add", new.name, given(new))
        return await self.show(new.name)

    async def show(self, name: str) -> SipExchange:
        """Errors: NotFound, Unavailable."""
        return await store.find_exchange(self._database, name)

    async def page(self, cursor: Cursor) -> Page[SipExchange]:
        """All of them, by name. Errors: InvalidRequest (after), Unavailable."""
        return await store.list_exchanges(self._database, cursor)

    async def render(
        self, name: str, *, output: Path | None = None, write: bool = True, reload: bool = False, trunks: bool = False
    ) -> Rendered:
        """The phones of an exchange as a file of pjsip.conf, in its directory or in `output`; written where it differs.

        `reload`: have the exchange read it, over AMI. `trunks`: with the gateways of its routes. Errors: NotFound,
        Refused (no directory, not writable, a route that is called as a phone is, or the exchange refuses), NoSecretKey
        (of a gateway's password), Unavailable.
        """
        exchange = await store.find_exchange(self._database, name)
        more = await self._trunks_of(name) if trunks else NO_TRUNKS
        rendered = await render(self._database, exchange, output, more, write=write)
        if not (reload and rendered.written):
            return rendered
        return replace(rendered, reloaded=await self._reload(name))

    async def give_role(self, name: str, *, password: str, role: str | None = None, make: bool = True) -> ExchangeRole:
        """Let a role of the database read the phones of this exchange, and nothing else; made if it is not there.

        `make` False: its statements are for somebody else to run, who may make roles.
        Errors: InvalidRequest (role, password), NotFound, AlreadyExists (it is another exchange's), Refused (roles
        cannot be made by this one of the database), Unavailable.
        """
        role = role or f"rating_{name.lower().replace('.', '_').replace('-', '_')}"[:MAX_ROLE]
        check_role(role, password)
        async with self._database.transaction(self._principal) as tx:
            exchange = await store.hold_exchange(tx, name)
            statements = await roles.statements_of(tx, role, scram_verifier(password, secrets.token_bytes(SALT_BYTES)))
            if make:
                await roles.run(tx, statements)
            await store.change_exchange(tx, exchange.exchange_id, {"database_role": role})
            await record(tx, "exchange.role", name, {"role": role, "made": make})
        return ExchangeRole(role, statements)

    async def change(self, name: str, changes: ExchangeChanges) -> SipExchange:
        """Set what is given. Where it is not enabled any more, none of its phones registers or calls.

        Errors: InvalidRequest naming the field, NotFound, Refused (its phones' passwords have its realm), Unavailable.
        """
        values = given(changes)
        async with self._database.transaction(self._principal) as tx:
            exchange = await store.hold_exchange(tx, name)
            if changes.realm not in (LEAVE, exchange.realm) and exchange.phones:
                raise Refused(
                    f"{exchange.phones} phones have passwords of the realm {exchange.realm}; move them first",
                    field="realm",
                )
            if values:
                await store.change_exchange(tx, exchange.exchange_id, values)
                before = {field: getattr(exchange, field) for field in values}
                await record(tx, "exchange.change", name, {"before": before, "after": values})
        return await self.show(name)
