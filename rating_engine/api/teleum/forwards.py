"""Commands of forwards: the rules of a number, or of a line (vpbx), in their order.

Laws: a forward is a call rule, and what another surface wrote of it stays; rules that are none of the four kinds are
listed with kind 0, and can be moved and deleted; what does not name one's own number or line is NOT FOUND.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rating_engine.api.teleum.asked import Answer, Asked, Handler
from rating_engine.api.teleum.errors import NOT_FOUND, Failure, wrong
from rating_engine.api.teleum.schedules import WHOLE_WEEK, last_minute, read_schedule, schedule_text, schedule_words
from rating_engine.domain.call_rules import CALLED, TRANSIT, Action, CallRule, line_of, of_line
from rating_engine.domain.did import Did, RuleChanges
from rating_engine.services.numbers.call_rules import PlacedRule

ACTIONS: Final = (Action.CALL, Action.FORWARD, Action.MESSAGE, Action.FAX)  # from kind 1 on
KIND_OF: Final[Mapping[Action, int]] = {
    **{action: number for number, action in enumerate(ACTIONS, 1)},
    Action.VOICEMAIL: 3,
}
CALLERS, GROUPS, OWN = 1, 2, 3  # kinds of caller ids
MUSIC: Final = "default"  # the class of music on hold
NEEDED: Final = ("rtype", "nid", "timeout", "rcid", "rnum")  # of a new one


async def get_forwards_types(asked: Asked) -> Answer:
    """The kinds of forwards."""
    return {"forwardTypes": _named(asked.words.forwards)}


async def get_forwards_rcids(asked: Asked) -> Answer:
    """The kinds of caller ids."""
    return {"forwardRCIDs": _named(asked.words.caller_ids)}


async def get_forwards(asked: Asked) -> Answer:
    """The forwards of a number, or of a line, in their order."""
    named, numbers = await _list_named(asked, asked.values.needed("numberid")), await asked.numbers()
    rules = await asked.use.call_rules.list(named)
    number = next((str(did.did_id) for did in numbers if did.number == named), line_of(named) or "")
    shown = [_shown(asked, PlacedRule(named, place, rule), numbers) for place, rule in enumerate(rules, 1)]
    return {"number": number, "forwards": shown}


async def get_forward_times(asked: Asked) -> Answer:
    """When a forward works."""
    rule = (await _own(asked)).rule
    days = asked.words.days
    entries = [
        {
            "id": str(number),
            "startTime": f"{each.starts:%H:%M}",
            "finishTime": f"{last_minute(each):%H:%M}",
            "startDayOfWeek": str(each.first_day),
            "finishDayOfWeek": str(each.last_day),
            "startDayOfWeekWord": days[each.first_day - 1],
            "finishDayOfWeekWord": days[each.last_day - 1],
        }
        for number, each in enumerate(rule.times or WHOLE_WEEK, 1)
    ]
    return {"id": str(rule.rule_id), "forwardTimes": entries}


async def edit_forward(asked: Asked) -> Answer:
    """Make a forward behind all others (id 0), or change what is given of one."""
    values = asked.values
    if values.whole("id") == 0:
        for name in NEEDED:
            values.needed(name)
        named = await _list_named(asked, values.needed("nid"), is_line=values.flag("vpbx") is True)
        fields = await _fields(asked, CallRule())
        rule_id = await asked.use.call_rules.add(named, CallRule(**fields))
        return {"id": str(rule_id)}
    found = await _own(asked)
    if values.has("nid") and await _list_named(asked, values.needed("nid"), is_line=_is_line(asked, found)) != found.of:
        raise wrong("nid")
    fields = await _fields(asked, found.rule)
    await asked.use.call_rules.change(found.of, None, RuleChanges(**fields), rule_id=found.rule.rule_id)
    return {"id": str(found.rule.rule_id)}


async def delete_forward(asked: Asked) -> Answer:
    """It is gone; those behind it move up."""
    found = await _own(asked)
    await asked.use.call_rules.remove(found.of, rule_id=found.rule.rule_id)
    return {"id": str(found.rule.rule_id)}


async def move_forward(asked: Asked) -> Answer:
    """A place up or down; at the edge nothing changes."""
    found = await _own(asked)
    by = -1 if asked.values.text("dir") == "up" else 1
    await asked.use.call_rules.step(found.of, found.rule.rule_id, by)
    return {"id": str(found.rule.rule_id)}


HANDLERS: Final[Mapping[str, Handler]] = {
    "getForwardsTypes": get_forwards_types,
    "getForwards": get_forwards,
    "getForwardTimes": get_forward_times,
    "editForward": edit_forward,
    "deleteForward": delete_forward,
    "moveForward": move_forward,
    "getForwardsRCIDs": get_forwards_rcids,
}


def _named(names: tuple[str, ...]) -> list[dict[str, str]]:
    return [{"id": str(number), "name": name} for number, name in enumerate(names, 1)]


def _is_line(asked: Asked, found: PlacedRule) -> bool:
    return line_of(found.of) is not None if asked.values.flag("vpbx") is None else asked.values.flag("vpbx") is True


async def _list_named(asked: Asked, named: str, *, is_line: bool | None = None) -> str:
    """The list of one's own number, or of one's own line. `is_line` None: of whichever it is. Raises Failure."""
    if is_line is not True and (did := await asked.found_number(named)) is not None:
        return did.number
    if is_line is not False and named in await _lines(asked):
        return of_line(named)
    raise Failure(NOT_FOUND)


async def _lines(asked: Asked) -> list[str]:
    return [line.login for line in await asked.use.sip_accounts.of(asked.who)]


async def _own(asked: Asked) -> PlacedRule:
    """The rule of that id, of one's own. Raises Failure; errors: NotFound, NotYours."""
    found = await asked.use.call_rules.find(int(asked.values.needed("id")))
    line = line_of(found.of)
    if line is not None and line not in await _lines(asked):
        raise Failure(NOT_FOUND)
    if line is None and await asked.found_number(found.of) is None:
        raise Failure(NOT_FOUND)
    return found


