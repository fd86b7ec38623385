"""What the exchange wrote down, held against what the database says: each call by itself on every account that pays for
it, each transfer, and each account as a whole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from rating_engine.services.doctor import ledger_balanced
from rating_engine.storage.postgres.pool import Database
from tests.faults.load import Call, cost_of
from tests.faults.transfers import Sent

SHOWN = 5  # complaints of a kind that a failure names
NOTHING = Decimal(0)

_CDRS = "SELECT call_key, state::text, source, seconds, cost, overrun FROM cdrs"
# The line of a reseller's account is named LOGIN-money.
_LINES = """
    SELECT call_key, login, level, cost
    FROM reseller_records JOIN subscribers USING (bucket, account_id) ORDER BY call_key, level"""
_LEDGER = """
    SELECT call_key, login, -sum(amount) AS charged, count(*) FILTER (WHERE kind = 'charge') AS charges
    FROM ledger_entries JOIN subscribers USING (bucket, account_id)
    WHERE call_key IS NOT NULL GROUP BY call_key, login"""
_TRANSFERS = """
    SELECT subject, login, amount FROM ledger_entries JOIN subscribers USING (bucket, account_id)
    WHERE kind = 'transfer'"""
_ACCOUNTS = """
    SELECT login, kind::text, balance, balance + overdraft - reserved AS available, reserved, open_calls,
           (SELECT COALESCE(sum(overrun), 0) FROM call_records c
            WHERE c.bucket = a.bucket AND c.account_id = a.account_id)
           + (SELECT COALESCE(sum(overrun), 0) FROM reseller_records r
              WHERE r.bucket = a.bucket AND r.account_id = a.account_id) AS overrun
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


@dataclass(frozen=True)
class Charges:
    """What a call was charged, by the account's login, and how often; `lines`: the costs of its resellers' CDRs."""

    amounts: dict[str, Decimal]
    times: dict[str, int]
    lines: list[tuple[str, Decimal]]


def costs_of(call: Call, seconds: int, above: Sequence[str]) -> dict[str, Decimal]:
    """What so long a call costs each who pays for it: its caller, then the resellers `above` him, the nearest first."""
    paid = {f"{reseller}-money": cost_of(call.number, seconds, reseller) for reseller in above}
    return {call.login: cost_of(call.number, seconds), **paid}


async def audit(
    database: Database,
    calls: Iterable[Call],
    balances: Mapping[str, Decimal],
    house: Mapping[str, Sequence[str]] | None = None,
    transfers: Iterable[Sent] = (),
) -> Audit:
    """Compare; `balances` is what each login's account had at the start, `house` the resellers above a login, the
    nearest first. Every call has ended by now, and no transfer is on its way."""
    cdrs = {row["call_key"]: row for row in await database.fetch(_CDRS)}
    charges = await _charges(database)
    by_key = {call.key: call for call in calls}
    found = Audit([], [], [], [])
    expected = dict(balances)
    for key, call in by_key.items():
        charged = charges.get(key, Charges({}, {}, []))
        _examine_call(found, call, cdrs.get(key), charged, (house or {}).get(call.login, ()))
        for login, amount in charged.amounts.items():
            expected[login] -= amount
    found.wrong.extend(f"{key} is nobody's call" for key in cdrs.keys() | charges.keys() if key not in by_key)
    await _examine_transfers(found, database, transfers, expected)
    for row in await database.fetch(_ACCOUNTS):
        _examine_account(found, row["login"], row, expected[row["login"]])
    found.wrong.extend(finding.what for finding in await ledger_balanced(database))
    return found


async def missing(database: Database, calls: Iterable[Call]) -> list[str]:
    """Which of these calls are not charged, in CDR and the caller's ledger, by what they cost."""
    cdrs = {row["call_key"]: row for row in await database.fetch(_CDRS)}
    charges = await _charges(database)
    return [
        str(call)
        for call in calls
        if call.key not in cdrs
        or cdrs[call.key]["seconds"] != call.talked
        or cdrs[call.key]["cost"] != call.cost
        or (charges[call.key].amounts if call.key in charges else {}).get(call.login, NOTHING) != call.cost
    ]


async def _charges(database: Database) -> dict[str, Charges]:
    charges: dict[str, Charges] = defaultdict(lambda: Charges({}, {}, []))
    for row in await database.fetch(_LEDGER):
        charges[row["call_key"]].amounts[row["login"]] = row["charged"]
        charges[row["call_key"]].times[row["login"]] = row["charges"]
    for row in await database.fetch(_LINES):
        charges[row["call_key"]].lines.append((row["login"], row["cost"]))
    return dict(charges)


def _examine_call(found: Audit, call: Call, cdr: Any, charged: Charges, above: Sequence[str]) -> None:
    costs = costs_of(call, call.talked or 0, above)
    nothing = dict.fromkeys(costs, NOTHING)
    amounts = {login: charged.amounts.get(login, NOTHING) for login in costs}
    said = f"{call}: CDR {None if cdr is None else dict(cdr)}, {charged}"
    if charged.amounts.keys() - costs.keys():
        found.wrong.append(f"charged to somebody else: {said}")
    elif any(amounts[login] > costs[login] for login in costs) or any(times > 1 for times in charged.times.values()):
        found.doubled.append(said)
    elif call.acknowledged:
        if cdr is None or cdr["seconds"] != call.talked or cdr["cost"] != call.cost or amounts != costs:
            found.lost.append(said)
    elif call.is_due:
        found.wrong.append(f"its end was never said: {said}")
    elif call.allowed and cdr is None:
        found.wrong.append(f"allowed, and forgotten: {said}")
    elif cdr is not None and (cdr["seconds"], amounts) not in (
        (call.talked, costs),
        (0, nothing),
    ):
        found.wrong.append(said)
    if cdr is not None and charged.lines != list(costs_of(call, cdr["seconds"], above).items())[1:]:
        found.wrong.append(f"the resellers' lines are not what they pay: {said}")
    if call.said_costs - {call.cost}:
        found.wrong.append(f"told another cost: {said}")


async def _examine_transfers(
    found: Audit, database: Database, transfers: Iterable[Sent], expected: dict[str, Decimal]
) -> None:
    """Each was taken and given whole, once, or not at all; and as was answered, where somebody answered."""
    entries: dict[str, list[tuple[str, Decimal]]] = defaultdict(list)
    for row in await database.fetch(_TRANSFERS):
        entries[row["subject"]].append((row["login"], row["amount"]))
        expected[row["login"]] += row["amount"]
    for sent in transfers:
        moved = sorted(entries.pop(sent.name, []))
        whole = sorted([(sent.sender, -sent.amount), (sent.receiver, sent.amount)])
        if moved not in ([], whole) or (sent.done is not None and (moved == whole) is not sent.done):
            found.wrong.append(f"{sent}, but the ledgers have {moved}")
    found.wrong.extend(f"nobody sent {name!r}: {moved}" for name, moved in entries.items())


def _examine_account(found: Audit, login: str, account: Any, expected: Decimal) -> None:
    said = f"{login}: {dict(account)}"
    if account["balance"] != expected:
        found.wrong.append(f"{said}, but by its calls it has {expected}")
    if account["available"] is not None and account["available"] + account["overrun"] < 0:
        found.overspent.append(said)
    if account["reserved"] or account["open_calls"]:
        found.wrong.append(f"holds money for nobody: {said}")
