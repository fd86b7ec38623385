"""Calls over ARI beside FastAGI and beside a plain Dial, through one real Asterisk, in one run.

CPU a call is user + system from /proc: of the engine, of Asterisk, of PostgreSQL. The delay is from the INVITE that a
phone sends to the INVITE that the carrier has, each by its own trace on the same machine: what an engine adds to it is
the difference to the plain Dial. The calls are made by SIPp, whose own CPU is nobody's here.

    python benchmarks/ari.py                              # about four minutes
    python benchmarks/ari.py --calls 100 --a-second 10    # a quick look
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cpu
from report import MARKDOWN, SCREEN, into_readme, print_table, shown

sys.path.insert(0, str(Path(__file__).parents[1]))  # the exchange is that of the tests

from rating_engine.embedded.servers import EmbeddedServers
from rating_engine.storage.postgres.pool import Database
from tests.asterisk.ari import ari_exchange, ari_url, seed
from tests.asterisk.build import Unbuildable, asterisk_root
from tests.asterisk.engine import engine_for, started
from tests.asterisk.exchange import Exchange
from tests.asterisk.pbx import until
from tests.asterisk.sipp import TRACE, Sipp
from tests.support.servers import SessionServers, free_port
from tests.support.world import add_account

# How a phone of each side is put through, by the digit that it dials first.
SIDES = {"plain Dial": "2", "FastAGI": "1", "ARI": ""}
DIALPLAN = """
#include shipped.conf
[phones](+)
exten => _1X.,1,Goto(rating-outbound,${{EXTEN:1}},1)
exten => _2X.,1,Dial(PJSIP/${{EXTEN:1}}@carrier,30)
 same => n,Hangup()
[globals]
RATING_OWN_LEG=never
RATING_ENGINE=127.0.0.1:{engine_port}
"""
TALK_SECONDS = 1.0
WARM_UP_CALLS = 20
LOGIN = "bench"


@dataclass
class Round:
    """What one side took."""

    engine_ms: float
    asterisk_ms: float
    postgres_ms: float
    delays_ms: list[float]


class Bench:
    """One engine, one exchange, one carrier."""

    def __init__(self, exchange: Exchange, sip_port: int, pids: dict[str, int]) -> None:
        self.exchange, self.sip_port, self.pids = exchange, sip_port, pids
        self.sipp = Sipp(exchange)
        self.used = 4910000

    async def run(self, dialled: str, calls: int, a_second: int) -> Round:
        """So many calls of a side, from the first one's INVITE until nothing is left of them."""
        self.used += 1  # numbers of its own
        watch = cpu.Watch(**self.pids)
        caller = await self.sipp.talk(
            LOGIN, f"{dialled}{self.used}", port=self.sip_port, calls=calls, a_second=a_second, together=calls,
            seconds=TALK_SECONDS, trace="caller.log",
        )  # fmt: skip
        await caller.wait()
        await until(self.exchange.idle, 60)
        sent = self.sipp.invites("caller.log", "sent")
        had = self.sipp.invites(TRACE, "received")
        mine = {number.removeprefix(dialled): at for number, at in sent.items()}
        delays = [1000 * (had[number] - at) for number, at in mine.items() if number in had]
        if len(delays) != calls:
            raise SystemExit(f"{calls - len(delays)} of {calls} calls did not reach the carrier")
        each = {name: watch.ms(name) / calls for name in self.pids}
        return Round(each["engine"], each["asterisk"], each["postgres"], delays)


async def measured(arguments: argparse.Namespace, root: Path) -> dict[tuple[str, int], list[Round]]:
    """The rounds of each side and offered load, in turns."""
    sip_port, http_port, carrier_port = free_port(), free_port(), free_port()
    found: dict[tuple[str, int], list[Round]] = {}
    with EmbeddedServers() as servers, tempfile.TemporaryDirectory() as directory:
        prepared = SessionServers(servers)
        prepared.prepare_template()
        with prepared.database() as url:
            database = Database(url)
            await database.open()
            await seed(database, (("carrier", "491"),))
            await add_account(database, LOGIN, balance="100000")
            engine = engine_for(url, prepared.redis(), Path(directory), ari_exchanges=[ari_url(http_port)])
            exchange = ari_exchange(
                root, engine.fastagi_port, http_port, sip_port,
                phones={LOGIN: 1}, trunks={"carrier": carrier_port},
                more=DIALPLAN.format(engine_port=engine.fastagi_port),
            )  # fmt: skip
            async with exchange, engine:
                await started(engine)
                await exchange.ami.action("Events", EventMask="off")  # nobody looks at them
                pids = {"engine": engine.pid, "asterisk": exchange.pid, "postgres": servers.postgres.pid}
                bench = Bench(exchange, sip_port, pids)
                async with bench.sipp.carrier(carrier_port):
                    for dialled in SIDES.values():
                        await bench.run(dialled, WARM_UP_CALLS, 10)
                    for _ in range(arguments.rounds):
                        for a_second in arguments.a_second:
                            for side, dialled in SIDES.items():
                                one = await bench.run(dialled, arguments.calls, a_second)
                                found.setdefault((side, a_second), []).append(one)
            await database.close()
    return found


def show(found: dict[tuple[str, int], list[Round]], form: str) -> None:
    """A row for each side and load: medians of the rounds; the delay of all calls."""
    rows = []
    for (side, a_second), rounds in found.items():
        delays = sorted(delay for one in rounds for delay in one.delays_ms)
        parts = [
            statistics.median(part)
            for part in zip(*((r.engine_ms, r.asterisk_ms, r.postgres_ms) for r in rounds), strict=True)
        ]
        late = delays[int(len(delays) * 0.95)]
        rows.append([side, str(a_second), *map(shown, parts), shown(statistics.median(delays)), shown(late)])
    columns = ["side", "calls/s", "engine ms", "Asterisk ms", "PostgreSQL ms", "delay ms", "delay p95 ms"]
    print_table("A call of 1 s through Asterisk: CPU a call, and INVITE to INVITE", columns, rows, form)


def main() -> None:
    """Measure, and show it or write it into README.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=200, help="of each side, load and round")
    parser.add_argument("--a-second", type=int, nargs="+", default=[10, 30], help="offered")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--readme", action="store_true", help="write the tables into README.md")
    arguments = parser.parse_args()
    try:
        root = asterisk_root()
    except Unbuildable as error:
        raise SystemExit(f"no Asterisk here, and nothing to measure: {error}") from None
    found = asyncio.run(measured(arguments, root))
    if arguments.readme:
        into_readme("ari", lambda: show(found, MARKDOWN))
    show(found, SCREEN)


if __name__ == "__main__":
    main()
