"""How phones write numbers: numbering plans with their rewrites, and aliases."""

from __future__ import annotations

from rating_engine.domain.change import given
from rating_engine.domain.checks import check_name
from rating_engine.domain.errors import Hint, NotFound, NotYours
from rating_engine.domain.numbering import Alias, NumberedAlias, PlanChanges, changed_plan, check_alias, check_rewrite
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.principal import Principal
from rating_engine.domain.ready_plans import ready_plan
from rating_engine.rating.numbering import NumberingPlan
from rating_engine.storage.audit_log import record
from rating_engine.storage.numbers import aliases as alias_store
from rating_engine.storage.numbers import numbering as store
from rating_engine.storage.parties.parties import is_below, tree_of
from rating_engine.storage.postgres.pool import Database


class Numbering:
    """What one principal does with numbering plans and aliases. Each change is used from the next call on."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    async def add(self, name: str, settings: PlanChanges) -> NumberingPlan:
        """A plan. Errors: InvalidRequest naming the field, AlreadyExists, Unavailable."""
        check_name(name)
        plan = changed_plan(NumberingPlan(name), settings)
        async with self._database.transaction(self._principal) as tx:
            await store.add_plan(tx, plan)
            await record(tx, "numbering_plan.add", name, given(settings))
        return plan

    async def add_ready(self, name: str) -> NumberingPlan:
        """A plan of a usual country with all that it says. Errors: NotFound, AlreadyExists, Unavailable."""
        plan = ready_plan(name)
        async with self._database.transaction(self._principal) as tx:
            await store.add_plan(tx, plan)
            for prefix, replacement in plan.rewrites.items():
                await store.set_rewrite(tx, name, prefix, replacement)
            await record(tx, "numbering_plan.add", name, {"ready": True})
        return plan

    async def change(self, name: str, settings: PlanChanges) -> None:
        """Change settings of a plan. Errors: InvalidRequest naming the field, NotFound, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            await store.update_plan(tx, changed_plan(await store.hold_plan(tx, name), settings))
            await record(tx, "numbering_plan.change", name, given(settings))

    async def rewrite(self, plan: str, prefix: str, replacement: str | None) -> None:
        """Numbers that begin with `prefix` begin with `replacement` instead; None: no more.

        Errors: InvalidRequest naming the field, NotFound, Unavailable.
        """
        check_rewrite(prefix, replacement)
        async with self._database.transaction(self._principal) as tx:
            await store.set_rewrite(tx, plan, prefix, replacement)
            await record(tx, "numbering_plan.rewrite", plan, {"prefix": prefix, "replacement": replacement})

    async def page(self, cursor: Cursor) -> Page[NumberingPlan]:
        """Plans by name. Errors: InvalidRequest (after), Unavailable."""
        return await store.list_plans(self._database, cursor)

    async def numbered(self, location_id: int) -> str:
        """The name of a plan by its number. Errors: NotFound, Unavailable."""
        return await store.plan_numbered(self._database, location_id)

    async def number_of(self, name: str) -> int | None:
        """The number of a plan; None: there is no such plan. Errors: Unavailable."""
        return await store.number_of_plan(self._database, name)

    async def remove(self, name: str) -> None:
        """Delete a plan that no account has. Errors: NotFound, InvalidRequest, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            await store.remove_plan(tx, name)
            await record(tx, "numbering_plan.remove", name)

    async def set_alias(self, alias: Alias) -> None:
        """What `alias`, dialled alone, stands for: for one login, or for everybody who has no such of its own.

        Errors: InvalidRequest naming the field, NotFound, Unavailable.
        """
        check_alias(alias)
        async with self._database.transaction(self._principal) as tx:
            await alias_store.set_alias(tx, alias)
            await record(tx, "alias.set", alias.alias, {"login": alias.login, "destination": alias.destination})

    async def remove_alias(self, alias: str, login: str | None = None) -> None:
        """Errors: NotFound, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            await alias_store.remove_alias(tx, login, alias)
            await record(tx, "alias.remove", alias, {"login": login})

    async def numbered_alias(self, number: int) -> NumberedAlias:
        """One alias, everybody's too. Errors: NotFound, NotYours, Unavailable."""
        found = await alias_store.find_alias(self._database, number)
        if found is None:
            raise NotFound(f"there is no alias with the number {number}", field="id", hint=Hint.SEE_ALIASES)
        if found.party_id is not None and not await is_below(self._database, found.party_id, self._principal.realm):
            raise NotYours(f"alias {number} is not yours", field="id")
        return found

    async def numbered_aliases(self, cursor: Cursor, *, all_below: bool = False) -> Page[NumberedAlias]:
        """Those of one's own lines; or of all lines below too, and everybody's. Errors: InvalidRequest, Unavailable."""
        who = self._principal
        own = who.realm if who.party_id is None else who.party_id
        parties = await tree_of(self._database, who.realm) if all_below else [own]
        return await alias_store.list_numbered(self._database, parties, all_below, cursor)

    async def move_alias(self, login: str | None, alias: Alias) -> None:
        """Another destination for an alias of `login`, or another login, where it has a new number.

        Errors as of `set_alias`.
        """
        check_alias(alias)
        async with self._database.transaction(self._principal) as tx:
            if alias.login != login:
                await alias_store.remove_alias(tx, login, alias.alias)
            await alias_store.set_alias(tx, alias)
            await record(
                tx, "alias.set", alias.alias, {"login": alias.login, "before": login, "destination": alias.destination}
            )

    async def aliases(self, cursor: Cursor, login: str | None = None) -> Page[Alias]:
        """Aliases of one login or all, everybody's first. Errors: InvalidRequest (after), Unavailable."""
        return await alias_store.list_aliases(self._database, login, cursor)
