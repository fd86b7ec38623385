"""Every use case in one place: what the command line, HTTP surfaces and pages are given, and ask.

Law: nobody asks as nobody. `Services` is made once a process; `of(principal)` is what one asker can do, and what it
changes stands in the audit log under its name.
"""

from __future__ import annotations

from dataclasses import dataclass

from rating_engine.domain.principal import Principal
from rating_engine.services.numbers.numbering import Numbering
from rating_engine.services.parties.accounts import Accounts
from rating_engine.services.routes.figures import RouteReports
from rating_engine.services.routes.routes import Routes
from rating_engine.services.tariffs.bands import Bands
from rating_engine.services.tariffs.directions import Directions
from rating_engine.services.tariffs.exchange import Exchange
from rating_engine.services.tariffs.options import Options
from rating_engine.services.tariffs.packages import Packages
from rating_engine.services.tariffs.settings import Tariffs
from rating_engine.storage.postgres.pool import Database


@dataclass(frozen=True, slots=True)
class UseCases:
    """What one principal asks. Light: made anew for each request."""

    accounts: Accounts
    tariffs: Tariffs
    bands: Bands
    packages: Packages
    options: Options
    exchange: Exchange
    directions: Directions
    numbering: Numbering
    routes: Routes
    route_reports: RouteReports


@dataclass(frozen=True, slots=True)
class Ways:
    """How the engine's settings have it: what the use cases need to know of them."""

    ledger_buckets: int
    international_prefix: str
    route_quality_window_seconds: int


class Services:
    """The use cases of one process over its office database."""

    def __init__(self, office: Database, ways: Ways) -> None:
        self._office = office
        self._ways = ways

    def of(self, principal: Principal) -> UseCases:
        """What `principal` can ask."""
        office, ways = self._office, self._ways
        return UseCases(
            accounts=Accounts(office, principal, buckets=ways.ledger_buckets),
            tariffs=Tariffs(office, principal),
            bands=Bands(office, principal),
            packages=Packages(office, principal),
            options=Options(office, principal),
            exchange=Exchange(office, principal),
            directions=Directions(office, principal),
            numbering=Numbering(office, principal),
            routes=Routes(office, principal),
            route_reports=RouteReports(office, window_seconds=ways.route_quality_window_seconds),
        )
