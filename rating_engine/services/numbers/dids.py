"""Numbers that calls come in by: given, changed, ordered from pools, renewed, closed; and the pools."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from rating_engine.domain.call_rules import Action, CallRule
from rating_engine.domain.change import LEAVE, given
from rating_engine.domain.did import (
    Did,
    DidChanges,
    DidPool,
    DidState,
    NewDid,
    NewPool,
    PoolChanges,
    a_month_after,
    check_paid_to,
)
from rating_engine.domain.errors import AlreadyExists, InvalidRequest, NotAllowed, NotFound, NotYours, Refused
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.party import SYSTEM
from rating_engine.domain.principal import Principal
from rating_engine.rating.exchange import ExchangeRates
from rating_engine.rating.money import AMOUNT_DECIMALS
from rating_engine.services.numbers.rents import Rents, RentTurn
from rating_engine.storage.audit_log import record
from rating_engine.storage.numbers import did_pools as pool_store
from rating_engine.storage.numbers import dids as store
from rating_engine.storage.numbers.call_rules import add_rule, hold_list, remove_all_rules, rules_at
from rating_engine.storage.numbers.inbound import inbound_tariffs, set_inbound_tariff
from rating_engine.storage.numbers.rents import payer_of
from rating_engine.storage.parties.owners import owner_of_login
from rating_engine.storage.parties.parties import find_party, is_below, tree_of
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.transaction import Transaction
from rating_engine.storage.tariffs.exchange_rates import load_exchange_rates


class Dids:
    """What one principal does with numbers. What is changed counts from the next call on."""

    def __init__(self, database: Database, principal: Principal, now: Callable[[], datetime], *, currency: str) -> None:
        """`currency`: of prices that name none."""
        self._database = database
        self._principal = principal
        self._now = now
        self._currency = currency
        self._rents = Rents(database, principal, now)

    async def add(self, new: NewDid) -> Did:
        """A number for an owner, or for a pool; also one that was closed. Nothing is taken for it before it is renewed.

        Errors: InvalidRequest naming the field, AlreadyExists (somebody's), NotFound (owner, pool), Unavailable.
        """
        async with self._database.transaction(self._principal) as tx:
            values = await self._new_values(tx, new)
            try:
                before = await store.hold_did(tx, new.number)
            except NotFound:
                await store.add_did(tx, new.number, values)
            else:
                if before.state is not DidState.CLOSED:
                    raise AlreadyExists(f"the number {new.number} is there", field="did")
                await store.change_did(
                    tx, before.did_id, {**values, "max_calls": 0, "enabled": True, "auto_renew": True}
                )
            await record(tx, "did.add", new.number, {"owner": new.owner, "pool": new.pool_id})
        return await self.show(new.number)

    async def _new_values(self, tx: Transaction, new: NewDid) -> dict[str, Any]:
        common = {"comment": new.comment, "pool_id": new.pool_id, "route_id": new.route_id}
        if new.owner is None:
            pool = await pool_store.find_pool(tx, new.pool_id or 0)
            price = {"monthly_price": pool.monthly_price, "setup_price": pool.setup_price, "currency": pool.currency}
            return {**common, **price, "state": DidState.FREE, "party_id": None, "paid_to": None}
        owner = await find_party(tx, new.owner)
        if owner.hidden:
            raise InvalidRequest("owner", f"{owner.login!r} was deleted")
        price = {"monthly_price": new.monthly_price, "currency": new.currency or self._currency}
        paid_to = new.paid_to or a_month_after(self._now())
        check_paid_to(paid_to, self._now())
        return {**common, **price, "state": DidState.ACTIVE, "party_id": owner.party_id, "paid_to": paid_to}

    async def show(self, number: str) -> Did:
        """One number. Errors: NotFound, Unavailable."""
        return await store.find_did(self._database, number)

    async def numbered(self, did_id: int) -> Did:
        """The same by its id. Errors: NotFound, NotYours, Unavailable."""
        did = await store.did_numbered(self._database, did_id)
        if did is None:
            raise NotFound(f"there is no number with the id {did_id}", field="did")
        if not await is_below(self._database, did.party_id or SYSTEM, self._principal.realm):
            raise NotYours("the number is not yours", field="did")
        return did

    async def page(self, cursor: Cursor, *, own: bool = False, state: DidState | None = None) -> Page[Did]:
        """Numbers by number: all that may be seen, or one's own. Errors: InvalidRequest (after), Unavailable."""
        who = self._principal
        parties: list[int] | None = None
        if own:
            parties = [who.realm if who.party_id is None else who.party_id]
        elif not who.sees_all:
            parties = await tree_of(self._database, who.realm)
        return await store.list_dids(self._database, parties, state, cursor)

    async def change(self, number: str, changes: DidChanges) -> Did:
        """Another owner, price, end of the paid month, limit, paying line or comment.

        A new owner gets it without its rules. Errors: InvalidRequest naming the field, NotAllowed (the price of one of
        a pool, or of one's own), Refused (it is nobody's), NotFound, Unavailable.
        """
        values = given(changes)
        async with self._database.transaction(self._principal) as tx:
            did = await store.hold_did(tx, number)
            is_priced = did.pool_id is not None and {"monthly_price", "paid_to"} & values.keys()
            if is_priced and not self._principal.sees_all:
                raise NotAllowed("what a number of a pool costs is for administrators to say", field="cost")
            is_own = did.party_id == self._principal.realm and not self._principal.sees_all
            if is_own and {"monthly_price", "paid_to"} & values.keys():
                raise NotAllowed("what one's own number costs is for somebody else to say", field="cost")
            if did.state is DidState.ORDERED:
                raise Refused(f"{number} is being ordered: ask again in a minute")
            if did.party_id is None and values.keys() - {"comment"}:
                raise Refused(f"{number} is nobody's: it is {did.state}")
            if changes.owner is not LEAVE:
                await self._give(tx, did, values)
            if values.get("line") is not None:
                await _check_line(tx, values["line"], values.get("party_id", did.party_id))
            if did.state is DidState.UNPAID and changes.paid_to is not LEAVE and changes.paid_to > self._now():
                values["state"] = DidState.ACTIVE
            if changes.paid_to is not LEAVE:
                check_paid_to(changes.paid_to, self._now())
                values["notified_at"] = None
            await store.change_did(tx, did.did_id, values)
            await record(tx, "did.change", number, given(changes))
        return await self.show(number)

    async def _give(self, tx: Transaction, did: Did, values: dict[str, Any]) -> None:
        owner = await find_party(tx, values.pop("owner"))
        if owner.hidden:
            raise InvalidRequest("owner", f"{owner.login!r} was deleted")
        if owner.party_id != did.party_id:
            await remove_all_rules(tx, did_id=did.did_id)
            values |= {"party_id": owner.party_id, "line": values.get("line")}

    async def set_limit(self, number: str, max_calls: int) -> None:
        """How many calls it takes at a time; 0: any number. Errors: InvalidRequest, NotFound, Unavailable."""
        changes = DidChanges(max_calls=max_calls)
        async with self._database.transaction(self._principal) as tx:
            did = await store.hold_did(tx, number)
            await store.change_did(tx, did.did_id, given(changes))
            await record(tx, "did.change", number, given(changes))

    async def assign(self, number: str, line: str) -> None:
        """Let a number ring a line, whose user's it becomes. Errors: Refused (closed, in a pool, or it leads somewhere
        already), NotYours (another user's), NotFound, Unavailable.
        """
        async with self._database.transaction(self._principal) as tx:
            did = await store.hold_did(tx, number)
            owner = await owner_of_login(tx, line)
            if did.state not in (DidState.ACTIVE, DidState.UNPAID) or did.line is not None or did.has_rules:
                raise Refused(f"{number} is not free")
            if owner is None or did.party_id not in (owner, self._principal.realm):
                raise NotYours(f"{number} is another user's", field="did")
            await store.change_did(tx, did.did_id, {"party_id": owner, "line": line, "enabled": True})
            rule = CallRule(action=Action.CALL, destination=line)
            await add_rule(tx, await hold_list(tx, number), rule, first=False)
            await record(tx, "did.assign", number, {"line": line})

    async def unassign(self, number: str) -> None:
        """Let a number ring no line any more; its user keeps it. Errors: Refused (it rings none), NotFound."""
        async with self._database.transaction(self._principal) as tx:
            did = await store.hold_did(tx, number)
            rules = await rules_at(tx, number, did.party_id)
            rings = all(rule.action is Action.CALL for rule in rules)
            if not rings or (did.line is None and not rules):
                raise Refused(f"{number} rings no line")
            await remove_all_rules(tx, did_id=did.did_id)
            await store.change_did(tx, did.did_id, {"line": None})
            await record(tx, "did.unassign", number, {"line": did.line})

    async def set_state(self, number: str, *, enabled: bool | None = None, auto_renew: bool | None = None) -> Did:
        """Whether it takes calls, whether its months are renewed. None: as it is. Errors: NotFound, Unavailable."""
        asked = {"enabled": enabled, "auto_renew": auto_renew}
        values = {name: value for name, value in asked.items() if value is not None}
        async with self._database.transaction(self._principal) as tx:
            did = await store.hold_did(tx, number)
            await store.change_did(tx, did.did_id, values)
            await record(tx, "did.change", number, values)
        return await self.show(number)

    async def remove(self, number: str) -> None:
        """Close a number: it is nobody's, takes no calls and has no rules. Errors: NotFound, Refused, Unavailable."""
        did = await self.show(number)
        if did.state is DidState.ORDERED:
            raise Refused(f"{number} is being ordered: ask again in a minute")
        await self._rents.close(did, "did.remove")

    async def renew(self, number: str) -> Did:
        """Pay a month more. Errors: NotFound, Refused, InsufficientMoney, Unavailable."""
        return await self._rents.renew(number)

    async def order(
        self, number: str, pool_id: int, owner: str | int, arguments: tuple[str, str, str] = ("", "", "")
    ) -> Did:
        """A free number of a pool for a user, who pays its connection and the first month.

        Errors: NotFound, OrderFailed, InsufficientMoney, Refused (nobody pays), Unavailable.
        """
        party = await find_party(self._database, owner)
        return await self._rents.begin_order(number, pool_id, party.party_id, arguments)

    async def turn_rents(self, *, grace_days: int, notice_days: int) -> RentTurn:
        """What is due now, as the engine does it each minute. Errors: Unavailable."""
        return await self._rents.turn(grace=timedelta(days=grace_days), notice=timedelta(days=notice_days))

    async def set_inbound_price(self, tariff: str, inbound: str | None) -> None:
        """What calls coming in cost who has `tariff`: the rate that `inbound` has for the number; None: nothing.

        Errors: NotFound, Unavailable.
        """
        async with self._database.transaction(self._principal) as tx:
            await set_inbound_tariff(tx, tariff, inbound)
            await record(tx, "tariff.inbound", tariff, {"by": inbound})

    async def inbound_prices(self) -> list[tuple[str, str]]:
        """Tariffs whose calls coming in have a price, with the one that says it. Errors: Unavailable."""
        return await inbound_tariffs(self._database)

    async def converted(self, amount: Decimal, currency: str, wanted: str) -> Decimal | None:
        """An amount in another currency, by the present exchange rate; None: it is not known. Errors: Unavailable."""
        if currency == wanted:
            return amount
        rates = ExchangeRates(await load_exchange_rates(self._database))
        rate = rates.rate_at(currency, wanted, self._now())
        return None if rate is None else round(amount * rate, AMOUNT_DECIMALS)

    async def countries(self) -> list[str]:
        """Where numbers are to be had. Errors: Unavailable."""
        return await store.countries(self._database)

    async def areas(self, country: str) -> list[str]:
        """Where in a country. Errors: Unavailable."""
        return await store.areas(self._database, country)

    async def offered(self, country: str, area: str, search: str = "") -> list[Did]:
        """Numbers that can be ordered there. Errors: Unavailable."""
        return await store.free_numbers(self._database, country, area, search)

    async def access_numbers(self) -> list[Did]:
        """Numbers that ask for a calling card, of the own tree. Errors: Unavailable."""
        return await store.access_numbers(self._database, await tree_of(self._database, self._principal.realm))

    async def count(self, number: str) -> int:
        """How many numbers like this take calls: 1 or 0. Errors: Unavailable."""
        return await store.count_numbers(self._database, number, self._now())


class DidPools:
    """What one principal does with pools."""

    def __init__(self, database: Database, principal: Principal, *, currency: str) -> None:
        """`currency`: of prices that name none."""
        self._database = database
        self._principal = principal
        self._currency = currency

    async def add(self, new: NewPool) -> DidPool:
        """A pool; its numbers are added one by one. Errors: Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            pool_id = await pool_store.add_pool(tx, replace(new, currency=new.currency or self._currency))
            await record(tx, "did_pool.add", str(pool_id), {"country": new.country, "area": new.area})
        return await self.show(pool_id)

    async def show(self, pool_id: int) -> DidPool:
        """One pool. Errors: NotFound, Unavailable."""
        return await pool_store.find_pool(self._database, pool_id)

    async def page(self, cursor: Cursor) -> Page[DidPool]:
        """Pools by their numbers. Errors: InvalidRequest (after), Unavailable."""
        return await pool_store.list_pools(self._database, cursor)

    async def change(self, pool_id: int, changes: PoolChanges) -> DidPool:
        """What numbers cost that are ordered from now on, and what else is said. Errors: NotFound, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            values = given(changes)
            before = await pool_store.find_pool(tx, pool_id)
            named = zip(values["params"], before.params, strict=True)
            values["params"] = [old if new is LEAVE else new for new, old in named]
            await pool_store.change_pool(tx, pool_id, values)
            await record(tx, "did_pool.change", str(pool_id), values)
        return await self.show(pool_id)

    async def remove(self, pool_id: int) -> None:
        """Errors: NotFound, Refused (an order is under way), Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            await pool_store.remove_pool(tx, pool_id)
            await record(tx, "did_pool.remove", str(pool_id))


async def _check_line(tx: Transaction, line: str, party_id: int | None) -> None:
    if await owner_of_login(tx, line) != party_id or party_id is None or await payer_of(tx, party_id, line) is None:
        raise InvalidRequest("line", f"{line!r} is no line of the number's owner")
