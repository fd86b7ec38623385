"""What the call benchmarks stand on: embedded servers with fsync on, a real deck, accounts, engines, and pgbench."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg

from rating_engine.demo.deck import write_demo_deck
from rating_engine.embedded import EmbeddedServers
from rating_engine.process.engine_process import EngineProcess
from rating_engine.services.decks.importing import import_deck
from rating_engine.services.doctor import ledger_balanced
from rating_engine.storage.postgres.migrate import migrate
from rating_engine.storage.postgres.pool import Database

HERE = Path(__file__).parent
# Numbers to call, distinct, their prefixes as popular as words are (Zipf): a few get most calls, many get some.
NUMBERS_CALLED = 50_000

ACCOUNTS = """
    WITH account AS (
        INSERT INTO accounts (bucket, currency) SELECT 0, 'EUR' FROM generate_series(1, $1) RETURNING account_id
    ), numbered AS (
        SELECT account_id, row_number() OVER (ORDER BY account_id) - 1 AS n FROM account
    )
    INSERT INTO subscribers (login, bucket, account_id, tariff_id)
    SELECT 'b' || n, 0, account_id, (SELECT tariff_id FROM tariffs WHERE name = 'bench') FROM numbered
"""

SECOND_LOGIN = """
    INSERT INTO subscribers (login, bucket, account_id, tariff_id)
    SELECT 'b0', bucket, account_id, tariff_id FROM subscribers WHERE login = 'hot'
"""

CONNECTIONS = 4_000  # above any --at-a-time asked for; the default fits a process of 1,024 descriptors

# One reserve and one settle, each a transaction and a batch of one: what an engine without group commit does.
PGBENCH = """
\\set n random(0, {accounts} - 1)
\\set id random(1, 1000000000000)
SELECT account_id + :n AS account, s.subscriber_id + :n AS subscriber, s.tariff_id AS tariff, t.version AS version
  FROM subscribers s JOIN tariffs t USING (tariff_id) WHERE login = 'b0' \\gset
SELECT reserve_v2(0::smallint, ARRAY[ROW(
  'pgbench/' || :client_id || '.' || :id || '/1', :account, :subscriber, 1,
  ARRAY[:tariff]::bigint[], ARRAY[:version],
  0.001, 1.5, 0.02, false, 3600, 4200, 'pgbench', 1, '', '79010000001', 'RussiaMobile', '7901', :tariff, 1,
  '{{"interval_1":60,"price_1":"0.02","price_unit":"minute"}}', 'default', '', now(), '', '', '', NULL,
  '{{}}', NULL, NULL)]::reserve_request_v2[]);
SELECT settle_v2(0::smallint, ARRAY[ROW(
  'pgbench/' || :client_id || '.' || :id || '/1', :account, 61, 61, 0.02033, 'ANSWER', 16, 'finish',
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
  0, '{{}}', NULL, NULL)]::settle_request_v2[]);
