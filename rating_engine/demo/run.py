"""`rating-engine demo`: the whole engine on servers of its own, a few hundred calls, and the proof of its ledger.

Law: it leaves nothing running and nothing on disk, however it ends; only the log that explains a failure stays.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Final

from rich.console import Console

from rating_engine.demo.calls import ACCOUNTS, LINES, SPEED, Exchange, PlacedCall, plan_calls
from rating_engine.demo.deck import write_demo_deck
from rating_engine.demo.errors import DemoError, DemoFailedError
from rating_engine.demo.report import States, account_table, latency_table, outcome_table, problems, reason_table
from rating_engine.demo.screen import Screen
from rating_engine.demo.surfaces import show_surfaces
from rating_engine.domain.account import AccountKind, AccountState, NewAccount
from rating_engine.domain.change import LEAVE
from rating_engine.domain.principal import OPERATOR
from rating_engine.embedded import EmbeddedServers
from rating_engine.engine.services import migrate_database, open_services
from rating_engine.process.engine_process import HOST, EngineProcess
from rating_engine.services.catalogue import UseCases
from rating_engine.services.decks.decks import Decks
from rating_engine.services.doctor import Doctor
from rating_engine.services.parties.accounts import Accounts
from rating_engine.settings.model import Settings

TARIFF: Final = "retail"


def run_demo(calls: int, seed: int, *, out: Console, err: Console, picture: Path | None = None) -> None:
    """The whole demo; `picture` is where to draw what was shown (`out` has to record then).

    Errors: DemoFailedError, and those of every part.
    """
    screen = Screen(out, err)
    began = time.monotonic()
    with working_directory(err) as directory, started_servers(screen) as servers:
        screen.step("PostgreSQL and Valkey started, on free ports of this machine")
        asyncio.run(_Demo(screen, servers, directory).run(calls, seed))
    screen.say(f"[dim]{time.monotonic() - began:.0f} s; nothing of it runs any more[/]")
    screen.say(next_steps(own_name()))
    if picture is not None:
        screen.draw(picture)


def write_deck(path: Path) -> int:
    """Write the demo's deck as CSV; returns how many rates. Errors: DemoError."""
    try:
        return write_demo_deck(path)
    except ImportError as error:
        raise DemoError(f"{error}: say pip install 'rating-engine[embedded]'") from error
    except OSError as error:
        raise DemoError(f"{path}: {error.strerror}") from error


def next_steps(command: str) -> str:
    """What to type to go on with a real Asterisk."""
    return f"""
[bold]Go on with an engine that stays:[/]
  {command} serve --embedded
[bold]and in another terminal:[/]
  {command} demo --save-deck deck.csv
  {command} rates import deck.csv --tariff {TARIFF}
  {command} account create --login 1001 --tariff {TARIFF} --balance 5
  {command} call --login 1001 442079460123 --seconds 61
  {command} account statement 1001
For a real Asterisk, paste config/asterisk/extensions.conf into its dialplan."""


def own_name() -> str:
    """How this program is called from where the user is."""
    name = Path(sys.argv[0])
    found = shutil.which(name.name)
    if found is not None and Path(found).resolve() == name.resolve():
        return name.name
    with contextlib.suppress(ValueError):
        return str(name.absolute().relative_to(Path.cwd()))
    return str(name)


