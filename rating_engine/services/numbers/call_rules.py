"""The rules of numbers, as their owners write them and as calls go by them.

Law: what is written could be carried out when it was written: lines and numbers that a rule names are the owner's, and
no number's rules lead back to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from rating_engine.domain.call_rules import (
    TRANSIT,
    Action,
    CallRule,
    Finished,
    InboundCall,
    Loop,
    Step,
    has_loop,
    next_step,
)
from rating_engine.domain.change import given
from rating_engine.domain.did import Did, RuleChanges, check_rule
from rating_engine.domain.errors import InvalidRequest, LeadsBack, NotFound, Refused
from rating_engine.domain.principal import Principal
from rating_engine.storage.audit_log import record
from rating_engine.storage.numbers import call_rules as store
from rating_engine.storage.numbers.dids import find_did, hold_did, shows
from rating_engine.storage.numbers.rents import payer_of
from rating_engine.storage.parties.owners import owner_of_login
from rating_engine.storage.parties.parties import find_party
from rating_engine.storage.phones.exchanges import exchange_called
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.transaction import Transaction


class CallRules:
    """What one principal does with the rules of numbers, by their place, from 1. They count from the next call on."""

    def __init__(self, database: Database, principal: Principal, now: Callable[[], datetime]) -> None:
        self._database = database
        self._principal = principal
        self._now = now

    async def list(self, number: str) -> Sequence[CallRule]:
        """The rules of a number in their order. Errors: NotFound, Unavailable."""
        did = await find_did(self._database, number)
        return await store.rules_at(self._database, number, did.party_id)

    async def add(self, number: str, rule: CallRule, *, first: bool = False) -> None:
        """A rule before all others or behind them.

        Errors: InvalidRequest naming the field, LeadsBack, NotFound, Refused (the number is nobody's), Unavailable.
        """
        check_rule(rule)
        async with self._database.transaction(self._principal) as tx:
            did = await _hold_owned(tx, number)
            await self._check_named(tx, did, rule)
            await store.add_rule(tx, did.did_id, rule, first=first)
            await _check_loops(tx, did)
            await record(tx, "call_rule.add", number, _said(rule))

    async def change(self, number: str, place: int, changes: RuleChanges, *, to: int | None = None) -> None:
        """Set what is given of a rule, and nothing else; `to`: its new place. Errors as of `add`."""
        async with self._database.transaction(self._principal) as tx:
            did = await _hold_owned(tx, number)
            rule = store.rule_of_place(await store.rules_at(tx, number, did.party_id), place)
            values = given(changes)
            changed = replace(rule, **values)
            check_rule(changed)
            await self._check_named(tx, did, changed)
            times = values.pop("times", None)
            await store.change_rule(tx, rule.rule_id, values)
            if times is not None:
                await store.set_times(tx, rule.rule_id, times)
            if to is not None:
                await store.move_rule(tx, did.did_id, rule.rule_id, max(to, 1))
            await _check_loops(tx, did)
            await record(tx, "call_rule.change", number, {"rule": place, "to": to, **_said(changed)})

    async def remove(self, number: str, place: int | None = None, *, pattern: str | None = None) -> None:
        """One rule by its place, or all of a pattern. Errors: NotFound (no such rule), Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            did = await _hold_owned(tx, number)
            rules = await store.rules_at(tx, number, did.party_id)
            gone = [store.rule_of_place(rules, place)] if place is not None else []
            gone += [rule for rule in rules if place is None and rule.pattern == pattern]
            if not gone:
                raise NotFound(f"no rule has the pattern {pattern!r}", field="pattern")
            await store.remove_rules(tx, did.did_id, [rule.rule_id for rule in gone])
            await record(tx, "call_rule.remove", number, {"rule": place, "pattern": pattern})

    async def _check_named(self, tx: Transaction, did: Did, rule: CallRule) -> None:
        """Errors: InvalidRequest (what the rule names is not the owner's)."""
        await _check_own(tx, did, rule)
        is_shown = rule.callerid not in ("", TRANSIT)
        if is_shown and not self._principal.sees_all and not await shows(tx, did.party_id, rule.callerid.lstrip("+")):
            raise InvalidRequest("callerid", f"{rule.callerid} is no number of the owner; {TRANSIT} shows the caller's")

    async def owner_line(self, number: str) -> str:
        """The line that pays for a number, and rings where a rule names none; '': there is none. Errors: NotFound."""
        did = await find_did(self._database, number)
        payer = None if did.party_id is None else await payer_of(self._database, did.party_id, did.line)
        return "" if payer is None else payer.login

    async def next(self, call: InboundCall) -> Step | Finished:
        """What to do with a call. Errors: NotFound, Refused (it takes no calls), LeadsBack, Unavailable."""
        did = await find_did(self._database, call.number)
        now = self._now()
        if not did.takes_calls(now) or did.party_id is None:
            raise Refused(f"{call.number} takes no calls")
        owner = await find_party(self._database, did.party_id)
        rules = await store.rules_of(self._database, call.number, did.party_id)
        found = next_step(rules, call, now + timedelta(minutes=owner.utc_offset))
        if isinstance(found, Loop):
            raise _leads_back(found.number)
        return found


async def _hold_owned(tx: Transaction, number: str) -> Did:
    did = await hold_did(tx, number)
    if did.party_id is None:
        raise Refused(f"{number} is nobody's: it is {did.state}")
    return did


async def _check_own(tx: Transaction, did: Did, rule: CallRule) -> None:
    """Errors: InvalidRequest (what the rule names is not the owner's), NoExchange."""
    if rule.exchange:
        await exchange_called(tx, rule.exchange)
    rings_own = rule.action is Action.CALL and rule.destination != ""
    if rings_own and await owner_of_login(tx, rule.destination) != did.party_id:
        raise InvalidRequest("destination", f"{rule.destination!r} is no line of the number's owner")
    if rule.action is Action.NUMBER:
        try:
            other = await find_did(tx, rule.destination)
        except NotFound:
            other = None
        if other is None or other.party_id != did.party_id:
            raise InvalidRequest("destination", f"{rule.destination} is no number of the same owner")


async def _check_loops(tx: Transaction, did: Did) -> None:
    if has_loop(await store.rules_of(tx, did.number, did.party_id), did.number):
        raise _leads_back(did.number)


def _leads_back(number: str) -> LeadsBack:
    return LeadsBack(f"rules lead back to {number}, or through too many numbers", field="destination")


def _said(rule: CallRule) -> dict[str, object]:
    return {"action": rule.action, "destination": rule.destination, "pattern": rule.pattern, "policy": rule.policy}
