"""Route plans: made, changed, listed; and the dynamic blacklist of everybody. Each change counts from the next call on.

Law: plans are the installation's, and who manages it says who goes by which.
"""

from __future__ import annotations

from rating_engine.domain.change import LEAVE, given
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.principal import Principal
from rating_engine.domain.route_plan import GlobalBlacklist, ListedRoutePlan, NewRoutePlan, RoutePlanChanges
from rating_engine.storage.audit_log import record
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.routes import route_plans as store


class RoutePlans:
    """What one principal does with plans, each by its name."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    async def add(self, new: NewRoutePlan) -> ListedRoutePlan:
        """A plan with its routes. Errors: AlreadyExists, NotFound (a route of calls), Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            plan_id = await store.add_plan(tx, new.name, new.order, new.description)
            await store.set_plan_routes(tx, plan_id, new.routes)
            await record(tx, "route_plan.add", new.name, {"order": new.order, "routes": list(new.routes)})
        return await self.show(new.name)

    async def change(self, name: str, changes: RoutePlanChanges) -> ListedRoutePlan:
        """Set what is given; routes are replaced whole. Errors: NotFound (plan, route), AlreadyExists, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            plan_id = await store.hold_plan(tx, name)
            if changes.routes is not LEAVE:
                await store.set_plan_routes(tx, plan_id, changes.routes)
            for column, value in (
                ("route_order", changes.order), ("description", changes.description), ("name", changes.name),
            ):  # fmt: skip
                if value is not LEAVE:
                    await store.change_plan(tx, plan_id, column, value)
            await record(tx, "route_plan.change", name, given(changes))
        return await self.show(name if changes.name is LEAVE else changes.name)

    async def show(self, name: str) -> ListedRoutePlan:
        """Errors: NotFound, Unavailable."""
        return await store.find_plan(self._database, name)

    async def numbered(self, number: int) -> str:
        """The name of the plan of a number. Errors: NotFound, Unavailable."""
        return await store.numbered_plan(self._database, number)

    async def page(self, cursor: Cursor) -> Page[ListedRoutePlan]:
        """By name. Errors: InvalidRequest (after), Unavailable."""
        return await store.list_plans(self._database, cursor)

    async def remove(self, name: str) -> None:
        """Errors: NotFound, Refused (something goes by it), Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            await store.remove_plan(tx, await store.hold_plan(tx, name), name)
            await record(tx, "route_plan.remove", name)

    async def blacklist(self) -> GlobalBlacklist:
        """What counts for everybody who has no own. Errors: Unavailable."""
        return await store.global_blacklist(self._database)

    async def set_blacklist(self, wanted: GlobalBlacklist) -> GlobalBlacklist:
        """Errors: NotFound (plan), Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            before = await store.global_blacklist(tx)
            await store.set_global_blacklist(tx, wanted)
            await record(tx, "blacklist.set", "", {"before": _told(before), "after": _told(wanted)})
        return await self.blacklist()


def _told(blacklist: GlobalBlacklist) -> dict[str, object]:
    return {"enabled": blacklist.enabled, "threshold": blacklist.threshold, "plan": blacklist.plan}
