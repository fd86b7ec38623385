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
from rating_engine.cli.process.asterisk_files import asterisk_directory, read_whole
from rating_engine.domain.checkup import Check, Finding
from rating_engine.services.catalogue import UseCases

ASTERISK_DIALPLAN = Path("/etc/asterisk/extensions.conf")  # where Asterisk's packages keep it
TRUNKS = "pjsip.conf"


def doctor(
    dialplan: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=f"Dialplan to check, with what it includes and the pjsip.conf beside it; {ASTERISK_DIALPLAN} if it is"
            " there and calls us.",
        ),
    ] = None,
    integrity: Annotated[
        bool,
        typer.Option(
            "--integrity",
            help="Instead: what works and is likely a mistake, as weak passwords, calls at a loss, rates without a"
            " direction, disks that fill up.",
        ),
    ] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Prove the money laws over the whole database, and check connections, configuration and dialplan.

    Prints what is wrong and how to mend it; exit status 1 if anything is.
    """

    with reported_errors():
        text, trunks = ("", "") if integrity else _asterisk_texts(dialplan)

    async def work(services: UseCases) -> list[Check]:
        checks = []
        async for check in services.integrity.check() if integrity else services.doctor.examine(text, trunks):
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


def _asterisk_texts(named: Path | None) -> tuple[str, str]:
    """The dialplan and the trunks to check; empty where there are none, or the usual dialplan never asks the engine."""
    file = ASTERISK_DIALPLAN if named is None else named
    try:
        dialplan = read_whole(file)
    except (OSError, ValueError) as error:
        if named is None:
            return "", ""
        said = error.strerror if isinstance(error, OSError) else str(error)
        raise CommandError(f"--dialplan {named}: {said}") from error
    if named is None and "callPrepare" not in dialplan:
        return "", ""
    try:
        return dialplan, read_whole(asterisk_directory(file) / TRUNKS)
    except (OSError, ValueError):  # another technology, or kept in a database
        return dialplan, ""


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
