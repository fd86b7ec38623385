"""Section DIDTables Filters: the rules of numbers, and resolveDIDRule, by which an exchange goes through them.

A rule is named by its place. What this surface has no word for (times of day) stays as another one wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, TypeVar

from rating_engine.api.narayana.arguments import did_of
from rating_engine.api.narayana.asked import Answer, Asked, Handler
from rating_engine.api.narayana.errors import Code, Failure
from rating_engine.domain.call_rules import (
    ANONYMOUS,
    ANY,
    CALLED,
    TRANSIT,
    Action,
    CallRule,
    Condition,
    Finished,
    InboundCall,
    Policy,
    SmsAction,
    Source,
    Step,
    line_of,
)
from rating_engine.domain.change import LEAVE, Leave, given
from rating_engine.domain.did import RuleChanges
from rating_engine.domain.end_status import read_status

WORKS_WITHOUT: Final = {Action.CALL: "", Action.HANGUP: "", Action.VOICEMAIL: "", Action.DISA: ""}
FILTERS: Final[Mapping[str, tuple[str, ...]]] = {"number": (ANY, ANONYMOUS), "input": (ANY,)}
# With what they do it to by default: the owner's first line, its own address.
SMS_ACTIONS: Final = {action.value: "" for action in SmsAction if action is not SmsAction.NONE}

_Word = TypeVar("_Word", bound=StrEnum)


async def get_did_actions(asked: Asked) -> Answer:
    """What a rule may do, with what it does it to by default."""
    return {"voice": {action.value: WORKS_WITHOUT.get(action, "") for action in Action}, "sms": dict(SMS_ACTIONS)}


async def get_filters(asked: Asked) -> Answer:
    """What rules may go by, with its usual patterns; the names alone, or the patterns of one."""
    resolver = asked.values.text("resolver")
    if resolver:
        if resolver not in FILTERS:
            raise Failure(Code.E_NOT_EXIST, f"resolver: is none of {', '.join(FILTERS)}")
        return list(FILTERS[resolver])
    if asked.values.flag("sources"):
        return list(FILTERS)
    return {name: list(patterns) for name, patterns in FILTERS.items()}


async def add_did_rule(asked: Asked) -> Answer:
    """A rule behind all others, or before them."""
    rule = CallRule(**given(_changes(asked)))
    await asked.use.call_rules.add(_did(asked), rule, first=asked.values.text("position") == "start")
    return True


async def update_did_rule(asked: Asked) -> Answer:
    """What is given of a rule, and its place."""
    place, to = _place(asked.values.needed_whole("rule"), "rule"), asked.values.whole("pos")
    to = None if to is None else _place(to, "pos")
    await asked.use.call_rules.change(_did(asked), place, _changes(asked), to=to)
    return True


async def delete_did_rule(asked: Asked) -> Answer:
    """One by its place; with -1 those of a pattern."""
    place, pattern = asked.values.needed_whole("rule"), asked.values.text("pattern")
    if place == -1:
        if pattern is None:
            raise Failure(Code.E_MISSING_ARGUMENT, "pattern: is obligatory with rule -1")
        await asked.use.call_rules.remove(_did(asked), pattern=pattern)
    else:
        await asked.use.call_rules.remove(_did(asked), _place(place, "rule"))
    return True


async def get_did_rules(asked: Asked) -> Answer:
    """All rules of a number, or one."""
    did, wanted = _did(asked), asked.values.whole("rule")
    rules = enumerate(await asked.use.call_rules.list(did), 1)
    found = [_shown(did, place, rule) for place, rule in rules if wanted in (None, place)]
    if wanted is not None and not found:
        raise Failure(Code.E_NOT_EXIST, f"rule: there is no rule {wanted}")
    return found


async def resolve_did_rule(asked: Asked) -> Answer:
    """What to do with a call at a rule: OK and what it says, SKIP and the next that counts, FIN."""
    values, number = asked.values, _did(asked)
    place = _place(values.needed_whole("rule"), "rule")
    _, word = read_status(values.text("status") or "")
    caller = "".join(filter(str.isdecimal, values.text("callerid") or ""))
    call = InboundCall(number, place, caller, word, values.text("input") or "")
    found = await asked.use.call_rules.next(call)
    if isinstance(found, Finished):
        return "FIN"
    if found.number == number and found.place != place:
        return f"SKIP {found.place}"
    rule = found.rule
    line = await asked.use.call_rules.owner_line(found.number)
    destination = rule.destination or (line if rule.action is Action.CALL else "")
    words = (rule.policy, line, rule.action, rule.exchange, destination, _shown_number(found), str(rule.timeout),
             rule.sms_action, rule.sms_destination)  # fmt: skip
    return " ".join(("OK", *(word.replace(" ", "_") or "-" for word in words)))


HANDLERS: Final[Mapping[str, Handler]] = {
    "getDIDActions": get_did_actions,
    "getFilters": get_filters,
    "addDIDRule": add_did_rule,
    "updateDIDRule": update_did_rule,
    "deleteDIDRule": delete_did_rule,
    "getDIDRules": get_did_rules,
    "resolveDIDRule": resolve_did_rule,
}


def _changes(asked: Asked) -> RuleChanges:
    values = asked.values
    timeout = values.whole("timeout")

    def text(name: str) -> str | Leave:
        value = values.text(name)
        return LEAVE if value is None else value

    return RuleChanges(
        source=_word(asked, "source", Source),
        pattern=text("pattern"),
        condition=_word(asked, "condition", Condition),
        input=text("input"),
        policy=_word(asked, "policy", Policy),
        action=_word(asked, "action", Action),
        destination=text("destination"),
        exchange=text("server"),
        callerid=text("callerid"),
        timeout=LEAVE if timeout is None else timeout,
        sms_action=text("sms_action"),
        sms_destination=text("sms_destination"),
    )


def _word(asked: Asked, name: str, kind: type[_Word]) -> _Word | Leave:
    value = asked.values.text(name)
    if value is None:
        return LEAVE
    try:
        return kind(value)
    except ValueError:
        raise Failure(Code.E_DATA_ABORT, f"{name}: is none of {', '.join(filter(None, kind))}") from None


def _place(value: int, name: str) -> int:
    if not 1 <= value <= 100_000:
        raise Failure(Code.E_DATA_ABORT, f"{name}: is from 1 on")
    return value


def _did(asked: Asked) -> str:
    return did_of(asked.values.needed_text("did"))


def _shown_number(step: Step) -> str:
    """As didNext has it; TRANSIT is the caller's."""
    rule = step.rule
    shows_called = rule.callerid == CALLED or (rule.callerid == "" and rule.action is Action.FORWARD)
    return step.number if shows_called and line_of(step.number) is None else rule.callerid or TRANSIT


def _shown(did: str, place: int, rule: CallRule) -> dict[str, Any]:
    return {
        "did": int(did),
        "rule": place,
        "source": rule.source,
        "pattern": rule.pattern,
        "policy": rule.policy,
        "sms_action": rule.sms_action,
        "sms_destination": rule.sms_destination,
        "action": rule.action,
        "server": rule.exchange,
        "destination": rule.destination,
        "callerid": rule.callerid,
        "timeout": rule.timeout,
        "condition": rule.condition,
        "input": rule.input,
    }
