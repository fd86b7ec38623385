"""The scripts the dialplan calls, and the border between AGI's words and the domain's.

`agi://HOST/callPrepare,<login>,<destination>[,<callerid>[,<prior>[,<routing number>[,<route>]]]]`
`agi://HOST/callFinish,<login>,<destination>,<seconds>,<status>[,<callerid>[,<prior>]]`
`agi://HOST/didPrepare,<number>[,<callerid>]` and, for a call that it has allowed,
`agi://HOST/didNext,<number>,<where>[,<callerid>[,<how the step before ended>[,<what was keyed in>]]]`
`agi://HOST/cardAuthorize,[<card number>],[<PIN>][,<callerid>[,register]]`,
`agi://HOST/legFinish,…`: see leg_finish.
`agi://HOST/getBalance,<login>[,<number>[,<callerid>]]` and `agi://HOST/ping`; any with `?exchange=NAME` behind it.
There stand too, for the CDR: `from_originate`, `source`, `originated_by` of callPrepare, and `is_did` of callFinish. An
argument they are not: a comma in a dialled number, which shifts what stands behind it, has to be found out. A call with
an empty login, of a channel without an account code, is of the line that its caller id is known to ring from.

`parse_x` may raise InvalidRequest, `render_x` cannot fail. Every answer of a script sets all its variables.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from agi import channel_variables as var
from agi.channel_variables import RatingStatus
from agi.fastagi import fields
from agi.fastagi.command import clean_value, clean_values
from agi.fastagi.leg_finish import parse_leg_finish
from agi.fastagi.request import AgiRequest
from rating_engine.domain.call_rules import InboundCall, digits_of
from rating_engine.domain.end_status import read_status
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.number_lists import LIST_CAUSES
from rating_engine.domain.outcomes import (
    MAX_CALL_KEY_LENGTH,
    Allowed,
    BalanceOutcome,
    CallKey,
    CardOutcome,
    CardQuestion,
    Claim,
    Declined,
    DeclineReason,
    FinishCall,
    FinishOutcome,
    InboundAllowed,
    InboundDone,
    InboundNext,
    InboundOutcome,
    NotSaved,
    PrepareCall,
    PrepareOutcome,
    Spooled,
)

# What a dialplan branches on; the nearest SIP status where there is one.
DECLINE_CODES: Final[Mapping[DeclineReason, int]] = MappingProxyType(
    {
        DeclineReason.BAD_REQUEST: 400,
        DeclineReason.INSUFFICIENT_FUNDS: 402,
        DeclineReason.DAILY_LIMIT: 402,
        DeclineReason.MONTHLY_LIMIT: 402,
        DeclineReason.UNKNOWN_LOGIN: 403,
        DeclineReason.INACTIVE: 403,
        DeclineReason.USER_BLOCKED: 403,
        DeclineReason.EXTERNAL_BLOCKED: 403,
        DeclineReason.EXCHANGE_BANNED: 403,
        DeclineReason.BLOCKED_DESTINATION: 403,
        DeclineReason.PRICE_TOO_HIGH: 403,
        DeclineReason.SOURCE_REJECTED: 403,
        DeclineReason.CALLED_BACK: 403,
        **dict.fromkeys(LIST_CAUSES, 403),
        DeclineReason.WRONG_CARD: 403,
        DeclineReason.CARD_NOT_VALID: 403,
        DeclineReason.NO_RATE: 404,
        DeclineReason.UNKNOWN_NUMBER: 404,
        DeclineReason.NUMBER_CLOSED: 410,
        DeclineReason.CONFLICT: 409,
        DeclineReason.ALREADY_FINISHED: 409,
        DeclineReason.INVALID_DESTINATION: 484,
        DeclineReason.TOO_MANY_CALLS: 486,
        DeclineReason.INTERNAL: 500,
        DeclineReason.NUMBER_LOOP: 500,
        DeclineReason.NO_ROUTE: 503,
        DeclineReason.NO_CAPACITY: 503,
        DeclineReason.NO_EXCHANGE_RATE: 503,
        DeclineReason.RESELLER_INSUFFICIENT_FUNDS: 503,
        DeclineReason.RESELLER_INACTIVE: 503,
        DeclineReason.RESELLER_LIMIT: 503,
        DeclineReason.UNAVAILABLE: 503,
        DeclineReason.OVERLOADED: 503,
        DeclineReason.ACCOUNT_LOCKED: 503,
    }
)

Variables = dict[str, str]


class ChargingService(Protocol):
    """What the scripts ask; a broken database is an answer (reason `unavailable`), not an exception."""

    async def prepare_call(self, call: PrepareCall) -> PrepareOutcome:
        """May this call start, and for how long?"""
        ...

    async def prepare_inbound(self, call: PrepareCall) -> InboundOutcome:
        """May this call to a number of ours be taken, who pays for it, and for how long?"""
        ...

    async def next_inbound(self, call: InboundCall, asking: CallKey) -> InboundNext:
        """What is done next with a call that was taken?"""
        ...

    async def finish_call(self, call: FinishCall) -> FinishOutcome:
        """Charge a call that ended, exactly once."""
        ...

    async def balance(self, login: str, call: PrepareCall | None = None) -> BalanceOutcome:
        """The account's money, and how long `call` would last on it."""
        ...

    async def authorize_card(self, asked: CardQuestion) -> CardOutcome:
        """Which line does a caller's card call by?"""
        ...

    async def abandon_call(self, call_key: CallKey, login: str, claim: Claim | None = None) -> object:
        """Give back what is held for an answer that could not be delivered (`claim`): nobody starts the call by it."""
        ...


