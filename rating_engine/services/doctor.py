"""Proves the money laws over the whole database, and checks what the engine stands on.

Law: a clean doctor means that every law of schema.sql holds for every account, and that calls can be served.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from rating_engine.domain.checkup import Check, Finding
from rating_engine.domain.errors import Hint, RatingEngineError
from rating_engine.domain.look_alikes import look_alikes
from rating_engine.domain.reservation import Suspicion
from rating_engine.domain.totals import Totals
from rating_engine.services.outage.spool_report import spool_findings
from rating_engine.storage import laws as audit
from rating_engine.storage.calls.exchange_watch import recent_call_keys, recent_conflicts, unwatched_exchanges
from rating_engine.storage.calls.live_calls import count_suspicious
from rating_engine.storage.decks.rate_cache import RateCache
from rating_engine.storage.parties.offline import offline_accounts
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.schema_state import SchemaProblem, problem_of
from rating_engine.storage.routes.routes import every_route
from rating_engine.storage.secrets import NEW_SECRET, rate_cache_secret
from rating_engine.storage.totals import totals_of

LEDGER_CHECK: Final = "ledger: "  # the checks named so are the money laws

SUSPICIOUS_HOURS: Final = 24  # what was looked at once is no finding for ever
SUSPICIONS: Final = MappingProxyType(
    {
        Suspicion.TOO_LONG.value: "after their exchange should have cut them",
        Suspicion.UNSEEN.value: "otherwise than their exchange was seen to say",
    }
)

Probe = Callable[[], Awaitable[list[Finding]]]


@dataclass(frozen=True, slots=True)
class Dialplan:
    """What is known of dialplans, which is the business of the layer above.

    `check`: the faults of one, and how to mend each. `check_trunks`: those of the trunks' configuration, of routes so
    named. `unsafe`: of (what it is, value) those that a dialplan would not
    take as they are. `quota_variable`: without it in its text, calls in slices are cut after the first.
    """

    check: Callable[[str], Iterable[tuple[str, str]]]
    check_trunks: Callable[[str, Sequence[str]], Iterable[tuple[str, str]]]
    unsafe: Callable[[Sequence[tuple[str, str]]], Iterable[str]]
    quota_variable: str


@dataclass(frozen=True, slots=True)
class Installation:
    """What the settings say of all that is examined beside the database."""

    redis_url: str
    spool_directory: Path
    spool_max_bytes: int
    offline_logins: Sequence[str]  # that may call while PostgreSQL is away
    quota_by_default: bool
    watches_exchanges: bool
    default_route: tuple[str, str]  # its name and prefix
    dialplan: Dialplan


class Doctor:
    """Examines an installation. Read-only."""

    def __init__(self, database: Database, installation: Installation) -> None:
        self._database = database
        self._installation = installation

    async def examine(self, dialplan: str = "", trunks: str = "") -> AsyncIterator[Check]:
        """Every check in turn: of the installation first, then the money laws.

        `dialplan`, `trunks` (pjsip.conf): their text, with what they include; '': none. Errors: Unavailable, of the
        checks before the laws.
        """
        for name, claim, probe in self._probes(dialplan, trunks):
            yield Check(name, claim, await probe())
        async for check in self.prove_laws():
            yield check

    def prove_laws(self) -> AsyncIterator[Check]:
        """Every money law in turn. One that could not be asked is a finding too."""
        return prove_laws(self._database)

    async def totals(self) -> Totals:
        """What there is, to be held against a copy. Errors: Unavailable."""
        return await totals_of(self._database)

    async def schema_problem(self) -> SchemaProblem | None:
        """Why the schema is not this engine's, or None. Errors: Unavailable."""
        return await problem_of(self._database)

    def _probes(self, dialplan: str, trunks: str) -> tuple[tuple[str, str, Probe], ...]:
        return (
            ("schema", "the schema is this engine's", self._schema),
            ("redis", "Redis answers, where one is configured", self._redis),
            ("spool", "no finish waits on disk, and nothing there needs a person", self._spool),
            ("offline", "who may call while PostgreSQL is away has the account for it", self._offline),
            (
                "quota",
                "exchanges whose callers reserve in slices are watched",
                lambda: self._quota(dialplan),
            ),
            ("exchanges", "each name of an exchange is of one exchange", self._exchanges),
            ("ends", "no end of a call of the last day is for a person to look at", self._ends),
            ("dialplan values", "routes and caller ids reach the dialplan as they are", self._values),
            (
                "dialplan",
                "the dialplan lets no call through without a limit, and reports every end",
                lambda: self._dialplan(dialplan),
            ),
            ("trunks", "no trunk keeps callers waiting, or lets calls run on", lambda: self._trunks(trunks)),
        )

    async def _schema(self) -> list[Finding]:
        problem = await self.schema_problem()
        return [] if problem is None else [Finding(problem.what, problem.mend, problem.hint)]

    async def _redis(self) -> list[Finding]:
        if not self._installation.redis_url:
            return []
        cache = RateCache(self._installation.redis_url, lambda: rate_cache_secret(self._database))
        await cache.open()
        down = cache.down
        await cache.close()
        mend = "start it, or empty redis_url; rates are only slower without"
        findings = [Finding(f"Redis: {down}", mend)] if down else []
        if await rate_cache_secret(self._database) is None:
            problem = "engine_secrets has no rate_cache: what is kept in Redis cannot be sealed, so it is not used"
            findings.append(Finding(problem, f"by psql: {NEW_SECRET}"))
        return findings

    async def _spool(self) -> list[Finding]:
        return spool_findings(self._installation.spool_directory, self._installation.spool_max_bytes)

    async def _offline(self) -> list[Finding]:
        logins = self._installation.offline_logins
        known = await offline_accounts(self._database, logins) if logins else {}
        mend = "only active postpaid accounts may call then: mend allow_postpaid_logins or the account"
        return [
            Finding(f"{login} may not call while PostgreSQL is away", mend) for login in logins if login not in known
        ]

    async def _quota(self, dialplan: str) -> list[Finding]:
        found = await unwatched_exchanges(self._database, quota_by_default=self._installation.quota_by_default)
        mend = "name it in ami_exchanges, as its calls do, and mend its manager.conf; until then no call is lengthened"
        findings = [
            Finding(f"exchange {exchange} is not watched, and {accounts} accounts in quota mode call from it", mend)
            for exchange, accounts in found
        ]
        variable = self._installation.dialplan.quota_variable
        if self._installation.watches_exchanges and dialplan and variable not in dialplan:
            problem = f"the dialplan does not know {variable}: it cuts calls in quota mode after their first slice"
            findings.append(Finding(problem, "take config/asterisk/extensions.conf as this engine brings it"))
        return findings

    async def _exchanges(self) -> list[Finding]:
        found = look_alikes(await recent_call_keys(self._database))
        mend = "name each by RATING_QUERY=?exchange=NAME in its dialplan; until then calls of one key are declined"
        findings = [Finding(f"exchange {exchange}: {why}", mend) for exchange, why in found.items()]
        for exchange, calls, since in await recent_conflicts(self._database):
            problem = f"{calls:,} calls were declined since {since:%Y-%m-%d %H:%M %Z}: another call had their key"
            findings.append(Finding(f"exchange {exchange}: {problem}", mend))
        return findings

    async def _ends(self) -> list[Finding]:
        mend = "look at them; docs/credit-control.md says what each means"
        found = await count_suspicious(self._database, hours=SUSPICIOUS_HOURS)
        return [
            Finding(f"{count} of the last day's calls ended {SUSPICIONS[name]} ({name})", mend, Hint.SEE_SUSPICIOUS)
            for name, count in found.items()
        ]

    async def _values(self) -> list[Finding]:
        named = [("default_route", text) for text in self._installation.default_route]
        found = self._installation.dialplan.unsafe([*named, *await audit.dialplan_values(self._database)])
        return [Finding(problem, "use letters, digits and _ . - / @ : only") for problem in found]

    async def _dialplan(self, dialplan: str) -> list[Finding]:
        return [Finding(problem, mend) for problem, mend in self._installation.dialplan.check(dialplan)]

    async def _trunks(self, trunks: str) -> list[Finding]:
        if not trunks:
            return []
        names = [each.route.name for each in await every_route(self._database) if each.enabled]
        names = names or [self._installation.default_route[0]]
        return [Finding(problem, mend) for problem, mend in self._installation.dialplan.check_trunks(trunks, names)]


async def prove_laws(database: Database) -> AsyncIterator[Check]:
    """Every money law in turn. One that could not be asked is a finding too."""
    for law in audit.LAWS:
        name = LEDGER_CHECK + law.name
        try:
            breaches = await audit.breaches_of(database, law)
        except RatingEngineError as error:
            yield Check(name, law.claim, [Finding(str(error), "mend the database connection first", error.hint)])
        else:
            yield Check(name, law.claim, [Finding(breach.what, breach.mend) for breach in breaches])


async def ledger_balanced(database: Database) -> list[Finding]:
    """Every breach of a money law; empty when the ledger is balanced. Errors: Unavailable."""
    return [
        Finding(breach.what, breach.mend) for law in audit.LAWS for breach in await audit.breaches_of(database, law)
    ]
