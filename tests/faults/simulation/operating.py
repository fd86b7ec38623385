"""The operator during a run: top-ups (said twice, now and then), limits, blocks, and new prices."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from tests.faults.simulation.agenda import Agenda, Question
from tests.faults.simulation.stage import Stage
from tests.faults.simulation.world import other_prices
from tests.support.auditor_nouns import UNKNOWN, ZERO, Account, Answer, TopUp

AGAIN_SECONDS = 20  # until a top-up is said again that nobody answered
TOP_UP_CENTS = 600  # at most: money is to be scarce
RETRIES_MAX = 50  # more than the longest outage lasts


class Operating:
    """`put_in`: what came into the books, as the operator was told."""

    def __init__(self, stage: Stage, rng: random.Random, agenda: Agenda, note: Callable[[str], None]) -> None:
        self.put_in = ZERO
        self._stage = stage
        self._rng = rng
        self._agenda = agenda
        self._note = note
        self._references = 0
        self._told: set[str] = set()

    async def act(self) -> None:
        """One thing, drawn."""
        accounts = self._stage.auditor.books.every_account()
        busy = [account for account in accounts if account.open_calls]
        account = self._rng.choice(busy if busy and self._rng.random() < 0.7 else accounts)
        match self._rng.randrange(10):
            case 0 | 1 | 2 | 3 | 4:
                self._top_up(account)
            case 5:
                engines = len(self._stage.engines)
                told = [number for number in range(engines) if self._rng.random() < 0.8]
                await self._stage.publish(other_prices(self._rng), told)
                self._note(f"new prices, told to engines {told}")
            case 6:
                await self._block(account.name, active=False)
                self._agenda.after(self._rng.randrange(5, 600), lambda: self._block(account.name, active=True))
            case 7:
                login = self._rng.choice(sorted(self._stage.auditor.subscribers))
                await self._block_subscriber(login, active=False)
                self._agenda.after(self._rng.randrange(5, 600), lambda: self._block_subscriber(login, active=True))
            case 8:
                await self._change(replace(account, overdraft=self._credit(account)))
            case _:
                await self._change(self._limits(account))

    async def _change(self, account: Account) -> None:
        await self._stage.operator.change_account(account)
        self._note(f"changed: {account}")

    async def _block(self, name: str, *, active: bool) -> None:
        await self._change(replace(self._stage.auditor.books.account(name), active=active))

    async def _block_subscriber(self, login: str, *, active: bool) -> None:
        subscriber = replace(self._stage.auditor.subscribers[login], active=active)
        await self._stage.operator.change_subscriber(subscriber)
        self._note(f"changed: {subscriber}")

    def _credit(self, account: Account) -> Decimal | None:
        """Another overdraft, never so low that the account would owe more than it may."""
        auditor = self._stage.auditor
        least = max(auditor.books.reserved(account) - account.balance, ZERO)
        if account.name.startswith("unlimited") and self._rng.random() < 0.5:
            return None
        if account.overdraft is None and not account.name.startswith("unlimited"):
            return None
        return least + self._rng.randrange(4)

    def _limits(self, account: Account) -> Account:
        rng = self._rng
        match rng.randrange(4):
            case 0:
                return replace(account, max_calls=rng.choice((None, None, 2, 5)))
            case 1:
                return replace(account, quota=rng.choice((None, True, False)))
            case 2:
                return replace(account, max_call_seconds=rng.choice((None, None, 30, 400)))
            case _ if account.name in ("daily", "debtor", "unlimited"):
                return replace(account, daily_limit=rng.choice((None, Decimal(3), Decimal(20))))
            case _:
                return account

    def _top_up(self, account: Account) -> None:
        self._references += 1
        asked = TopUp(
            account.name, Decimal(self._rng.randrange(1, TOP_UP_CENTS)).scaleb(-2), f"invoice {self._references}"
        )
        self._post(asked)
        if self._rng.random() < 0.3:
            self._post(asked, delay=self._rng.choice((0, 1, 500)))
        if self._rng.random() < 0.05:
            self._post(replace(asked, amount=asked.amount + 1), delay=1_000)

    def _post(self, asked: TopUp, delay: int = 0, tries: int = 0) -> None:
        def heard(answer: Answer) -> None:
            if answer == UNKNOWN and tries < RETRIES_MAX:
                self._post(asked, AGAIN_SECONDS, tries + 1)
            elif answer[0] in ("posted", "repeated") and asked.reference not in self._told:
                self._told.add(asked.reference)
                self.put_in += asked.amount

        self._agenda.after(delay, Question(self._rng.randrange(len(self._stage.engines)), asked, heard))