class Answer(NamedTuple):
    """What to set in the channel, and the reservation that waits for this answer to arrive (else None)."""

    variables: Variables
    reserved: CallKey | None = None
    login: str = ""
    claim: Claim | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """One script: `run(request, peer address, service)`, and `refuse(reason)` where no outcome exists."""

    name: str
    run: Callable[[AgiRequest, str, ChargingService], Awaitable[Answer]]
    refuse: Callable[[DeclineReason], Variables]


def parse_call_prepare(request: AgiRequest, exchange: str) -> PrepareCall:
    """The question of callPrepare. `exchange` is the peer's address, unless the query names one."""
    login, destination, caller, prior, routing_number, route = fields.arguments(request, 6)
    callerid = fields.callerid(caller, request)
    return PrepareCall(
        call_key=fields.call_key(request, exchange, prior),
        login=fields.login_of_call(login, request, callerid),
        destination=fields.destination(destination, request),
        callerid=callerid,
        routing_number=fields.optional_text("routing_number", routing_number, fields.MAX_NUMBER) or None,
        channel=fields.channel(request),
        route=fields.route(route),
        origin=fields.origin(request),
    )


def parse_call_finish(request: AgiRequest, exchange: str) -> FinishCall:
    """The report of callFinish. `exchange` as in parse_call_prepare."""
    login, destination, seconds, status, caller, prior = fields.arguments(request, 6)
    cause, disposition = read_status(status)
    callerid = fields.caller_of_ended(caller, request)
    return FinishCall(
        call_key=fields.call_key(request, exchange, prior),
        login=fields.login_of_call(login, request, callerid),
        destination=fields.destination(destination, request),
        seconds=fields.seconds(seconds),
        disposition=disposition,
        cause=cause,
        callerid=callerid,
        channel=fields.channel(request),
        is_did=fields.is_did(request),
    )


def parse_get_balance(request: AgiRequest, exchange: str) -> tuple[str, PrepareCall | None]:
    """Whose balance getBalance asks for, and the call of which it asks how long it would last; None: of none."""
    given, destination, caller = fields.arguments(request, 3)
    login = fields.login(given, request)
    if not destination:  # the extension is the menu's, not a number that somebody dials
        return login, None
    return login, PrepareCall(
        call_key=fields.call_key(request, exchange, ""),
        login=login,
        destination=fields.destination(destination, request),
        callerid=fields.callerid(caller, request),
        channel=fields.channel(request),
    )


def parse_card_authorize(request: AgiRequest, exchange: str) -> CardQuestion:
    """The question of cardAuthorize; without a number it is about the card that the caller's own number opens."""
    given, pin, caller, register = fields.arguments(request, 4)
    number = fields.optional_text("number", given, fields.MAX_NUMBER)
    callerid = fields.callerid(caller, request) or ""
    if not number and not callerid:
        raise InvalidRequest("number", "missing, and the caller shows none of its own")
    if register not in ("", "register"):
        raise InvalidRequest("register", "is neither empty nor the word register")
    return CardQuestion(
        exchange=fields.call_key(request, exchange, "").exchange,
        number=number,
        pin=fields.optional_text("pin", pin, fields.MAX_NUMBER),
        callerid=callerid,
        register=bool(register),
    )


