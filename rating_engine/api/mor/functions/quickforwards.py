"""The section Quickforwards: numbers of one's own whose calls go out to another number first of all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rating_engine.api.mor.asked import Asked, Handler
from rating_engine.api.mor.errors import Failed
from rating_engine.api.mor.named import NO_DID
from rating_engine.api.mor.xml import Element, done, listed, page
from rating_engine.domain.call_rules import ANY, Action, CallRule, Condition, Policy, digits_of
from rating_engine.domain.did import Did, RuleChanges
from rating_engine.domain.errors import InvalidRequest, LeadsBack, NotFound, NotYours, Refused
from rating_engine.domain.page import MAX_LIMIT, Cursor


async def quickforwards_dids_get(asked: Asked) -> Element:
    """The asker's own numbers, each with where it is forwarded."""
    found = (await asked.use.dids.page(Cursor(MAX_LIMIT), own=True)).items
    if not found:
        raise Failed("Quickforwards list is empty")
    return page(*[_shown("quick_forward_did", did, await _forward(asked, did)) for did in found])


async def quickforwards_did_update(asked: Asked) -> Element:
    """Calls to a number of one's own go out to `forward_to`, on its owner's account; empty: they do no more."""
    did = await _own(asked)
    rule = await _forward(asked, did)
    target = asked.text("forward_to").strip()
    description = asked.text("description") if asked.sent("description") else rule.description if rule else ""
    rules = asked.use.call_rules
    try:
        if not target:
            if rule is not None:
                await rules.remove(did.number, rule_id=rule.rule_id)
        elif rule is None:
            new = CallRule(action=Action.FORWARD, destination=target, description=description)
            await rules.add(did.number, new, first=True)
        else:
            changes = RuleChanges(destination=target, description=description)
            await rules.change(did.number, None, changes, rule_id=rule.rule_id)
    except (InvalidRequest, LeadsBack, Refused):
        raise Failed(NO_DID) from None
    return page(_shown("new_quickforward_did", did, await _forward(asked, did)))


async def quickforwards_did_delete(asked: Asked) -> Element:
    """Calls go by the number's other rules again."""
    did = await _own(asked)
    rule = await _forward(asked, did)
    if rule is None:
        raise Failed(NO_DID)
    await asked.use.call_rules.remove(did.number, rule_id=rule.rule_id)
    return done("Quickforward successfully deleted")


async def _own(asked: Asked) -> Did:
    """A number of the asker's, in digits. Raises Failed."""
    try:
        did = await asked.use.dids.show(digits_of(asked.needed("did", NO_DID)))
    except (NotFound, NotYours):
        raise Failed(NO_DID) from None
    if did.party_id not in (asked.who, asked.asking.realm):
        raise Failed(NO_DID)
    return did


async def _forward(asked: Asked, did: Did) -> CallRule | None:
    """The first rule, where it sends every call out."""
    first = next(iter(await asked.use.call_rules.list(did.number)), None)
    if first is None or first.action is not Action.FORWARD or first.policy is not Policy.ACCEPT:
        return None
    sends_all = first.pattern == ANY and first.condition is Condition.ALWAYS and not first.times
    return first if sends_all else None


def _shown(tag: str, did: Did, rule: CallRule | None) -> Element:
    return listed(tag, (
        ("did", did.number),
        ("forward_to", "" if rule is None else rule.destination),
        ("description", did.comment if rule is None else rule.description),
    ))  # fmt: skip


HANDLERS: Final[Mapping[str, Handler]] = {
    "quickforwards_dids_get": quickforwards_dids_get,
    "quickforwards_did_update": quickforwards_did_update,
    "quickforwards_did_delete": quickforwards_did_delete,
}
