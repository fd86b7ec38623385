"""Permission groups: made, changed, given to accountants and resellers, taken away. What is changed counts at once."""

from __future__ import annotations

from collections.abc import Collection

from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.domain.permission import Permission
from rating_engine.domain.permission_group import NewPermissionGroup, PermissionGroup
from rating_engine.domain.principal import Principal
from rating_engine.services.parties.lately import until_forgotten
from rating_engine.storage.audit_log import record
from rating_engine.storage.parties import permission_groups as store
from rating_engine.storage.parties.parties import hold_party
from rating_engine.storage.postgres.pool import Database, Questions


class PermissionGroups:
    """What one principal does with groups, each by its name or number."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    async def add(self, new: NewPermissionGroup) -> PermissionGroup:
        """Errors: AlreadyExists, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            number = await store.add_group(tx, new)
            await record(tx, "permissions.add", new.name, {"kind": new.kind, "permissions": sorted(new.permissions)})
        return await self.show(number)

    async def show(self, which: str | int) -> PermissionGroup:
        """Errors: NotFound, Unavailable."""
        return await self._find(self._database, which)

    async def page(self) -> list[PermissionGroup]:
        """All of them: a handful, made by hand. Errors: Unavailable."""
        return await store.list_groups(self._database)

    async def set(self, which: str | int, permissions: Collection[Permission]) -> PermissionGroup:
        """What its members may manage. Errors: NotFound, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            group = await self._find(tx, which)
            await store.set_permissions(tx, group.group_id, frozenset(permissions))
            await record(
                tx, "permissions.set", group.name,
                {"before": sorted(group.permissions), "after": sorted(permissions)},
            )  # fmt: skip
        await until_forgotten()
        return await self.show(group.group_id)

    async def remove(self, which: str | int) -> None:
        """Its members have no group then. Errors: NotFound, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            group = await self._find(tx, which)
            await store.remove_group(tx, group.group_id)
            await record(tx, "permissions.remove", group.name)
        await until_forgotten()

    async def give(self, who: str | int, which: str | int | None) -> None:
        """Put a user into a group of its kind; None: into none.

        Errors: InvalidRequest (of another kind), NotFound (user, group), Unavailable.
        """
        async with self._database.transaction(self._principal) as tx:
            party = await hold_party(tx, who)
            group = None if which is None else await self._find(tx, which)
            if group is not None and party.kind is not group.kind:
                raise InvalidRequest("group", f"is for the kind {group.kind}; {party.login!r} is of {party.kind}")
            await store.give_group(tx, party.party_id, None if group is None else group.group_id)
            await record(tx, "permissions.give", party.login, {"group": None if group is None else group.name})
        await until_forgotten()

    async def _find(self, questions: Questions, which: str | int) -> PermissionGroup:
        group = await store.find_group(questions, which)
        if group is None:
            raise NotFound(f"there is no permission group {which!r}", field="group")
        return group