def parse_did_prepare(request: AgiRequest, exchange: str) -> PrepareCall:
    """The question of didPrepare. Who pays is not known yet: `login` is empty."""
    number, callerid = fields.arguments(request, 2)
    return PrepareCall(
        call_key=fields.call_key(request, exchange, ""),
        login="",
        destination=fields.text("number", number, fields.MAX_NUMBER),
        callerid=fields.optional_text("callerid", callerid, fields.MAX_NUMBER) or None,
        channel=fields.channel(request),
        origin=fields.origin(request),
    )


def parse_did_next(request: AgiRequest) -> InboundCall:
    """The question of didNext. `where`: RATING_DID_NEXT of the answer before."""
    called, where, caller, status, keyed = fields.arguments(request, 5)
    number, place = fields.place_of_rule(where or called + "/1")
    _, ended = read_status(status)
    callerid = digits_of(fields.optional_text("callerid", caller, fields.MAX_NUMBER))
    return InboundCall(number, place, callerid, ended, fields.optional_text("input", keyed, fields.MAX_NUMBER))


def render_did_prepare(outcome: InboundOutcome) -> Variables:
    """All variables of didPrepare: those of the time it may last, the number in digits, who pays, where to begin."""
    if isinstance(outcome, Declined):
        return _refuse_did_prepare(outcome.reason)
    number, login = clean_values((outcome.number, outcome.login))
    allowed = outcome.allowed
    return {
        var.RATING_STATUS: RatingStatus.ALLOWED,
        var.RATING_REASON: "",
        var.RATING_MAX_SECONDS: str(allowed.max_seconds),
        var.RATING_MAX_MS: str(allowed.max_seconds * 1000),
        var.RATING_DID: number,
        var.RATING_DID_LOGIN: login,
        var.RATING_DID_NEXT: f"{number}/1",
        var.RATING_CALL_ID: clean_value(str(allowed.call_key), MAX_CALL_KEY_LENGTH),
        var.RATING_RESULT: f"Allowed {allowed.max_seconds} {number} {_word(login)}",
    }


def render_did_next(outcome: InboundNext) -> Variables:
    """All variables of didNext; an empty RATING_DID_ACTION: no rule is left."""
    if isinstance(outcome, Declined):
        return _refuse_did_next(outcome.reason)
    if isinstance(outcome, InboundDone):
        done = dict.fromkeys(var.DID_NEXT_VARIABLES, "")
        return {**done, var.RATING_STATUS: RatingStatus.OK, var.RATING_RESULT: "FIN"}
    # Several sound files have an & between, which no value may have: the dialplan puts it back.
    texts = (outcome.action, outcome.destination.replace("&", "+"), outcome.shown, outcome.server, outcome.next)
    action, destination, shown, server, place = cleaned = clean_values(texts)
    music, record = clean_values((outcome.music, outcome.record))
    return {
        var.RATING_STATUS: RatingStatus.OK,
        var.RATING_REASON: "",
        var.RATING_DID_ACTION: action,
        var.RATING_DID_DESTINATION: destination,
        var.RATING_DID_SHOWN: shown,
        var.RATING_DID_SERVER: server,
        var.RATING_DID_TIMEOUT: str(outcome.timeout),
        var.RATING_DID_MUSIC: music,
        var.RATING_DID_RECORD: record,
        var.RATING_DID_NEXT: place,
        var.RATING_RESULT: f"OK {' '.join(_words(cleaned))}",
    }


def render_call_prepare(outcome: PrepareOutcome) -> Variables:
    """All variables of callPrepare; RATING_RESULT is the Narayana API's line, `-1 -1` its unused pitches."""
    if isinstance(outcome, Declined):
        return _refuse_call_prepare(outcome.reason)
    texts = (outcome.destination, outcome.callerid, outcome.direction, outcome.route_prefix, outcome.route_name)
    destination, callerid, direction, route_prefix, route_name = cleaned = clean_values(texts)
    seconds = str(outcome.max_seconds)
    return {
        var.RATING_STATUS: RatingStatus.ALLOWED,
        var.RATING_REASON: "",
        var.RATING_MAX_SECONDS: seconds,
        var.RATING_MAX_MS: str(outcome.max_seconds * 1000),
        var.RATING_QUOTA: "1" if outcome.quota else "",
        var.RATING_LOW_BALANCE: (outcome.low_balance_sound or "1") if outcome.low_balance else "",
        var.RATING_DESTINATION: destination,
        var.RATING_CALLERID: callerid,
        var.RATING_DIRECTION: direction,
        var.RATING_ROUTE_PREFIX: route_prefix,
        var.RATING_ROUTE_NAME: route_name,
        var.RATING_CALL_ID: clean_value(str(outcome.call_key), MAX_CALL_KEY_LENGTH),
        var.RATING_RESULT: f"Allowed {seconds} {' '.join(_words(cleaned))} -1 -1",
    }


