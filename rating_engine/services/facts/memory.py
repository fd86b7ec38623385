"""What an engine remembers of the facts calls are planned by: subscribers, tariffs, rates, routes, currencies, numbers.

Law: what is remembered is for speed. An announced change drops it; where announcements may have been missed everything
is dropped; and reserve() refuses a plan that was made from an old subscriber or tariff all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import structlog

from rating_engine.domain.number_lists import ListSide
from rating_engine.domain.tariff import Route
from rating_engine.rating.exchange import ExchangeRates
from rating_engine.rating.numbering import NumberingPlan
from rating_engine.services.facts.books import (
    DEFAULT_ENTRIES,
    NumberingBook,
    PlanBook,
    Remembered,
    RouteBook,
    SubscriberDirectory,
)
from rating_engine.services.facts.rate_lookup import MEMORY_ENTRIES, Level, RateDecks
from rating_engine.services.facts.sources import CallSources
from rating_engine.storage.calls.package_usage import package_states
from rating_engine.storage.decks.rate_cache import RateCache
from rating_engine.storage.numbers.inbound import called_number
from rating_engine.storage.numbers.number_pools import refusal_by_list
from rating_engine.storage.numbers.number_scores import sum_of_scores
from rating_engine.storage.numbers.numbering import load_numbering
from rating_engine.storage.parties.subscribers import SubscriberReader
from rating_engine.storage.phones.known_callers import login_of_caller
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.routes.route_plans import load_plans
from rating_engine.storage.routes.routes import enabled_routes
from rating_engine.storage.tariffs.exchange_rates import load_exchange_rates

DEFAULT_ROUTE: Final = Route("default", "", "", 1)

_log = structlog.get_logger(__name__)


class CallMemory:
    """One for each process; made without I/O, and nothing to close."""

    def __init__(
        self,
        database: Database,
        cache: RateCache | None = None,
        *,
        default_route: Route = DEFAULT_ROUTE,
        international_prefix: str = "00",
        rate_entries: int = MEMORY_ENTRIES,
        subscriber_entries: int = DEFAULT_ENTRIES,
        may_remember: Callable[[], bool] = lambda: True,
        observe_lookup: Callable[[Level], None] = lambda level: None,
    ) -> None:
        """`may_remember`: whether changes are heard, without which what nothing else proves stale is read each time."""
        self._cache = cache
        reader = SubscriberReader(database)
        self.subscribers = SubscriberDirectory(reader.by_login, entries=subscriber_entries)
        self.rate_decks = RateDecks(database, cache, memory_entries=rate_entries, observe_lookup=observe_lookup)
        self.routes = RouteBook(
            lambda: enabled_routes(database, default_route), default_route, may_remember=may_remember
        )
        self.route_plans = PlanBook(lambda: load_plans(database), may_remember=may_remember)
        self.numbering = NumberingBook(
            lambda: load_numbering(database),
            NumberingPlan("", international_prefix=international_prefix),
            may_remember=may_remember,
        )

        async def exchange_rates() -> ExchangeRates:
            return ExchangeRates(await load_exchange_rates(database))

        self.exchange_rates = Remembered(exchange_rates, may_remember=may_remember)
        self.sources = CallSources(
            subscriber=self.subscribers.find,
            tariff=self.rate_decks.tariff,
            rate=self.rate_decks.match_rate,
            row=self.rate_decks.choose_row,
            routes=self.routes.get,
            exchange_rates=self.exchange_rates.get,
            numbering=self.numbering,
            route_plans=self.route_plans,
            packages=lambda bucket, subscriber_id, wanted: package_states(database, bucket, subscriber_id, wanted),
            is_line_of=reader.is_line_of,
            list_refusal=lambda party_id, number: refusal_by_list(database, party_id, ListSide.DESTINATION, number),
            sum_of_scores=lambda subjects: sum_of_scores(database, subjects),
            known_caller=lambda number: login_of_caller(database, number),
            called_number=lambda number: called_number(database, number),
        )

    def changed(self, kind: str, value: str) -> None:
        """Something was announced to have changed."""
        match kind:
            case "tariff":
                self.rate_decks.forget_tariff(int(value))
            case "subscriber":
                self.subscribers.forget(value)
            case "directions":
                self.rate_decks.forget_directions()
            case "routes":
                self.routes.forget()
                self.route_plans.forget()
            case "exchange_rates":
                self.exchange_rates.forget()
            case "numbering":
                self.numbering.forget()
            case "engine_secrets":
                self._forget_secret()
            case _:
                _log.warning("announcement_unknown", kind=kind)

    def forget_caller(self, login: str, tariffs: Iterable[int]) -> None:
        """A plan was made from an old subscriber or tariff: read these anew."""
        self.subscribers.forget(login)
        for tariff_id in tariffs:
            self.rate_decks.forget_tariff(tariff_id)

    def forget_all(self) -> None:
        """What was announced while nobody listened is not known: read everything that may change anew."""
        self.rate_decks.forget_all()
        self.subscribers.forget_all()
        self.routes.forget()
        self.route_plans.forget()
        self.exchange_rates.forget()
        self.numbering.forget()
        self._forget_secret()

    def _forget_secret(self) -> None:
        if self._cache is not None:
            self._cache.forget_secret()
