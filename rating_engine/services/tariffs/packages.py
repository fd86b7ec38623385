"""Packages: free minutes and volume prices of a tariff, the directions they are for, and what is left of them."""

from __future__ import annotations

from collections.abc import Sequence

from rating_engine.domain.checks import check_name
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.principal import Principal
from rating_engine.domain.tariff_card import DirectionGroup, ListedPackage, PackageUsage, check_package
from rating_engine.storage.audit_log import record
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs import packages as store
from rating_engine.storage.tariffs.tariff_options import find_party
from rating_engine.storage.tariffs.tariff_settings import find_tariff


class Packages:
    """What one principal does with packages and groups of directions."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    async def add(self, package: ListedPackage) -> ListedPackage:
        """A package for each subscriber of its tariff: free minutes of a period, or a volume price.

        A volume's call that starts after so many seconds of the period costs so many times the price. Of several
        packages the one of the lowest position is used up first. Errors: InvalidRequest naming the field, NotFound,
        AlreadyExists, Unavailable.
        """
        check_package(package)
        async with self._database.transaction(self._principal) as tx:
            await store.add_package(tx, package)
            await record(tx, "package.add", f"{package.tariff}/{package.name}", {"kind": package.kind})
        return package

    async def remove(self, tariff: str, name: str) -> None:
        """Take a package from a tariff, for the next call everywhere. Errors: NotFound, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            await store.remove_package(tx, tariff, name)
            await record(tx, "package.remove", f"{tariff}/{name}")

    async def page(self, cursor: Cursor, tariff: str | None = None) -> Page[ListedPackage]:
        """The packages of a tariff or of every one, first used first. Errors: NotFound, InvalidRequest, Unavailable."""
        if tariff is not None:
            await find_tariff(self._database, tariff)
        return await store.list_packages(self._database, tariff, cursor)

    async def usage(self, login: str) -> Sequence[PackageUsage]:
        """What a login has used, holds and has left in the present periods. Errors: NotFound, Unavailable."""
        await find_party(self._database, login)
        return await store.usage_of(self._database, login)

    async def set_group(self, name: str, directions: Sequence[str]) -> DirectionGroup:
        """The directions (codes) of a group from now on; created if need be. Errors: InvalidRequest, Unavailable."""
        check_name(name)
        if not directions:
            raise InvalidRequest("directions", "must be one at least; to forget the group, remove it")
        if len(directions) > store.MAX_GROUP:
            raise InvalidRequest("directions", f"a group may have {store.MAX_GROUP}")
        group = DirectionGroup(name, tuple(sorted(set(directions))))
        async with self._database.transaction(self._principal) as tx:
            await store.set_group(tx, name, group.directions)
            await record(tx, "direction_group.set", name, {"directions": len(group.directions)})
        return group

    async def groups(self, cursor: Cursor) -> Page[DirectionGroup]:
        """Groups by name. Errors: InvalidRequest (after), Unavailable."""
        return await store.list_groups(self._database, cursor)

    async def remove_group(self, name: str) -> None:
        """Forget a group that no package is for. Errors: NotFound, InvalidRequest, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            await store.remove_group(tx, name)
            await record(tx, "direction_group.remove", name)