"""


class World:
    """Servers with a deck and accounts, for as long as the benchmark lasts."""

    def __init__(self, servers: EmbeddedServers, directory: Path, accounts: int) -> None:
        self.servers = servers
        self.directory = directory
        self.accounts = accounts
        self.prefixes = 0
        self.numbers = directory / "numbers"

    async def build(self) -> None:
        """Schema, a deck of real prefixes, accounts with money, and numbers to call."""
        await migrate(self.servers.database_url)
        deck = self.directory / "deck.csv"
        self.prefixes = write_demo_deck(deck)
        await self.import_deck(deck)
        connection = await asyncpg.connect(self.servers.database_url)
        await connection.execute(ACCOUNTS, self.accounts)
        await connection.execute("UPDATE subscribers SET login = 'hot' WHERE login = 'b0'")
        await connection.execute(SECOND_LOGIN)
        await connection.execute("SELECT post_entry_v2(0::smallint, account_id, 'topup', 1000000, NULL) FROM accounts")
        prefixes = [row[0] for row in await connection.fetch("SELECT prefix FROM rates ORDER BY prefix")]
        chooser = random.Random(1)
        chooser.shuffle(prefixes)
        weights = [1 / rank for rank in range(1, len(prefixes) + 1)]
        called = chooser.choices(prefixes, weights, k=NUMBERS_CALLED)
        self.numbers.write_text("\n".join(f"{prefix}{chooser.randrange(10**6):06}"[:15] for prefix in called))
        await connection.execute("VACUUM ANALYZE")
        await connection.close()

    async def import_deck(self, deck: Path) -> None:
        """Publish a deck under the tariff `bench`."""
        await import_deck(self.servers.database_url, deck, "bench", currency="EUR")

    async def engine(self, workers: int) -> EngineProcess:
        """A running engine, logging as it does in production."""
        settings: dict[str, str | int | float] = {
            "database_url": self.servers.database_url,
            "redis_url": self.servers.redis_url,
            "fastagi_max_connections": CONNECTIONS,
        }
        if workers > 1:
            settings |= {"workers": workers, "fastagi_port": free_port(), "http_port": free_port()}
        engine = EngineProcess("engine", self.directory, settings)
        await engine.start()
        return engine

    async def balanced(self) -> bool:
        """Whether every money law holds; prints what does not."""
        database = Database(self.servers.database_url, timeout_seconds=600)
        await database.open()
        findings = await ledger_balanced(database)
        await database.close()
        for finding in findings:
            print(finding.what)
        return not findings

    def pgbench(self, seconds: float, clients: int) -> float:
        """Pairs of reserve and settle a second by pgbench, each of the two a durable transaction."""
        script = self.directory / "pgbench.sql"
        script.write_text(PGBENCH.format(accounts=self.accounts))
        command = [
            self.servers.postgres_bin / "pgbench", "-n", "-M", "prepared", "-f", script, "-c", str(clients), "-j", "2",
            "-T", str(max(1, round(seconds))), self.servers.database_url,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"pgbench: {done.stderr}")
        return float(re.search(r"tps = ([0-9.]+)", done.stdout)[1])  # type: ignore[index]


@contextlib.contextmanager
def servers(accounts: int) -> Iterator[World]:
    """Embedded servers in a temporary directory; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="rating-bench-") as name:
        os.chmod(name, 0o755)
        with EmbeddedServers() as embedded:
            yield World(embedded, Path(name), accounts)


@contextlib.contextmanager
def null_server(processes: int) -> Iterator[int]:
    """So many do-nothing FastAGI servers on one port."""
    port = free_port()
    command = [sys.executable, HERE / "null_server.py", str(port)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(processes)]
    try:
        for process in running:
            assert process.stdout is not None
            process.stdout.readline()
        yield port
    finally:
        for process in running:
            process.terminate()
            process.wait()


async def load(port: int, seconds: float, at_a_time: int, clients: int, world: World, *extra: str) -> dict[str, Any]:
    """Calls a second over `clients` load processes, each with its share of `at_a_time`."""
    command = [
        sys.executable, str(HERE / "load.py"), "--port", str(port), "--seconds", str(seconds),
        "--calls-at-a-time", str(at_a_time // clients), "--numbers", str(world.numbers),
        "--logins", str(world.accounts),
    ]  # fmt: skip
    processes = [
        await asyncio.create_subprocess_exec(
            *command, "--seed", str(random.randrange(10**9)), *extra, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(clients)
    ]
    reports = [json.loads((await process.communicate())[0]) for process in processes]
    outcomes: dict[str, int] = {}
    for report in reports:
        for outcome, count in report["outcomes"].items():
            outcomes[outcome] = outcomes.get(outcome, 0) + count
    return {
        "calls_per_second": sum(report["calls"] / report["seconds"] for report in reports),
        "prepare_ms": reports[0]["prepare_ms"],
        "finish_ms": reports[0]["finish_ms"],
        "outcomes": outcomes,
    }


def free_port() -> int:
    """A loopback port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