class _Demo:
    """One run on started servers. `run` is the whole; the rest are its steps."""

    def __init__(self, screen: Screen, servers: EmbeddedServers, directory: Path) -> None:
        self._screen = screen
        self._servers = servers
        self._directory = directory

    async def run(self, calls: int, seed: int) -> None:
        """From an empty database to a proven ledger. Errors: DemoFailedError, and those of every part."""
        await migrate_database(self._servers.database_url)
        urls = {"database_url": self._servers.database_url, "redis_url": self._servers.redis_url}
        async with open_services(Settings.model_validate(urls)) as services:
            asked = services.of(OPERATOR)
            prefixes = await self._import_deck(asked.decks)
            before = await self._create_accounts(asked.accounts)
            placed, surfaces = await self._place(calls, prefixes, seed, asked)
            after = {account.login: await asked.accounts.show(account.login) for account in ACCOUNTS}
            self._show(placed, before, after)
            await self._prove(asked.doctor, problems(placed, before, after))
            self._screen.say(f"[bold green]{surfaces}[/]")

    async def _import_deck(self, decks: Decks) -> list[str]:
        """Import the demo's deck; returns its prefixes."""
        deck = self._directory / "deck.csv"
        await asyncio.to_thread(write_deck, deck)
        with self._screen.import_bar() as show:
            report = await decks.import_file(deck, TARIFF, on_progress=show)
        self._screen.step(f"{report.taken:,} rates of {report.directions:,} directions imported as tariff {TARIFF}")
        with deck.open(encoding="utf-8", newline="") as file:
            return [row["prefix"] for row in csv.DictReader(file)]

    async def _create_accounts(self, accounts: Accounts) -> dict[str, AccountState]:
        states = {
            account.login: await accounts.create(
                NewAccount(
                    account.login,
                    TARIFF,
                    balance=Decimal(account.balance),
                    overdraft=LEAVE if account.overdraft is None else Decimal(account.overdraft),
                    kind=AccountKind.POSTPAID if account.postpaid else AccountKind.PREPAID,
                    max_calls=account.max_calls,
                )
            )
            for account in ACCOUNTS
        }
        self._screen.step(f"{len(states)} accounts created")
        return states

    async def _place(self, count: int, prefixes: list[str], seed: int, asked: UseCases) -> tuple[list[PlacedCall], str]:
        """Place the calls against an engine process, which is drained and gone afterwards; and one over HTTP."""
        urls = {"database_url": self._servers.database_url, "redis_url": self._servers.redis_url}
        engine = EngineProcess("engine", self._directory, urls)
        try:
            await engine.start()
            self._screen.step(f"rating-engine serve answers on agi://{HOST}:{engine.fastagi_port}")
            with self._screen.calls_bar(count) as show:
                exchange = Exchange(HOST, engine.fastagi_port, show)
                await exchange.place(plan_calls(count, prefixes, seed))
            surfaces = await show_surfaces(asked, HOST, engine.http_port)
        finally:
            await engine.stop()
        self._screen.step(f"{count:,} calls placed, {LINES} at a time, on a clock {SPEED} times as fast")
        return exchange.placed, surfaces

    def _show(self, placed: list[PlacedCall], before: States, after: States) -> None:
        self._screen.tables(
            outcome_table(placed), reason_table(placed), account_table(placed, before, after), latency_table(placed)
        )
        twice = [call for call in placed if call.told_twice]
        if twice:
            self._screen.say(f"\nThe end of {len(twice)} calls was told twice; each was charged once.\n")

    async def _prove(self, doctor: Doctor, found: list[str]) -> None:
        """Say the money laws that hold, and fail if one does not or `found` is not empty."""
        async for check in doctor.prove_laws():
            if not check.findings:
                self._screen.step(check.claim, timed=False)
            found += [f"{finding.what} ({check.name})" for finding in check.findings]
        if found:
            raise DemoFailedError("\n".join(["not as it must be:", *found]))
        self._screen.step("what the exchange was told that the calls cost = what the balances lost", timed=False)
        self._screen.say("[bold green]ledger: balanced[/]")


@contextlib.contextmanager
def started_servers(screen: Screen) -> Iterator[EmbeddedServers]:
    """PostgreSQL and Valkey on temporary data, stopped and removed afterwards. Errors: EmbeddedError."""
    servers = EmbeddedServers()
    try:
        with screen.waiting("starting PostgreSQL and Valkey"):
            servers.start()
        yield servers
    finally:
        servers.stop()


@contextlib.contextmanager
def working_directory(err: Console) -> Iterator[Path]:
    """A directory for the deck and the engine's files, removed afterwards; after a failure its logs stay."""
    directory = Path(tempfile.mkdtemp(prefix="rating-engine-demo-"))
    log_is_wanted = False
    try:
        yield directory
    except Exception:
        log_is_wanted = True
        raise
    finally:
        logs = list(directory.glob("*.log")) if log_is_wanted else []
        for file in directory.iterdir():
            if file.is_dir():
                shutil.rmtree(file)
            elif file not in logs:
                file.unlink()
        for log in logs:
            err.print(f"the engine's log: {log}", highlight=False, soft_wrap=True)
        if not logs:
            directory.rmdir()
