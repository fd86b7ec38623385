"""`rating-engine doctor`: is the money right, and can calls be served?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rating_engine.cli.common import (
    EXIT_FAILED,
    CommandError,
    ConfigOption,
    JsonOption,
    print_json,
    reported_errors,
    say,
    with_services,
)
from rating_engine.cli.hints import hint_words
from rating_engine.domain.checkup import Check, Finding
from rating_engine.services.catalogue import UseCases

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

    with reported_errors():
        text = _dialplan_text(dialplan)

    async def work(services: UseCases) -> list[Check]:
        checks = []
        async for check in services.doctor.examine(text):
            checks.append(check)
            if not json:
                _print_check(check)
        return checks

    checks = with_services(config, work)
    wrong = sum(len(check.findings) for check in checks)
    if json:
        print_json({"clean": not wrong, "checks": [_check_json(check) for check in checks]})
    elif wrong:
        say("\n", (f"{wrong} found", "bold red"))
    else:
        say("\n", ("clean", "bold green"), ": every check holds")
    if wrong:
        raise typer.Exit(EXIT_FAILED)


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
    mark = ("✗", "bold red") if check.findings else ("✓", "green")
    say(mark, " ", (check.name, "bold"), f": {check.claim}")
    for finding in check.findings:
        say(f"    {finding.what}")
        say((f"    → {_mend(finding)}", "dim"))


def _mend(finding: Finding) -> str:
    """How to mend it, by a command where one does."""
    return finding.mend if finding.hint is None else hint_words(finding.hint)


def _check_json(check: Check) -> dict[str, Any]:
    findings = [{"what": finding.what, "mend": _mend(finding)} for finding in check.findings]
    return {"name": check.name, "claim": check.claim, "findings": findings}
