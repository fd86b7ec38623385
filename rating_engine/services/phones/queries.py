"""Queries of people to exchanges, by their manager interface."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping

from rating_engine.domain.errors import NotAllowed, Refused, Unavailable
from rating_engine.domain.exchange_query import QueryFailed, query_of
from rating_engine.domain.party import Level
from rating_engine.domain.principal import Principal
from rating_engine.domain.sip_account import NoSuchExchange
from rating_engine.storage.audit_log import record
from rating_engine.storage.phones.exchanges import exchange_called
from rating_engine.storage.postgres.pool import Database

# The answer to an action of the exchange that has one of these names or hosts; None: none has such an interface.
# Errors: Unavailable, Refused.
AskExchange = Callable[[Collection[str], str, Mapping[str, str]], Awaitable[Mapping[str, str] | None]]


class ExchangeQueries:
    """What one principal asks exchanges."""

    def __init__(self, database: Database, principal: Principal, ask: AskExchange) -> None:
        self._database = database
        self._principal = principal
        self._ask = ask

    async def ask(self, exchange: str, destination: str, process: str, params: str = "") -> str:
        """What an exchange answers; `ok` where there is nothing to say. `exchange`: by name or address.

        Errors: NotAllowed (level), NoSuchExchange, QueryFailed (not in the list; the exchange is away, or refuses).
        """
        query = query_of(destination, process, params)
        who = self._principal
        if who.level < query.least or (query.least >= Level.ADMIN and not who.sees_all):
            raise NotAllowed(f"{destination} {process}: is for who manages the installation")
        known = await self._name_of(exchange)
        try:
            answer = await self._ask({exchange, known or exchange}, query.action, query.fields)
        except (Unavailable, Refused) as error:
            raise QueryFailed(str(error)) from None
        if answer is None and known is None:
            raise NoSuchExchange(f"there is no exchange {exchange[:64]!r}", field="asterisk")
        if answer is None:
            raise QueryFailed(f"exchange {known} has no manager interface in the settings (ami_exchanges)")
        async with self._database.transaction(who) as tx:
            await record(tx, "exchange.query", known or exchange, {"destination": destination, "process": process})
        return " ".join(answer[name] for name in query.shown if answer.get(name)) or "ok"

    async def _name_of(self, exchange: str) -> str | None:
        try:
            return (await exchange_called(self._database, exchange)).name
        except NoSuchExchange:
            return None
