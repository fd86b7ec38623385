"""Who plays in the scenarios of test_ari, by which numbers, and what is looked at when a call is over."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from tests.asterisk.pbx import Pbx, until
from tests.asterisk.phone import Leg, Phone

ROUTES = (("carrier", "491"), ("first", "494"), ("second", "494"), ("elsewhere", "496"))
ANSWERS, HANGS_UP, EARLY, RINGS, CROSSES = "4910001", "4911001", "4912001", "4913001", "4914001"
REFUSES, SILENT = "4941", "4940001"  # the first route says the SIP code behind it, or nothing; the second one answers
ELSEWHERE, BUSY_ELSEWHERE = "4960001", "4961001"
BY_DIALPLAN = "4977004"  # and one digit more
OWNED = "4977009"
RINGS_OWNER, FORWARDS, KEPT = "4977001", "4977002", "4977003"
DID_PRICE = Decimal("0.005")  # a second
ACCESS = "4930900"
# A function of the exchange's own, before each call of a card: here it knows the country.
EXTERNAL = "[rating-cards-external]\nexten => s,1,Set(RATING_CARD_CALLS=49${ARG2})\n same => n,Return()\n"
SECRET_KEY = Fernet.generate_key().decode()
RING_SECONDS = 6
PROBES = itertools.count()
CUT_WITHIN = 0.35  # of a second


@dataclass(frozen=True)
class World:
    """The engine, the exchange, and everybody's phones. `tls`: the port of its REST interface, and the certificate."""

    pbx: Pbx
    url: str
    phones: dict[str, Phone]
    trunks: dict[str, Phone]
    recordings: Path
    tls: tuple[int, Path]

    def caller(self, scenario: str) -> Phone:
        return self.phones[scenario]

    async def called(self, trunk: str, number: str) -> Leg:
        """The leg of a call as its carrier has it, of a number that one scenario alone dials."""
        found: list[Leg] = []

        async def is_there() -> bool:
            found[:] = [leg for leg in self.trunks[trunk].calls if leg.number == number]
            return bool(found)

        await until(is_there)
        return found[0]

    async def cdrs(self, login: str) -> list[Any]:
        """What is written of a login once nothing of it is open."""
        await until(lambda: self.pbx.no_open_call(login))
        return await self.pbx.cdrs(login)


async def carrier(leg: Leg) -> None:
    """What a trunk does with a call, by the number."""
    number = leg.number
    if number.startswith(RINGS[:4]):
        await leg.ring()
    elif number.startswith(EARLY[:4]):
        await leg.play_early()
        await leg.talk(1)
        await leg.answer()
    elif number.startswith(CROSSES[:4]):
        await leg.ring()
        await leg.talk(1)
        await leg.answer()
    else:
        await leg.answer()
        if number.startswith(HANGS_UP[:4]):
            await leg.talk_on(1.7)
            await leg.hang_up()


async def first(leg: Leg) -> None:
    """A trunk that refuses, or says nothing."""
    if leg.number.startswith(REFUSES):
        await leg.refuse(int(leg.number[4:7]))


async def elsewhere(leg: Leg) -> None:
    """A trunk of those to whom calls are transferred."""
    if leg.number.startswith(BUSY_ELSEWHERE[:4]):
        await leg.refuse(486)
        return
    await leg.ring()
    await leg.talk(0.3)
    await leg.answer()


def seconds_of(leg: Leg) -> int:
    """What is charged of what the carrier saw."""
    return max(1, ceil(leg.talked - 0.2))


def fits(leg: Leg, seconds: int) -> bool:
    """Whether so many are charged of a leg that ended at any moment: a tenth of a second away both counts are right."""
    return seconds in {max(1, ceil(leg.talked - 0.2 + off)) for off in (-0.1, 0.1)}


def charges(cdrs: list[Any], *legs: Leg) -> bool:
    """Whether these are charged, each by its number, and nothing else."""
    seconds = {cdr["destination"]: cdr["seconds"] for cdr in cdrs}
    return len(cdrs) == len(legs) == len(seconds) and all(fits(leg, seconds[leg.number]) for leg in legs)
