"""`rating-engine doctor`: is the money right, and can calls be served?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from agi.channel_variables import RATING_QUOTA
from agi.dialplan_check import check_dialplan, unsafe_values
from rating_engine.cli.common import (
    EXIT_FAILED,
    CommandError,
    ConfigOption,
    JsonOption,
    load_settings,
    open_database,
    out,
    print_json,
    run,
)
from rating_engine.services.doctor import Check, Finding, Probe, examine
from rating_engine.services.outage.spool_report import spool_findings
from rating_engine.settings.model import Settings
from rating_engine.settings.spool_directory import spool_directory
from rating_engine.storage.calls.exchange_watch import unwatched_exchanges
from rating_engine.storage.decks.rate_cache import RateCache
from rating_engine.storage.laws import dialplan_values
from rating_engine.storage.parties.offline import offline_accounts
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.schema_state import problem_of
from rating_engine.storage.secrets import NEW_SECRET, rate_cache_secret

ASTERISK_DIALPLAN = Path("/etc/asterisk/extensions.conf")  # where Asterisk's packages keep it


def doctor(
    dialplan: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=f"Dialplan to check; {ASTERISK_DIALPLAN} if it is there and calls us."),
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Prove the money laws over the whole database, and check connections, configuration and dialplan.

    Prints what is wrong and how to mend it; exit status 1 if anything is.
    """

    async def work() -> list[Check]:
        settings = load_settings(config)
        async with open_database(settings) as database:
            checks = []
            async for check in examine(database, _probes(settings, database, dialplan)):
                checks.append(check)
                if not json:
                    _print_check(check)
            return checks

    checks = run(work())
    wrong = sum(len(check.findings) for check in checks)
    if json:
        print_json({"clean": not wrong, "checks": [_check_json(check) for check in checks]})
    elif wrong:
        out.print(f"\n[bold red]{wrong} found[/]", highlight=False)
    else:
        out.print("\n[bold green]clean[/]: every check holds", highlight=False)
    if wrong:
        raise typer.Exit(EXIT_FAILED)


def _probes(settings: Settings, database: Database, dialplan: Path | None) -> dict[str, tuple[str, Probe]]:
    async def schema() -> list[Finding]:
        problem = await problem_of(database)
        return [Finding(problem.what, problem.mend)] if problem else []

    directory = spool_directory(settings.spool_dir, settings.database_url)

    async def spool() -> list[Finding]:
        return spool_findings(directory, settings.spool_max_bytes)

    async def offline() -> list[Finding]:
        if settings.on_database_down != "allow_postpaid":
            return []
        known = await offline_accounts(database, settings.allow_postpaid_logins)
        missing = [login for login in settings.allow_postpaid_logins if login not in known]
        mend = "only active postpaid accounts may call then: mend allow_postpaid_logins or the account"
        return [Finding(f"{login} may not call while PostgreSQL is away", mend) for login in missing]

    async def quota() -> list[Finding]:
        found = await unwatched_exchanges(database, quota_by_default=settings.reservation_mode == "quota")
        mend = "name it in ami_exchanges, as its calls do, and mend its manager.conf; until then calls reserve in full"
        findings = [
            Finding(f"exchange {exchange} is not watched, and {accounts} accounts in quota mode call from it", mend)
            for exchange, accounts in found
        ]
        text = _dialplan_text(dialplan)
        if settings.ami_exchanges and text and RATING_QUOTA not in text:
            problem = f"the dialplan does not know {RATING_QUOTA}: it cuts calls in quota mode after their first slice"
            findings.append(Finding(problem, "take config/asterisk/extensions.conf as this engine brings it"))
        return findings

    async def values() -> list[Finding]:
        named = [("default_route", settings.default_route_name), ("default_route", settings.default_route_prefix)]
        found = unsafe_values([*named, *await dialplan_values(database)])
        return [Finding(problem, "use letters, digits and _ . - / @ : only") for problem in found]

    async def pasted() -> list[Finding]:
        return [Finding(problem, mend) for problem, mend in check_dialplan(_dialplan_text(dialplan))]

    return {
        "schema": ("the schema is this engine's", schema),
        "redis": ("Redis answers, where one is configured", lambda: _redis_findings(settings, database)),
        "spool": ("no finish waits on disk, and nothing there needs a person", spool),
        "offline": ("who may call while PostgreSQL is away has the account for it", offline),
        "quota": ("exchanges whose callers reserve in slices are watched", quota),
        "dialplan values": ("routes and caller ids reach the dialplan as they are", values),
        "dialplan": ("the dialplan lets no call through without a limit, and reports every end", pasted),
    }


async def _redis_findings(settings: Settings, database: Database) -> list[Finding]:
    if not settings.redis_url:
        return []
    cache = RateCache(settings.redis_url, lambda: rate_cache_secret(database))
    await cache.open()
    down = cache.down
    await cache.close()
    mend = "start it, or empty redis_url; rates are only slower without"
    findings = [Finding(f"Redis: {down}", mend)] if down else []
    if await rate_cache_secret(database) is None:
        problem = "engine_secrets has no rate_cache: what is kept in Redis cannot be sealed, so it is not used"
        findings.append(Finding(problem, f"by psql: {NEW_SECRET}"))
    return findings


def _dialplan_text(named: Path | None) -> str:
    """The dialplan to check; empty where there is none, or the usual one never asks the engine."""
    try:
        if named is not None:
            return named.read_text(encoding="utf-8", errors="replace")
        text = ASTERISK_DIALPLAN.read_text(encoding="utf-8", errors="replace") if ASTERISK_DIALPLAN.is_file() else ""
    except OSError as error:
        if named is None:
            return ""
        raise CommandError(f"--dialplan {named}: {error.strerror}") from error
    return text if "callPrepare" in text else ""


def _print_check(check: Check) -> None:
    mark = "[bold red]✗[/]" if check.findings else "[green]✓[/]"
    out.print(f"{mark} [bold]{check.name}[/]: {check.claim}", highlight=False, soft_wrap=True)
    for finding in check.findings:
        out.print(f"    {finding.what}", highlight=False, markup=False, soft_wrap=True)
        out.print(f"    → {finding.mend}", highlight=False, markup=False, soft_wrap=True, style="dim")


def _check_json(check: Check) -> dict[str, Any]:
    findings = [{"what": finding.what, "mend": finding.mend} for finding in check.findings]
    return {"name": check.name, "claim": check.claim, "findings": findings}
