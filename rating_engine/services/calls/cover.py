"""What packages do to a price: free seconds, and the steps of a volume. The step between the price and the route.

Law: what is held of packages is exact to the second, since the price depends on it; and what a route's cost is compared
with (`Covered.sold`) is the price that is really sold, after every package.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from rating_engine.domain.reservation import PackageUse
from rating_engine.domain.tariff import Package, PackageKind
from rating_engine.rating.charge import charge
from rating_engine.rating.fast_frozen import fast_frozen
from rating_engine.rating.rate import Rate
from rating_engine.rating.schedule import period_start
from rating_engine.services.calls.number import Caller
from rating_engine.services.calls.price import Price, with_volume
from rating_engine.services.facts.sources import PackageSource


@fast_frozen
class Covered:
    """The price of a call as packages change it.

    `rate`: as it would be frozen. `sold`: the same without what free seconds take off: a package has paid for those, at
    the price they would cost. `packages`: what is to be held of each, in the order in which they are used up.
    """

    rate: Rate
    sold: Rate
    packages: tuple[PackageUse, ...] = ()


class Cover:
    """Puts packages over a price, from what is left of them now. Errors: Unavailable."""

    def __init__(self, package_states: PackageSource) -> None:
        self._package_states = package_states

    async def cover(self, caller: Caller, price: Price, seconds: int) -> Covered:
        """The price of a call of at most so many seconds: 0 holds nothing of any package, and says which there are.

        Free seconds are used up in the order of packages, options' first; a volume lowers the price of a call by what
        was used before it.
        """
        packages = _packages_for(price)
        if not packages:
            return Covered(price.rate, price.rate)
        subscriber = caller.subscriber
        zones = {tariff.tariff_id: tariff.schedule.zone for tariff in price.tariffs}
        wanted = [
            (each.package_id, period_start(caller.at, zones[each.tariff_id], each.period.value)) for each in packages
        ]
        states = await self._package_states(subscriber.bucket, subscriber.subscriber_id, wanted)
        sold, held = price.rate, 0
        uses: list[PackageUse] = []
        needed = charge(sold, seconds).billed_seconds
        for package, state in zip(packages, states, strict=True):
            used = 0
            if package.kind is PackageKind.VOLUME:
                sold = with_volume(sold, _step(package, state.used))
            else:
                used = max(0, min(state.seconds_left or 0, needed - held))
            held += used
            uses.append(PackageUse(package.package_id, state.period_start, used))
        free = [package for package in packages if package.kind is PackageKind.FREE]
        waives_fees = bool(free) and all(package.waives_fees for package in free)
        rate = replace(sold, covered_seconds=held, waived_fees=waives_fees) if free else sold
        return Covered(rate, sold, tuple(uses))


def _packages_for(price: Price) -> list[Package]:
    """The packages that cover the direction of a call, in the order in which they are used up."""
    if len(price.tariffs) == 1 and not price.tariffs[0].packages:
        return []
    direction = price.match.direction.code
    return [
        package
        for tariff in price.tariffs
        for package in tariff.packages
        if package.directions is None or direction in package.directions
    ]


def _step(package: Package, used: int) -> Decimal:
    """The factor of a call's price after so many seconds of a volume."""
    return next((multiplier for after, multiplier in reversed(package.steps) if used >= after), Decimal(1))
