"""The least that PostgreSQL does for a call: reserve and settle written by hand as two transactions of one statement.

No rates, packages, routes, limits, laws or repeated requests: what any engine that keeps its books in PostgreSQL pays.
pgbench asks (prepared statements); its pairs a second and the server's CPU a pair stand beside the engine's.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import cpu

from rating_engine.embedded import EmbeddedServers

DATABASE = "bare_pair"
RUN_SECONDS = 120  # it is ended when it has been watched

TABLES = """
CREATE TABLE accounts (account_id bigint PRIMARY KEY, balance numeric NOT NULL, reserved numeric NOT NULL DEFAULT 0);
CREATE TABLE reservations (call_key text PRIMARY KEY, account_id bigint NOT NULL, granted numeric NOT NULL,
                           made_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE cdrs (call_key text PRIMARY KEY, account_id bigint NOT NULL, seconds integer NOT NULL,
                   cost numeric NOT NULL, ended_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE ledger (entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account_id bigint NOT NULL,
                     amount numeric NOT NULL, call_key text NOT NULL);
INSERT INTO accounts SELECT n, 1000000 FROM generate_series(1, 2000) n;
"""

PAIR = """
\\set account random(1, 2000)
\\set id random(1, 1000000000000)
WITH held AS (
    UPDATE accounts SET reserved = reserved + 1.5 WHERE account_id = :account AND balance - reserved >= 1.5
    RETURNING account_id
) INSERT INTO reservations (call_key, account_id, granted)
  SELECT 'bare/' || :client_id || '.' || :id, account_id, 1.5 FROM held;
WITH freed AS (
    DELETE FROM reservations WHERE call_key = 'bare/' || :client_id || '.' || :id
    RETURNING call_key, account_id, granted
), charged AS (
    UPDATE accounts a SET reserved = a.reserved - f.granted, balance = a.balance - 0.02
    FROM freed f WHERE a.account_id = f.account_id RETURNING a.account_id
), entered AS (
    INSERT INTO ledger (account_id, amount, call_key) SELECT f.account_id, -0.02, f.call_key FROM freed f
) INSERT INTO cdrs (call_key, account_id, seconds, cost) SELECT f.call_key, f.account_id, 61, 0.02 FROM freed f;
"""


class BarePair:
    """A database of its own on the servers of a side."""

    def __init__(self, servers: EmbeddedServers, directory: Path) -> None:
        self.servers = servers
        self.script = directory / "bare_pair.sql"
        self.script.write_text(PAIR)
        servers.psql(f"CREATE DATABASE {DATABASE}")
        servers.psql(TABLES, DATABASE)
        servers.psql("VACUUM ANALYZE", DATABASE)

    def measure(self, clients: int, seconds: float) -> tuple[float, float]:
        """(pairs a second, milliseconds of the server's CPU a pair) with so many clients."""
        command = [
            self.servers.postgres_bin / "pgbench", "-n", "-M", "prepared", "-f", self.script, "-c", str(clients),
            "-T", str(RUN_SECONDS), self.servers.postgres.url(DATABASE),
        ]  # fmt: skip
        before = self._pairs()
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while self._pairs() < before + clients:  # all have connected and prepared
                if running.poll() is not None:
                    raise SystemExit(f"pgbench ended with {running.returncode}")
            pairs, counted = self._pairs(), time.perf_counter()
            watch, watched = cpu.Watch(server=self.servers.postgres.pid), time.perf_counter()
            time.sleep(seconds)
            used, window = watch.ms("server"), time.perf_counter() - watched
            a_second = (self._pairs() - pairs) / (time.perf_counter() - counted)
        finally:
            running.terminate()
            running.wait()
        return a_second, used / (a_second * window)

    def _pairs(self) -> int:
        return int(self.servers.psql("SELECT last_value FROM ledger_entry_id_seq", DATABASE))
