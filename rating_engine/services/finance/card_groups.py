"""Groups of calling cards: made, changed, shown, each by whose they are.

Laws: cards of a group are charged by its tariff, and who owns the group pays for their calls as for those of its users;
a group that changes counts for the next call of every card of it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rating_engine.domain.card import CardGroup, GroupTerms, NewCardGroup, check_span
from rating_engine.domain.change import given
from rating_engine.domain.errors import InvalidRequest, NotAllowed
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.party import SYSTEM, Level
from rating_engine.domain.principal import Principal
from rating_engine.storage.audit_log import record
from rating_engine.storage.finance import card_groups as store
from rating_engine.storage.finance.taxes import find_tax
from rating_engine.storage.parties.accounts import tariff_for
from rating_engine.storage.parties.parties import find_party, hold_party, tree_of
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.transaction import Transaction
from rating_engine.storage.routes.route_plans import plan_to_point_to
from rating_engine.storage.tariffs.price_lists import made_and_paid


class CardGroups:
    """What one principal does with groups of cards."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    async def add(self, new: NewCardGroup) -> CardGroup:
        """A group of who asks, or of `owner`. Errors: InvalidRequest naming the field, NotFound (tariff, tax, owner),
        NotAllowed (a tariff, or loss calls, that are not its owner's to give), Unavailable.
        """
        async with self._database.transaction(self._principal) as tx:
            owner = await hold_party(tx, self._principal.realm if new.owner is None else new.owner)
            if owner.hidden or not owner.kind.may_own:
                raise InvalidRequest(
                    "owner", f"{owner.login!r} is nobody whose cards are sold: a reseller or the system"
                )
            values = await self._columns(tx, new.terms, owner.party_id, None)
            group_id = await store.add_group(tx, owner.party_id, new.number_length, new.pin_length, values)
            await record(tx, "card_group.add", str(group_id), given(new.terms))
        return await self.show(group_id)

    async def change(self, group_id: int, terms: GroupTerms) -> CardGroup:
        """Set what is given; number and PIN keep their lengths. Errors: as of `add`."""
        async with self._database.transaction(self._principal) as tx:
            group = await store.hold_group(tx, group_id)
            values = await self._columns(tx, terms, group.owner_id, group)
            await store.change_group(tx, group_id, values)
            await record(tx, "card_group.change", str(group_id), given(terms))
        return await self.show(group_id)

    async def show(self, group_id: int) -> CardGroup:
        """One group, with how many cards it has and how many are free. Errors: NotFound, Unavailable."""
        return await store.find_group(self._database, group_id)

    async def page(self, cursor: Cursor, *, hidden: bool = False) -> Page[CardGroup]:
        """Groups of who asks and of all below it, the oldest first; `hidden`: those too.

        Errors: InvalidRequest (after), Unavailable.
        """
        tree = None if self._principal.sees_all else await tree_of(self._database, self._principal.realm)
        return await store.list_groups(self._database, tree, cursor, hidden=hidden)

    async def _columns(
        self, tx: Transaction, terms: GroupTerms, owner: int, old: CardGroup | None
    ) -> dict[str, Any]:  # fmt: skip
        """What is set, by its columns, checked against what there is."""
        values = given(terms)
        if (tariff := values.pop("tariff", None)) is not None:
            if isinstance(tariff, int):
                tariff = await store.named_tariff(tx, tariff)
            await self._check_tariff(tx, owner, tariff)
            tariff_id, currency = await tariff_for(tx, tariff, None, "")
            if old is not None and currency != old.currency:
                raise InvalidRequest(
                    "tariff", f"is in {currency}, and the money of the group's cards in {old.currency}"
                )
            values["tariff_id"] = tariff_id
        if values.get("tax_id") is not None:
            await find_tax(tx, values["tax_id"])
        if "route_plan" in values:
            self._check_routing(values["route_plan"], old)
            plan = values.pop("route_plan")
            values["route_plan_id"] = None if plan is None else await plan_to_point_to(tx, plan)
        if values.get("allow_loss"):
            await self._check_loss(tx, owner)
        if values.get("numbering_plan") is not None:
            values["numbering_plan"] = await store.named_plan(tx, values["numbering_plan"])
        begins = values.get("valid_from") or (datetime.now(UTC) if old is None else old.valid_from)
        check_span(begins, values.get("valid_to", None if old is None else old.valid_to))
        return values

    async def _check_tariff(self, tx: Transaction, owner: int, tariff: str) -> None:
        """Below an administrator: the owner's own tariff would be no price, what it made is."""
        if self._principal.level >= Level.ADMIN and self._principal.sees_all:
            return
        party = await find_party(tx, owner)
        if tariff != party.tariff and not await made_and_paid(tx, owner, tariff):
            raise NotAllowed(f"tariff {tariff!r} is for an administrator to give", field="tariff")

    def _check_routing(self, plan: str | None, old: CardGroup | None) -> None:
        """Routes are the installation's: who manages it says by which calls go."""
        if self._principal.level >= Level.ADMIN and self._principal.sees_all:
            return
        if plan != (None if old is None else old.route_plan):
            raise NotAllowed("is for an administrator to change", field="route_plan")

    async def _check_loss(self, tx: Transaction, owner: int) -> None:
        """Who pays for its cards' calls may lose by them; the system's loss is for administrators."""
        if self._principal.level >= Level.ADMIN and self._principal.sees_all:
            return
        if owner == SYSTEM or (await find_party(tx, owner)).account is None:
            raise NotAllowed("calls at a loss are for an administrator to allow", field="allow_loss")
