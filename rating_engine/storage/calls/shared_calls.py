"""Calls that the workers of one engine remember together, in memory that they share, so that a finish which reaches
another worker than its prepare needs no look-up.

Laws: it is for speed alone, and may forget at any moment: a place is taken by whichever call comes to it last. What is
read is a call that some worker wrote whole, under this very key (the key and a checksum are compared), or nothing; and
since what is frozen for a key never changes, an old one is as good as a new one. Nobody locks anything.
"""

from __future__ import annotations

import marshal
import mmap
import os
import zlib
from collections.abc import Mapping
from dataclasses import fields
from datetime import date
from decimal import Decimal
from operator import attrgetter
from typing import Any, Final, Self

from rating_engine.domain.outcomes import CallKey
from rating_engine.domain.reservation import CallDetails, OpenCall, PackageUse, ResellerPrice

PLACES: Final = 32_768  # more calls than two cores carry in the minutes that most calls last
PLACE_BYTES: Final = 2_048  # a call with both of its rates has about 1 kB
TOTAL_BYTES: Final = PLACES * PLACE_BYTES  # 64 MiB at the most, of which what was used is really taken

_HEADER: Final = 8  # length and checksum, four bytes each
_DETAILS: Final = tuple(field.name for field in fields(CallDetails))
_details_of: Final = attrgetter(*_DETAILS)
_EXCHANGE: Final = _DETAILS.index("carrier_exchange")
_PACKAGES: Final = _DETAILS.index("packages")
_RESELLERS: Final = _DETAILS.index("resellers")


class SharedCalls:
    """The memory, as one worker sees it."""

    def __init__(self, descriptor: int) -> None:
        """`descriptor`: of anonymous memory (memfd) that the workers have in common."""
        os.ftruncate(descriptor, TOTAL_BYTES)
        self._memory = mmap.mmap(descriptor, TOTAL_BYTES)

    @classmethod
    def inherited(cls, environment: Mapping[str, str], variable: str) -> Self | None:
        """The memory that the supervisor's workers share; None: there is one process."""
        number = environment.get(variable)
        return None if number is None else cls(int(number))

    def put(self, call_key: CallKey, call: OpenCall) -> None:
        """A call that this process allowed."""
        name = str(call_key)
        details = list(_details_of(call.details))
        details[_EXCHANGE] = None if details[_EXCHANGE] is None else str(details[_EXCHANGE])
        details[_PACKAGES] = [(use.package_id, use.period_start.toordinal(), use.seconds) for use in details[_PACKAGES]]
        if call.details.resellers:
            details[_RESELLERS] = [
                (one.account_id, one.tariff_id, one.deck_id, one.prefix, one.rate, str(one.exchange or ""))
                for one in call.details.resellers
            ]
        # marshal: five times as fast as JSON, and read by nobody but processes of the same program.
        payload = marshal.dumps(
            (
                name,
                call.account_id,
                str(call.granted),
                call.quota,
                call.cap_seconds,
                call.route_prefix,
                call.currency,
                details,
                [str(granted) for granted in call.resellers_granted],
            )
        )
        if len(payload) > PLACE_BYTES - _HEADER:
            return
        start = _place(name)
        header = len(payload).to_bytes(4, "little") + zlib.crc32(payload).to_bytes(4, "little")
        self._memory[start : start + _HEADER + len(payload)] = header + payload

    def get(self, call_key: CallKey) -> OpenCall | None:
        """The call as one of the workers allowed it, or None."""
        name = str(call_key)
        start = _place(name)
        stored = self._memory[start : start + PLACE_BYTES]
        length = int.from_bytes(stored[:4], "little")
        payload = stored[_HEADER : _HEADER + length]
        if not 0 < length <= PLACE_BYTES - _HEADER or int.from_bytes(stored[4:8], "little") != zlib.crc32(payload):
            return None  # nothing yet, or half of one call and half of another
        written, account_id, granted, quota, cap_seconds, route_prefix, currency, details, others = marshal.loads(
            payload
        )
        if written != name:
            return None
        return OpenCall(
            account_id=account_id,
            granted=Decimal(granted),
            quota=quota,
            cap_seconds=cap_seconds,
            route_prefix=route_prefix,
            currency=currency,
            details=_details(details),
            resellers_granted=tuple(map(Decimal, others)),
        )


def _details(values: list[Any]) -> CallDetails:
    exchange = values[_EXCHANGE]
    values[_EXCHANGE] = None if exchange is None else Decimal(exchange)
    values[_PACKAGES] = tuple(
        PackageUse(one, date.fromordinal(day), seconds) for one, day, seconds in values[_PACKAGES]
    )
    values[_RESELLERS] = tuple(_price(*one) for one in values[_RESELLERS])
    return CallDetails(*values)  # in the order of _DETAILS


def _price(account_id: int, tariff_id: int, deck_id: int, prefix: str, rate: str, exchange: str) -> ResellerPrice:
    return ResellerPrice(account_id, tariff_id, deck_id, prefix, rate, Decimal(exchange) if exchange else None)


def _place(name: str) -> int:
    return zlib.crc32(name.encode("utf-8", "surrogatepass")) % PLACES * PLACE_BYTES
