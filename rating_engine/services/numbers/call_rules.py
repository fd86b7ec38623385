"""The rules of numbers and lines, as their owners write them and as calls go by them.

Law: what is written could be carried out when it was written: lines and numbers that a rule names are the owner's, and
no list leads back to itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

from rating_engine.domain.call_rules import (
    CALLED,
    TRANSIT,
    Action,
    CallRule,
    Finished,
    InboundCall,
    Loop,
    Policy,
    SmsAction,
    Step,
    digits_of,
    has_loop,
    line_of,
    next_step,
    reaches,
)
from rating_engine.domain.change import given
from rating_engine.domain.did import RuleChanges, check_rule
from rating_engine.domain.errors import InvalidRequest, LeadsBack, NotFound, NotYours, Refused
from rating_engine.domain.number_lists import ListSide
from rating_engine.domain.principal import Principal
from rating_engine.storage.audit_log import record
from rating_engine.storage.numbers import call_rules as store
from rating_engine.storage.numbers.call_rules import RuleList
from rating_engine.storage.numbers.dids import find_did, shows
from rating_engine.storage.numbers.number_pools import refusal_by_list
from rating_engine.storage.numbers.rents import payer_of
from rating_engine.storage.parties.owners import owner_of_login
from rating_engine.storage.parties.parties import find_party, is_below
from rating_engine.storage.phones.exchanges import exchange_called
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.transaction import Transaction


@dataclass(frozen=True, slots=True)
class PlacedRule:
    """A rule where it is: in the list `of`, at `place` from 1."""

    of: str
    place: int
    rule: CallRule


class CallRules:
    """What one principal does with lists of rules, each of a number (its digits) or of a line (`line:LOGIN`).

    They count from the next call on.
    """

    def __init__(self, database: Database, principal: Principal, now: Callable[[], datetime]) -> None:
        self._database = database
        self._principal = principal
        self._now = now

    async def list(self, number: str) -> Sequence[CallRule]:
        """The rules in their order. Errors: NotFound, Unavailable."""
        of = await store.find_list(self._database, number)
        return await store.rules_at(self._database, number, of.party_id)

    async def find(self, rule_id: int) -> PlacedRule:
        """A rule by its id. Errors: NotFound, NotYours, Unavailable."""
        of = await store.find_list(self._database, await store.list_with(self._database, rule_id))
        if not await is_below(self._database, of.party_id or 1, self._principal.realm):
            raise NotYours(f"rule {rule_id} is not yours", field="rule")
        rules = await store.rules_at(self._database, of.name, of.party_id)
        place = store.place_of_rule(rules, rule_id)
        return PlacedRule(of.name, place, rules[place - 1])

    async def add(self, number: str, rule: CallRule, *, first: bool = False) -> int:
        """A rule before all others or behind them; its id.

        Errors: InvalidRequest naming the field, LeadsBack, NotFound, Refused (the number is nobody's), Unavailable.
        """
        check_rule(rule)
        async with self._database.transaction(self._principal) as tx:
            of = await _hold_owned(tx, number)
            await self._check_named(tx, of, rule)
            rule_id = await store.add_rule(tx, of, rule, first=first)
            await _check_loops(tx, of)
            await record(tx, "call_rule.add", number, _said(rule))
        return rule_id

    async def change(
        self, number: str, place: int | None, changes: RuleChanges, *, to: int | None = None, rule_id: int | None = None
    ) -> None:
        """Set what is given of a rule, and nothing else; `to`: its new place. It is the one at `place`, or the one of
        that id. Errors as of `add`.
        """
        async with self._database.transaction(self._principal) as tx:
            of = await _hold_owned(tx, number)
            rules = await store.rules_at(tx, number, of.party_id)
            rule = _chosen(rules, place, rule_id)
            values = given(changes)
            changed = replace(rule, **values)
            check_rule(changed)
            await self._check_named(tx, of, changed)
            times = values.pop("times", None)
            await store.change_rule(tx, rule.rule_id, values)
            if times is not None:
                await store.set_times(tx, rule.rule_id, times)
            if to is not None:
                await store.move_rule(tx, of, rule.rule_id, max(to, 1))
            await _check_loops(tx, of)
            await record(tx, "call_rule.change", number, {"rule": place or rule_id, "to": to, **_said(changed)})

    async def step(self, number: str, rule_id: int, by: int) -> None:
        """Move a rule that many places on (below 0: to the front), not beyond the first and the last.

        Errors: NotFound, Refused, Unavailable.
        """
        async with self._database.transaction(self._principal) as tx:
            of = await _hold_owned(tx, number)
            place = store.place_of_rule(await store.rules_at(tx, number, of.party_id), rule_id)
            await store.move_rule(tx, of, rule_id, max(place + by, 1))
            await record(tx, "call_rule.change", number, {"rule": place, "to": max(place + by, 1)})

    async def remove(
        self, number: str, place: int | None = None, *, pattern: str | None = None, rule_id: int | None = None
    ) -> None:
        """One rule by its place or id, or all of a pattern. Errors: NotFound (no such rule), Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            of = await _hold_owned(tx, number)
            rules = await store.rules_at(tx, number, of.party_id)
            by_pattern = place is None and rule_id is None
            gone = (
                [rule for rule in rules if rule.pattern == pattern] if by_pattern else [_chosen(rules, place, rule_id)]
            )
            if not gone:
                raise NotFound(f"no rule has the pattern {pattern!r}", field="pattern")
            await store.remove_rules(tx, of, [rule.rule_id for rule in gone])
            await record(tx, "call_rule.remove", number, {"rule": place or rule_id, "pattern": pattern})

    async def _check_named(self, tx: Transaction, of: RuleList, rule: CallRule) -> None:
        """Errors: InvalidRequest (what the rule names is not the owner's)."""
        await _check_own(tx, of, rule)
        is_shown = rule.callerid not in ("", TRANSIT, CALLED)
        if is_shown and not self._principal.sees_all and not await shows(tx, of.party_id, rule.callerid.lstrip("+")):
            raise InvalidRequest("callerid", f"{rule.callerid} is no number of the owner; {TRANSIT} shows the caller's")

    async def owner_line(self, number: str) -> str:
        """The line that pays, and rings where a rule names none; '': there is none. Errors: NotFound."""
        line = line_of(number)
        if line is not None:
            return line
        did = await find_did(self._database, number)
        payer = None if did.party_id is None else await payer_of(self._database, did.party_id, did.line)
        return "" if payer is None else payer.login

    async def next(self, call: InboundCall) -> Step | Finished:
        """What to do with a call; one that the owner's list of callers keeps out is rejected.

        Errors: NotFound, Refused (it takes no calls), LeadsBack, Unavailable.
        """
        of = await store.find_list(self._database, call.number)
        now = self._now()
        if of.party_id is None or (of.did is not None and not of.did.takes_calls(now)):
            raise Refused(f"{call.number} takes no calls")
        if await refusal_by_list(self._database, of.party_id, ListSide.SOURCE, digits_of(call.caller)) is not None:
            return Step(call.number, call.place, CallRule(policy=Policy.REJECT, action=Action.HANGUP))
        owner = await find_party(self._database, of.party_id)
        rules = await store.rules_of(self._database, call.number, of.party_id)
        found = next_step(rules, call, now.astimezone(timezone(timedelta(minutes=owner.utc_offset))))
        if isinstance(found, Loop):
            raise _leads_back(found.number)
        return found


def _chosen(rules: Sequence[CallRule], place: int | None, rule_id: int | None) -> CallRule:
    return store.rule_of_place(rules, store.place_of_rule(rules, rule_id) if rule_id is not None else place or 0)


async def _hold_owned(tx: Transaction, name: str) -> RuleList:
    of = await store.hold_list(tx, name)
    if of.party_id is None:
        raise Refused(f"{name} is nobody's")
    return of


async def _check_own(tx: Transaction, of: RuleList, rule: CallRule) -> None:
    """Errors: InvalidRequest (what the rule names is not the owner's), NoExchange."""
    if rule.exchange:
        await exchange_called(tx, rule.exchange)
    rings_own = rule.action is Action.LINE or (rule.action is Action.CALL and rule.destination != "")
    if rings_own and await owner_of_login(tx, rule.destination) != of.party_id:
        raise InvalidRequest("destination", f"{rule.destination!r} is no line of the owner")
    to_own = rule.sms_action == SmsAction.INTERNAL and rule.sms_destination != ""
    if to_own and await owner_of_login(tx, rule.sms_destination) != of.party_id:
        raise InvalidRequest("sms_destination", f"{rule.sms_destination!r} is no line of the owner")
    if rule.action is Action.NUMBER:
        try:
            other = await find_did(tx, rule.destination)
        except NotFound:
            other = None
        if other is None or other.party_id != of.party_id:
            raise InvalidRequest("destination", f"{rule.destination} is no number of the same owner")


async def _check_loops(tx: Transaction, of: RuleList) -> None:
    if has_loop(await store.rules_of(tx, of.name, of.party_id, reaches), of.name):
        raise _leads_back(of.name)


def _leads_back(name: str) -> LeadsBack:
    return LeadsBack(f"rules lead back to {name}, or through too many lists", field="destination")


def _said(rule: CallRule) -> dict[str, object]:
    return {"action": rule.action, "destination": rule.destination, "pattern": rule.pattern, "policy": rule.policy}
