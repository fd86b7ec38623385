"""Calls that come of others, by callback or transfer, and what ties legs to each other at the exchange. No I/O."""

from __future__ import annotations

from dataclasses import replace

from agi.ari.call import Call, Then
from agi.ari.causes import NORMAL
from agi.ari.commands import Command, HangUp, SetLimit, SetVariable, TellTransfer, Transfer


def own_telephone(call: Call) -> Call:
    """The first leg of a callback that is the line's own telephone: nobody pays for it, and it is somebody's caller as
    soon as it has answered, who then minds its limit."""
    rules = call.rules
    endpoint = f"{rules.technology}/{call.dialled}"
    return replace(call, endpoint=endpoint, granted=rules.ring_seconds + rules.caller_margin_seconds)


def second_call(call: Call, then: Then) -> Call:
    """Of a callback, once the first number has answered: it is the caller now, and both legs are paid for."""
    return Call(
        call.rules,
        call.exchange,
        then.uniqueid,
        call.login,
        then.dialled,
        caller=call.leg,
        caller_name=call.leg_name,
        number=call.number,
        caller_up=True,
        caller_pays=not call.endpoint,
        origin=call.origin,
    )


def transfer_call(call: Call, target: str) -> Call:
    """The second call of a blind transfer: who asked for it pays for it too, under a key of its own."""
    return Call(
        call.rules,
        call.exchange,
        f"{call.uniqueid}.t{call.transfers + 1}",
        call.login,
        target,
        caller=call.leg,
        caller_name=call.leg_name,
        number=call.number,
        caller_up=True,
        caller_pays=True,
        moving=call.caller,
        moves=call.uniqueid,
    )


def tied(leg: str, other: str, name: str) -> tuple[Command, ...]:
    """A leg whose other side is another leg from now on: it takes that along, and is found again with it."""
    return SetVariable(leg, "RATING_CALLER", name), SetVariable(leg, "RATING_CALLER_ID", other)


def let_go(*phones: str) -> tuple[Command, ...]:
    """Phones that are out of their calls: they take nobody along. The first one is told, and ends them itself then."""
    return (
        *(SetVariable(phone, "RATING_LEG", "") for phone in phones),
        TellTransfer(phones[0], Transfer.ANSWERED),
        *(HangUp(phone, NORMAL) for phone in phones),
    )


def counted(call: Call) -> SetVariable:
    """How many transfers there were: whoever takes the call over names none by the key of another one."""
    return SetVariable(call.leg, "RATING_TRANSFERS", str(call.transfers))


def kept(leg: str, *, is_moving: bool) -> SetVariable:
    """A leg whose phone may leave without taking it along: it is being connected to somebody else."""
    return SetVariable(leg, "RATING_MOVING", "1" if is_moving else "")


def callers_limit(call: Call, seconds: float, since: float | None = None) -> tuple[SetLimit, ...]:
    """Of a call whose leg may last so long: some seconds more. None where the caller is paid for by another call."""
    longer = seconds + call.rules.caller_margin_seconds
    return (SetLimit(call.caller, longer, since),) if call.minds_caller else ()
