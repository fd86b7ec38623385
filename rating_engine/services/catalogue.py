"""Every use case in one place: what the command line, HTTP surfaces and pages are given, and ask.

Law: nobody asks as nobody. `Services` is made once a process; `of(principal)` is what one asker can do, and what it
changes stands in the audit log under its name.
"""

from __future__ import annotations

from dataclasses import dataclass

from rating_engine.domain.principal import Principal
from rating_engine.services.cdrs.listing import Cdrs
from rating_engine.services.decks.edits import RateEdits
from rating_engine.services.parties.accounts import Accounts
from rating_engine.services.watch.live_calls import LiveCalls
from rating_engine.storage.postgres.pool import Database


@dataclass(frozen=True, slots=True)
class UseCases:
    """What one principal asks. Light: made anew for each request."""

    accounts: Accounts
    cdrs: Cdrs
    live_calls: LiveCalls
    rate_edits: RateEdits


class Services:
    """The use cases of one process over its office database. `ledger_buckets`: as the engine has it."""

    def __init__(self, office: Database, *, ledger_buckets: int) -> None:
        self.office = office
        self._ledger_buckets = ledger_buckets

    def of(self, principal: Principal) -> UseCases:
        """What `principal` can ask."""
        return UseCases(
            accounts=Accounts(self.office, principal, buckets=self._ledger_buckets),
            cdrs=Cdrs(self.office, buckets=self._ledger_buckets),
            live_calls=LiveCalls(self.office, principal, buckets=self._ledger_buckets),
            rate_edits=RateEdits(self.office, principal),
        )
