"""Routes that people make and own, each with how it is reached.

Laws: one sees and changes one's own routes and those of whom one owns; a new one carries calls of those tariffs alone
that have a price for it; secrets are kept encrypted, are shown to nobody, and stand in no log.
"""

from __future__ import annotations

from typing import Any, Final

from rating_engine.domain.change import given
from rating_engine.domain.gateway import Gateway, GatewayChanges, RouteKind, Trunk
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.party import SYSTEM, Level
from rating_engine.domain.principal import Principal
from rating_engine.domain.tariff import CalleridPolicy, check_route_name
from rating_engine.services.phones.secrets import SecretBox
from rating_engine.storage.audit_log import record
from rating_engine.storage.parties.parties import find_party, tree_of
from rating_engine.storage.phones.exchanges import exchange_called, find_exchange
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.transaction import Transaction
from rating_engine.storage.routes import gateways as store

SECRETS: Final = ("secret", "balance_secret")
_COLUMN: Final = {"prefix": "dial_prefix", "policy": "callerid_policy"}


class Gateways:
    """What one principal does with routes by their numbers."""

    def __init__(self, database: Database, principal: Principal, secrets: SecretBox) -> None:
        self._database = database
        self._principal = principal
        self._secrets = secrets

    async def page(self, cursor: Cursor, *, near: bool = False, kind: RouteKind | None = None) -> Page[Gateway]:
        """Routes by number. `near`: none of whom one owns. Errors: InvalidRequest (after), Unavailable."""
        who = self._principal
        if near:
            owners: list[int] | None = [who.realm]
        elif who.sees_all and who.level >= Level.ADMIN:
            owners = None
        else:
            owners = await tree_of(self._database, who.realm)
        return await store.list_gateways(self._database, owners, kind, cursor)

    async def show(self, route_id: int) -> Gateway:
        """One of them. Errors: NotFound, Unavailable."""
        return await store.find_gateway(self._database, route_id)

    async def add(self, name: str, kind: RouteKind, exchange: str, settings: GatewayChanges) -> Gateway:
        """A route of who asks. `exchange`: any name that it is called by.

        Errors: InvalidRequest naming the field, NoSuchExchange, NoSecretKey, AlreadyExists, Unavailable.
        """
        realm = self._principal.realm
        values = self._columns(settings)
        async with self._database.transaction(self._principal) as tx:
            full = await _full_name(tx, name, realm)
            found = await exchange_called(tx, exchange)
            route_id = await store.add_gateway(tx, full, kind, realm, found.name, values)
            await record(tx, "route.add", full, {"kind": kind.value, "exchange": found.name, **_told(settings)})
        return await store.find_gateway(self._database, route_id)

    async def change(self, route_id: int, changes: GatewayChanges) -> None:
        """Set what is given, for the next call. Errors: as `add`, NotFound, Refused (it has no gateway)."""
        values = self._columns(changes)
        async with self._database.transaction(self._principal) as tx:
            gateway = await store.find_gateway(tx, route_id)
            if "name" in values:
                values["name"] = await _full_name(tx, values["name"], gateway.owner_id)
            await store.change_gateway(tx, gateway, values)
            await record(tx, "route.change", gateway.name, _told(changes))

    async def set_enabled(self, route_id: int, enabled: bool) -> None:
        """Use a route, or no more: calls that run go on. Errors: NotFound, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            gateway = await store.find_gateway(tx, route_id)
            await store.change_gateway(tx, gateway, {"enabled": enabled})
            await record(tx, "route.change", gateway.name, {"enabled": enabled})

    async def remove(self, route_id: int) -> None:
        """Delete a route; CDRs keep its name.

        Errors: NotFound, Refused (a tariff has a price for it), InvalidRequest (a tariff lists no other), Unavailable.
        """
        async with self._database.transaction(self._principal) as tx:
            gateway = await store.find_gateway(tx, route_id)
            await store.remove_gateway(tx, gateway)
            await record(tx, "route.remove", gateway.name)

    async def trunks(self, exchange: str) -> list[Trunk]:
        """What an exchange dials, with the secrets. Errors: NotFound (exchange), NoSecretKey, Unavailable."""
        await find_exchange(self._database, exchange)
        return [
            Trunk(
                row["name"], row["host"], row["username"],
                None if row["secret"] is None else self._secrets.open(row["secret"]), row["from_user"],
            )
            for row in await store.load_trunks(self._database, exchange)
        ]  # fmt: skip

    def _columns(self, settings: GatewayChanges) -> dict[str, Any]:
        values = {_COLUMN.get(name, name): value for name, value in given(settings).items()}
        for name in SECRETS:
            if name in values:
                values[name] = self._secrets.seal(values[name]) if values[name] else None
        if "callerid_policy" in values:
            values["callerid_policy"] = CalleridPolicy(values["callerid_policy"])
            values["country_code"] = store.country_of(values["callerid_policy"])
        return values


async def _full_name(tx: Transaction, title: str, owner_id: int) -> str:
    """The name in the whole engine: what is not the system's begins with its owner's. Raises InvalidRequest.

    With a dot between, since exchanges dial PREFIX NUMBER@NAME, where a slash ends the name.
    """
    full = title if owner_id == SYSTEM else f"{(await find_party(tx, owner_id)).login}.{title}"
    check_route_name(full, "route")
    return full


def _told(settings: GatewayChanges) -> dict[str, Any]:
    """What the audit log keeps: of secrets that there was one."""
    return {name: "…" if name in SECRETS else value for name, value in given(settings).items()}
