"""One query whose asker and arguments are known: what a method is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from rating_engine.api.narayana.arguments import Values
from rating_engine.api.narayana.errors import Code, Failure
from rating_engine.domain.account import ListedSubscriber
from rating_engine.domain.api_key import ApiKey, KeyKind
from rating_engine.domain.outcomes import (
    BalanceOutcome,
    CallKey,
    Claim,
    FinishCall,
    FinishOutcome,
    PrepareCall,
    PrepareOutcome,
)
from rating_engine.domain.party import Party
from rating_engine.domain.principal import Principal
from rating_engine.services.catalogue import Services, UseCases


class CallCharging(Protocol):
    """What callPrepare and callFinish ask; a broken database is an answer."""

    async def prepare_call(self, call: PrepareCall) -> PrepareOutcome:
        """May this call start, and for how long?"""

    async def balance(self, login: str, call: PrepareCall | None = None) -> BalanceOutcome:
        """The account's money, and how long `call` would last on it, or why it may not be made."""

    async def finish_call(self, call: FinishCall) -> FinishOutcome:
        """Charge a call that ended, exactly once."""

    async def abandon_call(self, call_key: CallKey, login: str, claim: Claim | None = None) -> object:
        """Give back what is held for an answer that nobody heard."""


@dataclass(frozen=True)
class Asked:
    """`line`: the extension that the query names, where its key authorises by that. `secret`: the key as it stands in
    the path. `names`: what was given, arguments or not; `given`: as it was written. `is_gone`: whether who asked
    has left.
    """

    values: Values
    asking: Principal
    key: ApiKey
    line: str | None
    services: Services
    charging: CallCharging
    names: frozenset[str]
    is_gone: Callable[[], Awaitable[bool]]
    secret: str = field(repr=False)
    given: Mapping[str, str] = field(default_factory=dict, repr=False)

    @cached_property
    def use(self) -> UseCases:
        """What the asker can ask; made when it is asked for, since a call needs none of it."""
        return self.services.of(self.asking)

    async def user(self) -> Party:
        """Who asks, as it is now."""
        return await self.use.parties.show(self.who)

    def check_carriers_key(self, method: str) -> None:
        """For server keys, and keys that are for this method: that of an application is public. Raises Failure."""
        if self.key.kind is not KeyKind.SERVER and method not in self.key.methods:
            raise Failure(Code.E_INSUFFICIENT_ACCESS, "takes a server key, or one that is for this method")

    @property
    def who(self) -> int:
        """Its number. Raises Failure where nobody is named."""
        if self.asking.party_id is None:
            raise Failure(Code.E_AUTH_FAILED, "nobody is named")
        return self.asking.party_id

    async def main_line(self) -> ListedSubscriber | None:
        """The extension that is named, else the user's first; None: it has none."""
        return await self.use.accounts.line(self.who, self.line)

    async def needed_line(self) -> str:
        """The extension that calls. Raises Failure (E_NOT_EXIST)."""
        if self.line is not None:
            return self.line
        line = await self.main_line()
        if line is None:
            raise Failure(Code.E_NOT_EXIST, "the user has no extension")
        return line.login


Answer = Any  # True: done; a text; or a list or an object of JSON
Handler = Callable[[Asked], Awaitable[Answer]]