async def _fields(asked: Asked, before: CallRule) -> dict[str, Any]:
    """What is given, as columns of a rule. Raises Failure."""
    values, fields = asked.values, dict[str, Any]()
    if (kind := values.whole("rtype")) is not None:
        fields["action"] = ACTIONS[kind - 1]
    if values.has("rnum"):
        fields["destination"] = values.text("rnum").strip()
        if fields.get("action", before.action) is Action.CALL and fields["destination"] not in await _lines(asked):
            raise Failure(NOT_FOUND)
    if (timeout := values.whole("timeout")) is not None:
        fields["timeout"] = timeout
    if values.has("rcid") or values.has("rcnid"):
        fields["callerid"] = await _callerid(asked, before)
    if (record := values.flag("rec")) is not None:
        fields["record"] = record
    if (music := values.flag("moh")) is not None:
        fields["music"] = (before.music or MUSIC) if music else ""
    if values.has("dowjs2"):
        fields["times"] = read_schedule(values.text("dowjs2"))
        fields["time_zone"] = await asked.zone_name()
    return fields


async def _callerid(asked: Asked, before: CallRule) -> str:
    kind = asked.values.whole("rcid") or _caller_kind(before)
    if kind == OWN:
        return (await asked.number(asked.values.needed("rcnid"))).number
    return TRANSIT if kind == CALLERS else CALLED


def _caller_kind(rule: CallRule) -> int:
    if rule.callerid == TRANSIT or (rule.callerid == "" and rule.action is not Action.FORWARD):
        return CALLERS
    return GROUPS if rule.callerid in ("", CALLED) else OWN


def _shown(asked: Asked, placed: PlacedRule, numbers: Sequence[Did]) -> dict[str, str]:
    rule, words = placed.rule, asked.words
    kind, caller = KIND_OF.get(rule.action, 0), _caller_kind(rule)
    own = next((did for did in numbers if did.number == rule.callerid.lstrip("+")), None)
    return {
        "id": str(rule.rule_id),
        "rtype": str(kind),
        "rnum": rule.destination,
        "rtime": str(rule.timeout),
        "rcid": str(caller),
        "direction": str(placed.place),
        "rec": str(int(rule.record)),
        "deleted": "0",
        "vpbx": str(int(line_of(placed.of) is not None)),
        "dowjs2": schedule_text(rule.times),
        "rcnid": str(own.did_id) if caller == OWN and own is not None else "",
        "moh": str(int(rule.music != "")),
        "rtname": words.forwards[kind - 1] if kind else "",
        "cname": words.caller_ids[caller - 1],
        "times": schedule_words(rule.times, words),
    }
