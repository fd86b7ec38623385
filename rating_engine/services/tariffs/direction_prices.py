"""What calls to directions cost by a tariff, attempt by attempt: each change is compiled into the deck at once.

Laws: a change is answered when it is published, so the very next call goes by it; many changes are one version of the
deck or none; a price is for a route that its owner may use: its own, or one that it buys by its own tariff.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Final

from rating_engine.domain.checks import check_factor
from rating_engine.domain.errors import AlreadyExists, NotFound, NotYours, Refused
from rating_engine.domain.party import Level
from rating_engine.domain.price_list import (
    ListedPrice,
    Price,
    PriceChange,
    PriceKey,
    PriceList,
    changed,
    marked_up,
)
from rating_engine.domain.principal import Principal
from rating_engine.rating.money import format_amount
from rating_engine.services.tariffs.price_lists import PriceLists, check_unchanged, viewer_of
from rating_engine.services.tariffs.settings import Tariffs
from rating_engine.storage.audit_log import record
from rating_engine.storage.parties.parties import tree_of
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.transaction import Transaction
from rating_engine.storage.tariffs import direction_prices as store
from rating_engine.storage.tariffs import price_lists as list_store
from rating_engine.storage.tariffs.bill_types import find_bill_type
from rating_engine.storage.tariffs.directions import codes_of, without_prefix
from rating_engine.storage.tenants.billing import is_tariff_of_tenant

TOLD: Final = 100  # prices of one change that stand in the audit log; all of them are in the deck's version

Prices = dict[PriceKey, Price]


class DirectionPrices:
    """What one principal does with the prices of tariffs, by their numbers."""

    def __init__(self, database: Database, principal: Principal, *, currency: str) -> None:
        self._database = database
        self._principal = principal
        self._lists = PriceLists(database, principal, currency=currency)

    async def prices(self, tariff_id: int) -> tuple[PriceList, list[ListedPrice]]:
        """A tariff that one sees, and its prices by direction and attempt. Errors: NotFound, NotYours, Unavailable."""
        found = await self._lists.show(tariff_id)
        return found, await store.list_prices(self._database, tariff_id)

    async def add(self, tariff_id: int, new: PriceChange) -> None:
        """One more price; of what is given cost and route must be. Errors: as `change`, AlreadyExists (it has one)."""
        assert new.cost is not None
        assert new.route_id is not None
        price = Price(new.cost, new.route_id)
        code = (await codes_of(self._database, [new.direction_id]))[new.direction_id]
        key = PriceKey(code, new.attempt)

        def added(before: Prices) -> Prices:
            if key in before:
                raise AlreadyExists(f"{code} has a price of attempt {new.attempt}", field="direction")
            return {**before, key: price}

        await self._change(tariff_id, "add", added)

    async def change(self, tariff_id: int, changes: Sequence[PriceChange]) -> None:
        """Change prices, all at once or none.

        Errors: NotFound (the tariff, a direction, a route, a price), NotYours (a route), AlreadyExists (where one is
        moved to), InvalidRequest, Refused, Unavailable.
        """
        codes = await codes_of(self._database, [each.direction_id for each in changes])
        pairs = [(PriceKey(codes[each.direction_id], each.attempt), each) for each in changes]
        await self._change(tariff_id, "change", lambda before: changed(before, pairs))

    async def remove(self, tariff_id: int, direction_id: int, attempt: int) -> None:
        """Forget a price: that attempt has no route any more. Errors: NotFound, Unavailable."""
        code = (await codes_of(self._database, [direction_id]))[direction_id]
        key = PriceKey(code, attempt)

        def removed(before: Prices) -> Prices:
            changed(before, [(key, PriceChange(direction_id, attempt))])  # that it is there
            return {each: price for each, price in before.items() if each != key}

        await self._change(tariff_id, "remove", removed)

    async def mark_up(self, tariff_id: int, factor: Decimal) -> None:
        """Multiply every price of a tariff. Errors: InvalidRequest, NotFound, Unavailable.

        A tariff without prices by direction gets a multiplier instead, as `tariffs.mark_up`.
        """
        check_factor(factor, "markup")
        found = await list_store.find_price_list(self._database, tariff_id)
        if not await store.load_prices(self._database, tariff_id):
            await Tariffs(self._database, self._principal).mark_up(found.name, factor)
            return
        await self._change(
            tariff_id, "markup", lambda before: marked_up(before, factor), kept_factor=format_amount(factor)
        )

    async def copy(self, tariff_id: int, source_id: int | None) -> None:
        """Put the prices of a tariff that one sees (None: there is none) into another, as sold: with its multiplier.

        What the other has of the same directions and attempts is replaced; of an imported deck the rows come, which are
        for every attempt and route. Errors: NotFound, NotYours, InvalidRequest (a price above the limit), Refused (it
        has no prices, prices by times of day, or another currency), Unavailable.
        """
        if source_id is None:
            raise NotFound("there is no tariff to copy from", field="rates")
        source = await self._lists.show(source_id)
        target = await list_store.find_price_list(self._database, tariff_id)
        if source.currency != target.currency:
            raise Refused(f"the tariffs are in {source.currency} and {target.currency}")
        if source_id == tariff_id:
            raise Refused("the tariffs are one and the same")
        prices = await store.load_prices(self._database, source_id)
        imported = await store.imported_directions(self._database, source_id)
        if not prices and not imported:
            raise Refused(f"tariff {source.title!r} has no prices")
        if any(banded or (has_extras and source.multiplier != 1) for banded, has_extras in imported.values()):
            raise Refused(f"tariff {source.title!r} has times of day, or terms that no factor multiplies")
        sold = {key: price.times(source.multiplier) for key, price in prices.items()}

        def copied(before: Prices) -> Prices:
            return {**{key: price for key, price in before.items() if key.direction not in imported}, **sold}

        deck = (source_id, source.multiplier) if imported else None
        await self._change(tariff_id, "copy", copied, copied=deck)

    async def _change(
        self,
        tariff_id: int,
        what: str,
        change: Callable[[Prices], Prices],
        *,
        kept_factor: str | None = None,
        copied: tuple[int, Decimal] | None = None,
    ) -> None:
        async with self._held(tariff_id) as (tx, tariff):
            if await is_tariff_of_tenant(tx, tariff.name):
                raise Refused("the tariff is made of the call rates of a tenant, which are changed by its API")
            before = await store.load_prices(tx, tariff_id)
            after = change(before)
            new = {key: price for key, price in after.items() if before.get(key) != price}
            if not new and before.keys() == after.keys() and kept_factor is None and copied is None:
                return
            await self._check_routes(
                tx, {price.route_id for price in new.values()} - {price.route_id for price in before.values()}
            )
            if unknown := await without_prefix(tx, {key.direction for key in new}):
                raise Refused(f"nobody said which numbers belong to direction {unknown}", field="direction")
            await store.write_prices(tx, tariff_id, before, after)
            bill_type = None if tariff.bill_type is None else await find_bill_type(tx, tariff.bill_type)
            await store.publish(tx, tariff_id, bill_type, kept_factor=kept_factor, copied=copied)
            told = [(*key, format_amount(price.cost), price.route_id) for key, price in sorted(new.items())[:TOLD]]
            gone = [list(key) for key in sorted(before.keys() - after.keys())[:TOLD]]
            await record(tx, f"direction_price.{what}", tariff.name, {"set": told, "gone": gone, "prices": len(after)})
        await store.drop_old_decks(self._database, tariff_id)

    @asynccontextmanager
    async def _held(self, tariff_id: int) -> AsyncIterator[tuple[Transaction, PriceList]]:
        """The tariff and its bill type, which nobody changes meanwhile: first the one that many tariffs share."""
        async with self._database.transaction(self._principal) as tx:
            seen = await list_store.find_price_list(tx, tariff_id)
            await tx.execute("SELECT FROM bill_types WHERE name = $1 FOR SHARE", seen.bill_type)
            held = await list_store.hold_price_list(tx, tariff_id)
            check_unchanged(held, seen)
            yield tx, held

    async def _check_routes(self, tx: Transaction, routes: set[int]) -> None:
        owners = await store.check_routes(tx, routes)
        who = self._principal
        if who.sees_all and who.level >= Level.ADMIN:
            return
        mine = set(await tree_of(tx, who.realm))
        foreign = {route_id for route_id, owner in owners.items() if owner not in mine}
        if foreign - await self._bought(tx):
            raise NotYours(f"route {min(foreign)} is not yours", field="route")

    async def _bought(self, tx: Transaction) -> set[int]:
        """The routes that the prices of one's own tariffs are for."""
        viewer = await viewer_of(tx, self._principal)
        return await store.routes_of_tariffs(tx, viewer.own)
