"""Streams of events of a real Asterisk, kept in recordings/ for table tests on machines that have none.

`python -m tests.asterisk.ari_record` makes them anew: one call after the other, by the parts of agi/ari, with services
that allow everything. A line is an event as it came, or what a service answered then.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, cast

from agi.ari.address import parse_address
from agi.ari.app import AriApp
from agi.ari.call import CallRules
from agi.ari.connection import AriConnection
from agi.ari.events import read
from agi.ari.exchange_book import ExchangeBook
from agi.ari.requests import event_filter
from rating_engine.domain.outcomes import Allowed, FinishCall, FinishOutcome, PrepareCall, PrepareOutcome, Saved
from rating_engine.services.calls.ports import ChargingService, utc_now
from rating_engine.telemetry.metrics import Metrics
from tests.asterisk.ari import NAME, ari_exchange, ari_url, ports
from tests.asterisk.build import asterisk_root
from tests.asterisk.pbx import until
from tests.asterisk.phone import Leg, Phone, phones
from tests.support.servers import free_port

RECORDINGS: Final = Path(__file__).with_name("recordings")
SEAT: Final = "rating-1"


class Allows:
    """Every call, for a hundred seconds, by the trunk `first` and then `second`; what it says is recorded."""

    def __init__(self, lines: list[dict[str, Any]]) -> None:
        self.lines = lines

    async def prepare_call(self, call: PrepareCall) -> PrepareOutcome:
        route = "first" if call.call_key.attempt == 1 else "second"
        said = {"type": "Admitted", "uniqueid": call.call_key.uniqueid, "attempt": call.call_key.attempt}
        self.lines.append({**said, "seconds": 100, "destination": call.destination, "route": route})
        return Allowed(call.call_key, 100, call.destination, "4930111", "", "", route, Decimal(1), "EUR")

    async def finish_call(self, call: FinishCall) -> FinishOutcome:
        return Saved(call.call_key, Decimal(0), "EUR", 0, call.seconds, "", "", "", "", call.disposition, call.cause)


async def first(leg: Leg) -> None:
    """What the first trunk does, by the number."""
    match leg.number[-1]:
        case "1":
            await leg.answer()
        case "2":
            await leg.answer()
            await leg.talk(1)
            await leg.hang_up()
        case "3":
            await leg.ring()
        case "4":
            await leg.refuse(503)
        case "5":
            await leg.refuse(486)
        case "6":
            await leg.play_early()
            await leg.talk(0.5)
            await leg.answer()


async def caller_hangs_up(phone: Phone, number: str) -> None:
    leg = await (await phone.call(number)).answered()
    await leg.talk(1)
    await leg.hang_up()


async def other_side_hangs_up(phone: Phone, number: str) -> None:
    await (await (await phone.call(number)).answered()).ended()


async def caller_cancels(phone: Phone, number: str) -> None:
    leg = await (await phone.call(number)).rings()
    await leg.hang_up()
    await leg.ended()


async def refused(phone: Phone, number: str) -> None:
    await (await phone.call(number)).ended()


SCENES: Final[dict[str, tuple[str, Callable[[Phone, str], Awaitable[None]]]]] = {
    "caller-hangs-up": ("4910001", caller_hangs_up),
    "called-party-hangs-up": ("4910002", other_side_hangs_up),
    "cancelled": ("4910003", caller_cancels),
    "second-route": ("4910004", caller_hangs_up),
    "busy": ("4910005", refused),
    "early-media": ("4910006", caller_hangs_up),
}


async def record() -> None:
    """All scenes, a file each."""
    sip_port, http_port = free_port(), free_port()
    caller, one, other = (Phone(name, sip_port) for name in ("caller", "first", "second"))
    one.on_call = first
    exchange = ari_exchange(
        asterisk_root(), free_port(), http_port, sip_port,
        phones={"caller": caller.port}, trunks=ports({"first": one, "second": other}),
    )  # fmt: skip
    lines: list[dict[str, Any]] = []
    book = ExchangeBook(NAME, CallRules())
    app = AriApp(book, SEAT, cast("ChargingService", Allows(lines)), observer=Metrics().ari, now=utc_now)

    def heard(message: dict[str, Any]) -> None:
        lines.append(message)
        if (event := read(message)) is not None:
            app.carry_out(book.hear(event))

    async with phones(caller, one, other), exchange:
        address = parse_address(ari_url(http_port))
        main = AriConnection(address, SEAT, heard)
        app.commands = [AriConnection(address, f"{SEAT}-cmd1", lambda message: None)]
        for connection in (main, *app.commands):
            await connection.open()
        await app.ask(event_filter(SEAT))
        for name, (number, scene) in SCENES.items():
            await scene(caller, number)
            await until(exchange.idle)
            await asyncio.sleep(0)
            (RECORDINGS / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
            lines.clear()
        await app.close()
        for connection in (main, *app.commands):
            await connection.close()


if __name__ == "__main__":
    asyncio.run(record())
