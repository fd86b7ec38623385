"""What the exchange wrote down, held against what the database says: each call by itself, each account as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from rating_engine.services.doctor import ledger_balanced
from rating_engine.storage.postgres.pool import Database
from tests.faults.load import Call

SHOWN = 5  # complaints of a kind that a failure names

_CDRS = "SELECT call_key, state::text, source, seconds, cost, overrun FROM cdrs"
_LEDGER = """
    SELECT call_key, -sum(amount) AS charged, count(*) FILTER (WHERE kind = 'charge') AS charges
    FROM ledger_entries WHERE call_key IS NOT NULL GROUP BY call_key"""
_ACCOUNTS = """
    SELECT login, kind::text, balance, balance + overdraft - reserved AS available, reserved, open_calls,
           (SELECT COALESCE(sum(overrun), 0) FROM cdrs c
            WHERE c.bucket = a.bucket AND c.account_id = a.account_id) AS overrun
    FROM accounts a JOIN subscribers s USING (bucket, account_id)"""


@dataclass(frozen=True)
class Audit:
    """Complaints by kind. `lost`: an acknowledged end that is not charged as it was told. `doubled`: charged more
    than once, or more than it costs. `overspent`: accounts below zero by more than counted overruns. `wrong`: the rest.
    """

    lost: list[str]
    doubled: list[str]
    overspent: list[str]
    wrong: list[str]

    def complaints(self) -> list[str]:
        """The first of each kind; empty when the books are right."""
        kinds = ("lost", "doubled", "overspent", "wrong")
        return [f"{kind}: {what}" for kind in kinds for what in getattr(self, kind)[:SHOWN]]


async def audit(database: Database, calls: Iterable[Call], balances: Mapping[str, Decimal]) -> Audit:
    """Compare; `balances` is what each login's account had at the start. Every call has ended by now."""
    cdrs = {row["call_key"]: row for row in await database.fetch(_CDRS)}
    ledger = {row["call_key"]: row for row in await database.fetch(_LEDGER)}
    accounts = {row["login"]: row for row in await database.fetch(_ACCOUNTS)}
    by_key = {call.key: call for call in calls}
    found = Audit([], [], [], [])
    for key, call in by_key.items():
        _examine_call(found, call, cdrs.get(key), ledger.get(key))
    found.wrong.extend(f"{key} is nobody's call" for key in cdrs.keys() | ledger.keys() if key not in by_key)
    for login, account in accounts.items():
        charged = sum((_charged(ledger.get(call.key)) for call in by_key.values() if call.login == login), Decimal(0))
        _examine_account(found, login, account, balances[login] - charged)
    found.wrong.extend(finding.what for finding in await ledger_balanced(database))
    return found


async def missing(database: Database, calls: Iterable[Call]) -> list[str]:
    """Which of these calls are not charged, in CDR and ledger, by what they cost."""
    cdrs = {row["call_key"]: row for row in await database.fetch(_CDRS)}
    ledger = {row["call_key"]: row for row in await database.fetch(_LEDGER)}
    return [
        str(call)
        for call in calls
        if call.key not in cdrs
        or cdrs[call.key]["seconds"] != call.talked
        or not cdrs[call.key]["cost"] == _charged(ledger.get(call.key)) == call.cost
    ]


def _examine_call(found: Audit, call: Call, cdr: Any, entries: Any) -> None:
    charged = _charged(entries)
    said = f"{call}: CDR {None if cdr is None else dict(cdr)}, ledger {charged}"
    if charged > call.cost or (entries is not None and entries["charges"] > 1):
        found.doubled.append(said)
    elif call.acknowledged:
        if cdr is None or cdr["seconds"] != call.talked or cdr["cost"] != call.cost or charged != call.cost:
            found.lost.append(said)
    elif call.is_due:
        found.wrong.append(f"its end was never said: {said}")
    elif call.allowed and cdr is None:
        found.wrong.append(f"allowed, and forgotten: {said}")
    elif cdr is not None and (cdr["seconds"], charged) not in {(call.talked, call.cost), (0, Decimal(0))}:
        found.wrong.append(said)
    if call.said_costs - {call.cost}:
        found.wrong.append(f"told another cost: {said}")


def _examine_account(found: Audit, login: str, account: Any, expected: Decimal) -> None:
    said = f"{login}: {dict(account)}"
    if account["balance"] != expected:
        found.wrong.append(f"{said}, but by its calls it has {expected}")
    if account["available"] is not None and account["available"] + account["overrun"] < 0:
        found.overspent.append(said)
    if account["reserved"] or account["open_calls"]:
        found.wrong.append(f"holds money for nobody: {said}")


def _charged(entries: Any) -> Decimal:
    return Decimal(0) if entries is None else Decimal(entries["charged"])
