"""Calls by Narayana's API over connections that are kept, beside the same calls by FastAGI; and how long calls by
FastAGI wait while programs ask ten thousand things of both surfaces on the same accounts, beside without: in one run.

    python benchmarks/http_calls.py
    python benchmarks/http_calls.py --rounds 1 --seconds 1 --requests 1000
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cpu
from calls import Bench
from report import MARKDOWN, SCREEN, Figures, against, into_readme, print_table
from sides import HERE, LOGINS, NUMBERS, Side, both

AT_A_TIME = (1, 8, 32)
OFFERED = 100  # FastAGI calls a second while programs ask: a machine that has something left for them
ASKED = 100  # things that programs ask a second then; a key may ask twice as many (server_key_requests_per_minute)
API_CONNECTIONS = 8
P99_AIM = "<=1.5"
COMPANY_LINES = 20


class HttpBench:
    """What is measured of one engine by its two ports."""

    def __init__(self, bench: Bench, side: Side, arguments: argparse.Namespace, directory: Path) -> None:
        self.bench, self.side, self.arguments, self.directory = bench, side, arguments, directory
        self.engine = side.engines[1]
        self.calls, self.waits = Figures(), Figures()
        self.told: dict[str, int] = {}
        self.key = self._key("bench", "--server", "--level", 50, "--auth-by", "sip_extension", "--rate-limit", 0)
        side.command("user", "create", "--login", "company", "--kind", "tenant")
        for number in range(COMPANY_LINES):
            of_company = ("--tariff", "call_rates:company", "--owner", "company", "--balance", 1000)
            side.command("account", "create", "--login", f"c{number}", *of_company)
        scopes = [word for scope in ("call_rates:write", "tenant_billing:read", "accounts:read", "calls:read")
                  for word in ("--scope", scope)]  # fmt: skip
        self.token = self._key("company", "--owner", "company", *scopes, "--rate-limit", 0)

    def _key(self, name: str, *how: object) -> str:
        return str(json.loads(self.side.command("key", "add", "--name", name, *how, "--json"))["secret"])

    def http(self, **how: Any) -> dict[str, Any]:
        """What the client over HTTP reports of one load."""
        self.bench.seed += 1
        plan = {"port": self.engine.http_port, "key": self.key, "logins": self.bench.logins("p"),
                "numbers": self.bench.numbers, "seed": self.bench.seed, **how}  # fmt: skip
        file = self.directory / f"http{self.bench.seed}.json"
        file.write_text(json.dumps(plan))
        done = subprocess.run(
            [sys.executable, str(HERE / "http_client.py"), str(file)], stdout=subprocess.PIPE, check=False
        )
        if done.returncode:
            raise SystemExit("the client over HTTP ended without a report")
        report: dict[str, Any] = json.loads(done.stdout)
        for outcome, count in report["outcomes"].items():
            if outcome not in ("SAVED", "200", "204"):
                self.told[outcome] = self.told.get(outcome, 0) + count
        return report

    def surfaces(self, at_a_time: int) -> None:
        """The same calls by both."""
        seconds = self.arguments.seconds
        for name in ("FastAGI", "HTTP"):
            watch = self.side.watch(1)
            if name == "HTTP":
                report = self.http(at_a_time=at_a_time, seconds=seconds)
            else:
                report = self.bench.load(self.engine.port, self.bench.logins("p"), at_a_time=at_a_time, seconds=seconds)
            figures, how, calls = self.calls, f"{at_a_time} at a time", max(1, report["calls"])
            figures.add(f"calls/s, {how}", name, report["calls"] / report["seconds"])
            for process in ("engine", "server"):
                figures.add(f"{process} CPU ms a call, {how}", name, watch.ms(process) / calls)
            for percentile in ("p50", "p99"):
                figures.add(f"prepare {percentile} ms, {how}", name, report["prepare_ms"][percentile])

    def beside(self) -> None:
        """FastAGI calls that come by chance, without anybody else, then while programs ask."""
        alone = self._offered(self.arguments.beside_seconds)
        with ThreadPoolExecutor(1) as pool:
            asking: Future[dict[str, Any]] = pool.submit(
                self.http, at_a_time=API_CONNECTIONS, a_second=ASKED, mix=self._mix(), requests=self.arguments.requests
            )
            reports = []
            while not asking.done():
                reports.append(self._offered(self.arguments.beside_seconds))
            asked = asking.result()
        for percentile in ("p50", "p99"):
            for step in ("prepare", "finish"):
                figure = f"{step} {percentile} ms, {OFFERED} calls/s offered"
                self.waits.add(figure, "alone", alone[f"{step}_ms"][percentile])
                for report in reports:
                    self.waits.add(figure, "beside", report[f"{step}_ms"][percentile])
        self.waits.add("requests/s of the programs", "beside", asked["requests"] / asked["seconds"])
        self.waits.add("p99 ms of the programs", "beside", asked["other_ms"]["p99"])

    def _offered(self, seconds: float) -> dict[str, Any]:
        return self.bench.load(self.engine.port, self.bench.logins("p"), a_second=OFFERED, seconds=seconds)

    def _mix(self) -> list[dict[str, Any]]:
        narayana, form = f"/billing/api/2.2/{self.key}", "Content-Type: application/x-www-form-urlencoded\r\n"
        bearer = f"Authorization: Bearer {self.token}\r\n"

        def asked(method: str, path: str, headers: str, weight: int, body: str = "") -> dict[str, Any]:
            return {"method": method, "path": path, "headers": headers, "body": body, "weight": weight}

        return [
            asked("POST", "call", "", 30),
            asked("POST", f"{narayana}/getTextBalance", form, 20, "login=@login@"),
            asked("POST", f"{narayana}/resolveCallerid", form, 10, "login=@login@"),
            asked("GET", "/api/call_rates?top=20", bearer, 10),
            asked("GET", "/api/tenant/billing", bearer, 10),
            asked("GET", "/api/subscribers?limit=20", bearer, 10),
            asked("GET", "/api/cdrs?limit=20", bearer, 10),
        ]


def tables(bench: HttpBench, form: str) -> None:
    """What was measured."""
    print_table("Calls by HTTP (Narayana) beside FastAGI, one worker", ["", "HTTP", "FastAGI", "ratio", "aim", "kept"],
                against(bench.calls, {}, now="HTTP", then="FastAGI"), form)  # fmt: skip
    aims = {f"{step} p99 ms, {OFFERED} calls/s offered": P99_AIM for step in ("prepare", "finish")}
    print_table(f"FastAGI calls while programs ask {bench.arguments.requests:,} things over HTTP, one worker",
                ["", "beside them", "alone", "ratio", "aim", "kept"],
                against(bench.waits, aims, now="beside", then="alone"), form)  # fmt: skip


def main() -> None:
    """Parse the flags, measure in turns, print; exit status 0 when the ledger is balanced."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="of everything, in turn")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--beside-seconds", type=float, default=10.0, help="of FastAGI alone, for its p99")
    parser.add_argument("--requests", type=int, default=10_000, help="that programs make")
    parser.add_argument("--at-a-time", type=int, nargs="+", default=AT_A_TIME, help="calls in flight")
    parser.add_argument("--logins", type=int, default=LOGINS, help="with an account each")
    parser.add_argument("--numbers", type=int, default=NUMBERS, help="that are called")
    parser.add_argument("--readme", action="store_true", help="put the tables into README.md")
    arguments = parser.parse_args()
    arguments.parts = []
    with tempfile.TemporaryDirectory(prefix="rating-bench-") as name, both(alone=True) as sides:
        sides[0].settings["address_requests_per_minute"] = 0  # all programs are at one address here
        calls = Bench(arguments, sides, Path(name))
        calls.build()
        bench = HttpBench(calls, sides[0], arguments, Path(name))
        for number in range(arguments.rounds):
            calls.say("surfaces", number)
            for at_a_time in arguments.at_a_time:
                bench.surfaces(at_a_time)
            calls.say("beside", number)
            with cpu.before_others():
                bench.beside()
        sides[0].stop()
        balanced = sides[0].balanced()
    tables(bench, SCREEN)
    if arguments.readme:
        into_readme("http", lambda: tables(bench, MARKDOWN))
    for outcome, count in {**calls.declined, **bench.told}.items():
        print(f"not done: {outcome}: {count:,}")
    print("ledger: balanced" if balanced else "ledger: NOT balanced")
    sys.exit(0 if balanced else 1)


if __name__ == "__main__":
    main()