def render_call_finish(outcome: FinishOutcome) -> Variables:
    """All variables of callFinish; RATING_RESULT is the line of the Narayana API."""
    if isinstance(outcome, NotSaved):
        return _refuse_call_finish(outcome.reason)
    # What a spooled call costs may not be known before it is charged: empty then, and `-` in the line.
    cost = "" if outcome.cost is None else _amount(outcome.cost)
    texts = (
        outcome.direction, outcome.callerid, outcome.destination, outcome.route_name, outcome.currency or "",
        outcome.disposition,
    )  # fmt: skip
    *cleaned, disposition = clean_values(texts)
    direction, callerid, destination, route_name, shown_currency = _words(cleaned)
    result = (
        f"Saved {direction} [{callerid}/{destination}] via [{route_name}] {outcome.seconds} {cost or '-'}"
        f" {shown_currency} {outcome.cause}{disposition}"
    )
    return {
        var.RATING_STATUS: RatingStatus.SAVED,
        var.RATING_REASON: var.SPOOLED if isinstance(outcome, Spooled) else "",
        var.RATING_COST: cost,
        var.RATING_CURRENCY: cleaned[-1],
        var.RATING_BILLED_SECONDS: "" if outcome.billed_seconds is None else str(outcome.billed_seconds),
        var.RATING_RESULT: result,
    }


def render_get_balance(outcome: BalanceOutcome) -> Variables:
    """All variables of getBalance; RATING_AVAILABLE is `unlimited` where credit is, RATING_MAX_SECONDS empty where no
    number was asked for."""
    if isinstance(outcome, Declined):
        return _refuse_get_balance(outcome.reason)
    available = var.UNLIMITED if outcome.available is None else _amount(outcome.available)
    currency = _word(outcome.currency)
    return {
        var.RATING_STATUS: RatingStatus.OK,
        var.RATING_REASON: "",
        var.RATING_BALANCE: _amount(outcome.balance),
        var.RATING_AVAILABLE: available,
        var.RATING_CURRENCY: currency,
        var.RATING_MAX_SECONDS: "" if outcome.lasts is None else str(outcome.lasts),
        var.RATING_RESULT: f"OK {_amount(outcome.balance)} {available} {currency}",
    }


def render_card_authorize(outcome: CardOutcome) -> Variables:
    """All variables of cardAuthorize; the balance is what a caller is told, not what calls may spend."""
    if isinstance(outcome, Declined):
        return _refuse_card_authorize(outcome.reason)
    login, language, callerid, context = clean_values(
        (outcome.login, outcome.language, outcome.callerid, outcome.dialplan)
    )
    currency = _word(outcome.currency)
    return {
        var.RATING_STATUS: RatingStatus.OK,
        var.RATING_REASON: "",
        var.RATING_CARD_LOGIN: login,
        var.RATING_BALANCE: _amount(outcome.balance),
        var.RATING_CURRENCY: currency,
        var.RATING_CARD_LANGUAGE: language,
        var.RATING_CARD_CALLERID: callerid,
        var.RATING_CARD_EXTERNAL: "1" if outcome.external else "",
        var.RATING_CARD_CONTEXT: context,
        var.RATING_RESULT: f"OK {login} {_amount(outcome.balance)} {currency}",
    }


async def _call_prepare(request: AgiRequest, peer: str, service: ChargingService) -> Answer:
    call = parse_call_prepare(request, peer)
    outcome = await service.prepare_call(call)
    variables = render_call_prepare(outcome)
    if isinstance(outcome, Allowed):
        return Answer(variables, call.call_key, call.login, outcome.claim)
    return Answer(variables)


async def _call_finish(request: AgiRequest, peer: str, service: ChargingService) -> Answer:
    return Answer(render_call_finish(await service.finish_call(parse_call_finish(request, peer))))


async def _leg_finish(request: AgiRequest, peer: str, service: ChargingService) -> Answer:
    return Answer(render_call_finish(await service.finish_call(parse_leg_finish(request))))


async def _did_prepare(request: AgiRequest, peer: str, service: ChargingService) -> Answer:
    call = parse_did_prepare(request, peer)
    outcome = await service.prepare_inbound(call)
    variables = render_did_prepare(outcome)
    if isinstance(outcome, InboundAllowed):
        return Answer(variables, call.call_key, outcome.login, outcome.allowed.claim)
    return Answer(variables)


