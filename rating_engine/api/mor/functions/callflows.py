"""The callflows of the section Device: what becomes of calls to a line, by how its phone has answered.

Before it rings a call can be sent to a number alone, which is the phone's own redirection; then the line's rules go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rating_engine.api.mor.asked import Asked, Handler
from rating_engine.api.mor.errors import ACCESS_DENIED, Failed
from rating_engine.api.mor.named import device_of
from rating_engine.api.mor.xml import Element, done, element, listed
from rating_engine.domain.call_rules import TRANSIT, Action, CallRule, Condition, of_line
from rating_engine.domain.errors import NotAllowed, NotFound, NotYours, RatingEngineError
from rating_engine.domain.sip_account import SipAccount, SipChanges

BEFORE: Final = "before_call"
STATES: Final[Mapping[str, Condition]] = {
    "answered": Condition.SUCCESS,
    "no_answer": Condition.NOANSWER,
    "busy": Condition.BUSY,
    "failed": Condition.UNAVAIL,
}
WORDS: Final = {Action.FORWARD: "forward", Action.CALL: "forward", Action.VOICEMAIL: "voicemail"}


async def device_callflow_get(asked: Asked) -> Element:
    """Every state with what happens in it."""
    line = await device_of(asked, "device_id")
    rules = await asked.use.call_rules.list(of_line(line.login))
    flows = [_flow(BEFORE, 1, "forward", ("external", line.redirect_to)) if line.redirect_to else _flow(BEFORE)]
    for state, condition in STATES.items():
        found = [rule for rule in rules if rule.condition is condition]
        flows += [_flow(state, place, *_said(rule)) for place, rule in enumerate(found, 1)] or [_flow(state)]
    user = element("user", line.owner)
    name = "" if await asked.hides_usernames() else line.login
    return element("page", user, element("device", f"{line.technology}/{name}"), *flows)


async def device_callflow_update(asked: Asked) -> Element:
    """What happens in one state, in place of what did."""
    line = await device_of(asked, "device_id")
    state, action = asked.text("state").strip(), asked.text("callflow_action").strip().lower()
    try:
        if state == BEFORE:
            await asked.use.sip_accounts.change(line.login, SipChanges(redirect_to=await _redirect(asked, action)))
        elif state in STATES:
            await _set(asked, line, STATES[state], await _rule(asked, line, action, STATES[state]))
        else:
            raise Failed(ACCESS_DENIED)
    except NotAllowed:
        raise
    except RatingEngineError as error:
        if error.retryable:
            raise
        raise Failed(ACCESS_DENIED, str(error)) from None
    return done("Callflow successfully updated")


async def _set(asked: Asked, line: SipAccount, condition: Condition, rule: CallRule | None) -> None:
    """The new rule first: where it cannot be, the old ones stay."""
    rules, name = asked.use.call_rules, of_line(line.login)
    old = [each for each in await rules.list(name) if each.condition is condition]
    if rule is not None:
        await rules.add(name, rule, first=True)
    for each in old:
        await rules.remove(name, rule_id=each.rule_id)


async def _redirect(asked: Asked, action: str) -> str:
    """Where calls go before the phone rings; '': it rings. Raises Failed."""
    if action in ("", "empty"):
        return ""
    if action != "forward":
        raise Failed(ACCESS_DENIED)  # a phone that does not ring takes neither faxes nor voice mail here
    device = await _device(asked)
    return device.login if device is not None else asked.needed("external_number", ACCESS_DENIED)


async def _rule(asked: Asked, line: SipAccount, action: str, condition: Condition) -> CallRule | None:
    if action in ("", "empty"):
        return None
    if action == "voicemail":
        mailbox = asked.text("voicemail").strip() or line.login
        return CallRule(condition=condition, action=Action.VOICEMAIL, destination=mailbox)
    if action != "forward":
        raise Failed(ACCESS_DENIED)
    callerid = await _callerid(asked, line)
    device = await _device(asked)
    if device is not None:
        return CallRule(condition=condition, action=Action.CALL, destination=device.login, callerid=callerid)
    number = asked.needed("external_number", ACCESS_DENIED)
    return CallRule(condition=condition, action=Action.FORWARD, destination=number, callerid=callerid)


async def _device(asked: Asked) -> SipAccount | None:
    """The one that calls are sent to; None: a number is."""
    if not asked.text("forward_to_device").strip():
        return None
    return await device_of(asked, "forward_to_device", ACCESS_DENIED)


async def _callerid(asked: Asked, line: SipAccount) -> str:
    """What a forwarded call shows."""
    if asked.text("device_callerid").strip() not in ("", "0"):
        return line.callerid
    if asked.text("src_callerid").strip() not in ("", "0"):
        return TRANSIT
    if asked.text("did_id").strip():
        try:
            return (await asked.use.dids.numbered(asked.needed_whole("did_id", ACCESS_DENIED))).number
        except (NotFound, NotYours):
            raise Failed(ACCESS_DENIED) from None
    return asked.text("custom").strip()


def _said(rule: CallRule) -> tuple[str, tuple[str, str], str]:
    where = {Action.FORWARD: "external", Action.CALL: "local"}.get(rule.action, "")
    return WORDS.get(rule.action, rule.action), (where, rule.destination), rule.callerid


def _flow(
    state: str, place: int = 1, action: str = "empty", data: tuple[str, str] = ("", ""), shown: str = ""
) -> Element:
    return listed("callflow", (
        ("state", state), ("priority", place), ("action", action), ("data1", data[1]), ("data2", data[0]),
        ("data3", shown), ("data4", ""), ("data5", ""),
    ))  # fmt: skip


HANDLERS: Final[Mapping[str, Handler]] = {
    "device_callflow_get": device_callflow_get,
    "device_callflow_update": device_callflow_update,
}
