"""What the doctor says of a spool directory."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from rating_engine.domain.checkup import Finding
from rating_engine.domain.reservation import OpenCall
from rating_engine.storage.spool.promises import Promises
from rating_engine.storage.spool.spool_survey import SpoolSurvey, survey, unusable

NEARLY_FULL_PERCENT: Final = 80
LATE: Final = timedelta(minutes=15)  # after its longest duration the finish of a call is not late any more but lost


def spool_findings(directory: Path, max_bytes: int) -> list[Finding]:
    """Everything in a spool directory that is not as it should be while the database is there."""
    try:
        problem = unusable(directory)
        found = survey(directory)
        late = [promise for promise in Promises(directory).all() if _ended_before(promise.allowed_at, promise.call)]
    except OSError as error:
        return [Finding(f"{directory} cannot be read: {error}", "run doctor as the user of the engine")]
    findings = list(_findings(directory, found, max_bytes))
    if problem is not None:
        findings.insert(0, Finding(problem, "set spool_dir to a directory that the engine may write to"))
    for promise in late:
        what = f"call {promise.call_key} of {promise.login}, allowed without PostgreSQL, has no end"
        findings.append(Finding(what, "charge it by hand if it was answered, and remove its .promise file"))
    return findings


def _findings(directory: Path, found: SpoolSurvey, max_bytes: int) -> Iterator[Finding]:
    if found.waiting:
        orphaned = f", in files that no running engine has: {found.orphaned}" if found.orphaned else ""
        yield Finding(
            f"finishes that wait in {directory}: {found.waiting}{orphaned}",
            "a running engine with this spool_dir charges them within seconds; see finish_replay_failed in its log",
        )
    if found.waiting_bytes * 100 >= max_bytes * NEARLY_FULL_PERCENT:
        yield Finding(f"{directory} has {found.waiting_bytes} bytes of {max_bytes}", "raise spool_max_bytes")
    for path, records in found.refused:
        yield Finding(
            f"finishes that could not be charged, in {path}: {records}",
            "read the reasons in it and mend them, then post it as the page on the spool says; or remove it",
        )
    for path, size in found.corrupt:
        yield Finding(f"damaged bytes of a spool, in {path}: {size}", "check the disk; charge by hand what can be read")


def _ended_before(allowed_at: datetime, call: OpenCall) -> bool:
    return allowed_at + timedelta(seconds=call.cap_seconds) + LATE < datetime.now(UTC)