async def _did_next(request: AgiRequest, peer: str, service: ChargingService) -> Answer:
    call, asking = parse_did_next(request), fields.call_key(request, peer, "")
    return Answer(render_did_next(await service.next_inbound(call, asking)))


async def _get_balance(request: AgiRequest, peer: str, service: ChargingService) -> Answer:
    return Answer(render_get_balance(await service.balance(*parse_get_balance(request, peer))))


async def _card_authorize(request: AgiRequest, peer: str, service: ChargingService) -> Answer:
    return Answer(render_card_authorize(await service.authorize_card(parse_card_authorize(request, peer))))


async def _ping(request: AgiRequest, peer: str, service: ChargingService) -> Answer:
    return Answer({var.RATING_STATUS: RatingStatus.OK, var.RATING_REASON: "pong"})


async def _unknown(request: AgiRequest, peer: str, service: ChargingService) -> Answer:
    raise InvalidRequest("script", f"{request.script[:40]!r} is none of {', '.join(SCRIPTS)}")


def _refuse_call_prepare(reason: DeclineReason) -> Variables:
    return _refusal(
        var.CALL_PREPARE_VARIABLES, RatingStatus.DECLINED, reason, RATING_MAX_SECONDS="0", RATING_MAX_MS="0"
    )


def _refuse_call_finish(reason: DeclineReason) -> Variables:
    return _refusal(var.CALL_FINISH_VARIABLES, RatingStatus.FAILED, reason)


def _refuse_get_balance(reason: DeclineReason) -> Variables:
    return _refusal(var.GET_BALANCE_VARIABLES, RatingStatus.DECLINED, reason)


def _refuse_card_authorize(reason: DeclineReason) -> Variables:
    return _refusal(var.CARD_AUTHORIZE_VARIABLES, RatingStatus.DECLINED, reason)


def _refuse_did_prepare(reason: DeclineReason) -> Variables:
    return _refusal(var.DID_PREPARE_VARIABLES, RatingStatus.DECLINED, reason, RATING_MAX_SECONDS="0", RATING_MAX_MS="0")


def _refuse_did_next(reason: DeclineReason) -> Variables:
    return _refusal(var.DID_NEXT_VARIABLES, RatingStatus.DECLINED, reason)


def _refuse_ping(reason: DeclineReason) -> Variables:
    return {var.RATING_STATUS: RatingStatus.FAILED, var.RATING_REASON: reason.value}


def _refusal(names: tuple[str, ...], status: RatingStatus, reason: DeclineReason, **others: str) -> Variables:
    if status is RatingStatus.DECLINED and reason in LIST_CAUSES:
        others[var.RATING_CAUSE] = str(LIST_CAUSES[reason])
    return {
        **dict.fromkeys(names, ""),
        var.RATING_STATUS: status,
        var.RATING_REASON: reason.value,
        var.RATING_RESULT: f"{status.capitalize()} {DECLINE_CODES[reason]}",
        **others,
    }


def _amount(amount: Decimal) -> str:
    """The exact amount in plain notation, never with an exponent."""
    return format(amount if amount else abs(amount), "f")


def _words(cleaned: Sequence[str]) -> list[str]:
    """Cleaned texts as words of a RATING_RESULT: no blanks or brackets, `-` where there is nothing."""
    return [text.replace(" ", "_").replace("[", "_").replace("]", "_") or "-" for text in cleaned]


def _word(text: str) -> str:
    """One such word."""
    return _words([clean_value(text)])[0]


SCRIPTS: Final[Mapping[str, Script]] = MappingProxyType(
    {
        script.name: script
        for script in (
            Script("callPrepare", _call_prepare, _refuse_call_prepare),
            Script("callFinish", _call_finish, _refuse_call_finish),
            Script("legFinish", _leg_finish, _refuse_call_finish),
            Script("didPrepare", _did_prepare, _refuse_did_prepare),
            Script("didNext", _did_next, _refuse_did_next),
            Script("cardAuthorize", _card_authorize, _refuse_card_authorize),
            Script("getBalance", _get_balance, _refuse_get_balance),
            Script("ping", _ping, _refuse_ping),
        )
    }
)

# Answered as a declined call, so that a mistyped script never lets one through.
UNKNOWN_SCRIPT: Final = Script("unknown", _unknown, _refuse_call_prepare)


def find_script(name: str) -> Script:
    """The script of that name, or UNKNOWN_SCRIPT, which answers bad_request."""
    return SCRIPTS.get(name, UNKNOWN_SCRIPT)
