"""Packages: free minutes and volume prices of a tariff, the directions they are for, and what is left of them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.tariff import PackageKind, Period
from rating_engine.domain.tariff_card import CarryOver, ListedPackage, PackageUsage
from rating_engine.services.tariffs.fields import MAX_INTEGER, choice_of, factor_of, name_of, whole_number
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs import packages as store
from rating_engine.storage.tariffs.tariff_options import find_party
from rating_engine.storage.tariffs.tariff_settings import find_tariff


class Packages:
    """The use cases of `rating-engine package` and `rating-engine direction-group`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self,
        tariff: str,
        name: str,
        *,
        minutes: int,
        group: str = "",
        period: str = "month",
        carry_over: str = "none",
        waives_fees: bool = False,
        position: int = 0,
    ) -> ListedPackage:
        """Free minutes of a period, to the directions of a group ('': every one), for each subscriber of the tariff.

        `carry_over`: see CarryOver. `waives_fees`: a call covered whole has no connect fee and no surcharge.
        `position`: of several packages the lowest is used up first. Errors: InvalidRequest naming the field, NotFound,
        AlreadyExists, Unavailable.
        """
        if not 1 <= minutes <= MAX_INTEGER // 60:
            raise InvalidRequest("minutes", f"must be from 1 to {MAX_INTEGER // 60}")
        package = ListedPackage(
            tariff=tariff,
            name=name_of(name, "name"),
            kind=PackageKind.FREE,
            group=group,
            seconds=minutes * 60,
            period=choice_of(Period, period, "period"),
            carry_over=choice_of(CarryOver, carry_over, "carry_over"),
            waives_fees=waives_fees,
            position=_position(position),
        )
        await store.add_package(self._database, package)
        return package

    async def add_volume(
        self,
        tariff: str,
        name: str,
        *,
        steps: Sequence[str],
        group: str = "",
        period: str = "month",
        position: int = 0,
    ) -> ListedPackage:
        """A volume price: a call that starts after so many minutes of the period costs so many times the price.

        `steps`: MINUTES:FACTOR, as 1000:0.9. Errors: as `add`.
        """
        package = ListedPackage(
            tariff=tariff,
            name=name_of(name, "name"),
            kind=PackageKind.VOLUME,
            group=group,
            seconds=None,
            period=choice_of(Period, period, "period"),
            carry_over=CarryOver.NONE,
            waives_fees=False,
            position=_position(position),
            steps=_steps(steps),
        )
        await store.add_package(self._database, package)
        return package

    async def remove(self, tariff: str, name: str) -> None:
        """Take a package from a tariff, for the next call everywhere. Errors: NotFound, Unavailable."""
        await store.remove_package(self._database, tariff, name)

    async def list(self, tariff: str | None = None) -> Sequence[ListedPackage]:
        """The packages of a tariff or of every one, first used first. Errors: NotFound, Unavailable."""
        if tariff is not None:
            await find_tariff(self._database, tariff)
        return await store.list_packages(self._database, tariff)

    async def usage(self, login: str) -> Sequence[PackageUsage]:
        """What a login has used, holds and has left in the present periods. Errors: NotFound, Unavailable."""
        await find_party(self._database, login)
        return await store.usage_of(self._database, login)

    async def set_group(self, name: str, directions: Sequence[str]) -> None:
        """The directions (codes) of a group from now on; created if need be. Errors: InvalidRequest, Unavailable."""
        if not directions:
            raise InvalidRequest("directions", "must be one at least; to forget the group, remove it")
        if len(directions) > store.MAX_GROUP:
            raise InvalidRequest("directions", f"a group may have {store.MAX_GROUP}")
        await store.set_group(self._database, name_of(name, "name"), list(dict.fromkeys(directions)))

    async def groups(self) -> dict[str, Sequence[str]]:
        """The directions of every group. Errors: Unavailable."""
        return dict(await store.list_groups(self._database))

    async def remove_group(self, name: str) -> None:
        """Forget a group that no package is for. Errors: NotFound, InvalidRequest, Unavailable."""
        await store.remove_group(self._database, name)


def _steps(texts: Sequence[str]) -> tuple[tuple[int, Decimal], ...]:
    """(after so many seconds, factor) of texts like 1000:0.9, ascending. Raises InvalidRequest."""
    steps: dict[int, Decimal] = {}
    for text in texts:
        minutes, colon, factor = text.partition(":")
        if not colon:
            raise InvalidRequest("step", f"{text[:64]!r} is not MINUTES:FACTOR, as 1000:0.9")
        after = 60 * whole_number(minutes, "step", least=1, most=MAX_INTEGER // 60)
        if after in steps:
            raise InvalidRequest("step", f"{minutes} minutes came before")
        steps[after] = factor_of(factor, "step")
    if not 1 <= len(steps) <= store.MAX_STEPS:
        raise InvalidRequest("step", f"must be given 1 to {store.MAX_STEPS} times, as --step 1000:0.9")
    return tuple(sorted(steps.items()))


def _position(position: int) -> int:
    if not 0 <= position <= MAX_INTEGER:
        raise InvalidRequest("position", f"must be from 0 to {MAX_INTEGER}")
    return position
