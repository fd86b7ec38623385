"""Section Call processing: callPrepare and callFinish as the engine's own use cases, and what a telephone asks.

Laws: with `callid` a call is named exactly, and asked again is answered again; without one each callPrepare is a call
of its own, and callFinish ends the oldest open one of the line, the number and `prior` that nobody else has ended:
where there is none, nothing is charged. A call is named within the key that asks for it, as FastAGI's are within their
exchange: a key with the name of an exchange speaks of that exchange's calls.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import replace
from decimal import ROUND_CEILING
from typing import Final
from urllib.parse import quote

from rating_engine.api.narayana.arguments import Values
from rating_engine.api.narayana.asked import Answer, Asked, Handler
from rating_engine.api.narayana.errors import CODE_OF_DECLINE, Code, Failure
from rating_engine.api.narayana.languages import language_code
from rating_engine.api.narayana.lines import allowed_line, saved_line
from rating_engine.api.narayana.shown_money import ShownMoney
from rating_engine.api.narayana.sounds import balance_sounds
from rating_engine.domain.callback import PITCH_MAX, CallbackOutcome, NewCallback
from rating_engine.domain.end_status import read_status
from rating_engine.domain.errors import NotFound
from rating_engine.domain.live_call import LiveCall, LiveCallFilter
from rating_engine.domain.outcomes import (
    MAX_CALL_KEY_LENGTH,
    MAX_ORIGIN,
    NO_ORIGIN,
    CallKey,
    Declined,
    DeclineReason,
    FinishCall,
    NotSaved,
    Origin,
    PrepareCall,
    Saved,
    Spooled,
)
from rating_engine.domain.page import MAX_LIMIT, Cursor

MAX_NUMBER: Final = 80  # as of FastAGI: Asterisk's own limit of an extension
MAX_SECONDS: Final = 31 * 24 * 3600  # no call lasts a month: more is a clock's fault
MAX_PRIOR: Final = 99
NAMELESS: Final = "narayana:"  # of calls that no exchange has given a name, so that no exchange is asked for them

_FORMED: Final = re.compile(r"[\s()./-]+")


async def call_prepare(asked: Asked) -> Answer:
    """May this call start, and for how long?"""
    values = asked.values
    login = await asked.needed_line()
    call = PrepareCall(
        _call_key(asked, values.text("callid")),
        login,
        _number(values.needed_text("destination"), "destination"),
        _number(values.text("callerid") or "", "callerid") or None,
        origin=_origin(values),
    )
    outcome = await asked.charging.prepare_call(call)
    if isinstance(outcome, Declined):
        raise Failure(CODE_OF_DECLINE[outcome.reason], outcome.detail)
    if await asked.is_gone():
        await asked.charging.abandon_call(outcome.call_key, login, outcome.claim)
    return allowed_line(outcome, await asked.use.sip_accounts.pitch_of(login))


async def call_finish(asked: Asked) -> Answer:
    """Charge a call that ended."""
    login = await asked.needed_line()
    callid = asked.values.text("callid")
    end = _end(asked, _call_key(asked, callid), login)
    outcome = await (asked.charging.finish_call(end) if callid else _finish_oldest(asked, end))
    if isinstance(outcome, NotSaved):
        raise Failure(CODE_OF_DECLINE[outcome.reason], outcome.detail)
    return saved_line(outcome, asked.values.needed_text("status"))


async def _finish_oldest(asked: Asked, end: FinishCall) -> Saved | Spooled | NotSaved:
    """End the oldest such call that this request is the first to end."""
    outcome: Saved | Spooled | NotSaved | None = None
    open_calls = await asked.use.live_calls.page(LiveCallFilter(login=end.login), Cursor(MAX_LIMIT))
    for call in open_calls.items:
        if call.call_key.attempt != end.call_key.attempt or not _is_for(call, end.destination):
            continue
        outcome = await asked.charging.finish_call(replace(end, call_key=call.call_key, destination=call.destination))
        ended_before = (isinstance(outcome, Saved) and outcome.repeated) or (
            isinstance(outcome, NotSaved) and outcome.reason is DeclineReason.CONFLICT
        )
        if not ended_before:
            return outcome
    if outcome is not None:
        return outcome
    raise Failure(Code.E_NOT_EXIST, "no such call is open; with callid it would be known after its end too")


def _is_for(call: LiveCall, destination: str) -> bool:
    """As it was answered, in digits, or as it is written with a plus or blanks."""
    return call.destination == _FORMED.sub("", destination).removeprefix("+")


def _end(asked: Asked, call_key: CallKey, login: str) -> FinishCall:
    cause, disposition = read_status(asked.values.needed_text("status").strip())
    return FinishCall(
        call_key,
        login,
        _number(asked.values.needed_text("destination"), "destination"),
        _seconds(asked),
        disposition,
        cause,
        _number(asked.values.text("callerid") or "", "callerid") or None,
        is_did=_described(asked.values, "is_did"),
    )


async def create_callback(asked: Asked) -> Answer:
    """Two numbers called and connected by the exchange, both charged on the user's line."""
    values = asked.values
    pitch = values.number("epitch")
    if pitch is not None and pitch != pitch.to_integral_value():
        raise Failure(Code.E_DATA_ABORT, f"epitch: is a whole number from 1 to {PITCH_MAX}")
    return await begin_callback(
        asked,
        NewCallback(
            await asked.needed_line(),
            values.needed_text("destination1"),
            values.needed_text("destination2"),
            values.text("callerid") or None,
            None if pitch is None else int(pitch),
            exchange=asked.key.name,
            key=values.text("callid"),
        ),
    )


async def begin_callback(asked: Asked, new: NewCallback) -> Answer:
    """True when the exchange has begun. Raises Failure with why it does not."""
    callback = await asked.use.callbacks.begin(new, asked.charging)
    if callback.outcome is CallbackOutcome.STARTED:
        return True
    if callback.reason is not None:
        raise Failure(CODE_OF_DECLINE[callback.reason], callback.detail)
    raise Failure(Code.E_INITIATE_ASTERISK_CALL_FAIL, callback.detail or callback.outcome)


async def authorize_call(asked: Asked) -> Answer:
    """The extension that somebody who rings in from anywhere is let use."""
    return await asked.use.disa.authorize(asked.values.needed_text("auth"), asked.values.text("callerid"))


async def resolve_callerid(asked: Asked) -> Answer:
    """The caller id of the user's line."""
    line = await asked.main_line()
    if line is None:
        raise Failure(Code.E_NOT_EXIST, "the user has no extension")
    return line.callerid


async def get_text_balance(asked: Asked) -> Answer:
    """An amount, or the user's balance, as names of sounds."""
    amount, given = asked.values.number("balance"), asked.values.text("currency")
    currency = (await asked.use.currencies.show(given.upper())).code if given else None
    if amount is None or currency is None:
        account = await asked.use.accounts.show(await asked.needed_line())
        shown = ShownMoney(await asked.use.currencies.converter(), (await asked.user()).currency or account.currency)
        currency = currency or shown.in_which(account.currency)
        if amount is None:
            amount = shown.converted(account.balance, account.currency, currency)
        if amount is None:
            raise Failure(Code.E_TRANSACTION_FAILED, f"there is no exchange rate of {account.currency} in {currency}")
    return balance_sounds(amount, currency, await _spoken_language(asked))


async def authorize_realm(asked: Asked) -> Answer:
    """Whether an exchange knows the key: MD5 of the key, its address and the key's name."""
    known = f"{asked.secret}{asked.values.needed_text('source')}{asked.key.name}"
    expected = hashlib.md5(known.encode(), usedforsecurity=False).hexdigest()
    if not hmac.compare_digest(expected.encode(), asked.values.needed_text("auth").lower().encode()):
        raise Failure(Code.E_AUTH_FAILED)
    return True


async def create_tts(asked: Asked) -> Answer:
    """A text as speech (WAV), in the language of the user."""
    return await asked.use.speech.say(asked.values.needed_text("text"), (await asked.user()).language)


HANDLERS: Final[Mapping[str, Handler]] = {
    "callPrepare": call_prepare,
    "callFinish": call_finish,
    "createCallback": create_callback,
    "authorizeCall": authorize_call,
    "resolveCallerid": resolve_callerid,
    "getTextBalance": get_text_balance,
    "authorizeRealm": authorize_realm,
    "createTTS": create_tts,
}


async def _spoken_language(asked: Asked) -> str:
    """That of the line's own announcements (sip_language), else the user's."""
    line = await asked.main_line()
    with contextlib.suppress(NotFound):  # a line without a phone
        if line is not None and (phone := await asked.use.sip_accounts.show(line.login)).language:
            return re.split("[-_]", language_code(phone.language))[0]
    return (await asked.user()).language


def _call_key(asked: Asked, callid: str | None) -> CallKey:
    name = quote(asked.key.name, safe=" ")
    if callid:
        key = CallKey(name, callid, _prior(asked))
        if not callid.isprintable():
            raise Failure(Code.E_DATA_ABORT, "callid: has a character that can't be printed")
    else:
        key = CallKey(f"{NAMELESS}{name}", secrets.token_hex(16), _prior(asked))
    if len(str(key)) > MAX_CALL_KEY_LENGTH:
        raise Failure(Code.E_DATA_ABORT, f"callid: is too long: with the key's name {MAX_CALL_KEY_LENGTH} characters")
    return key


def _prior(asked: Asked) -> int:
    prior = asked.values.needed_whole("prior")
    if not 1 <= prior <= MAX_PRIOR:
        raise Failure(Code.E_DATA_ABORT, f"prior: is from 1 to {MAX_PRIOR}")
    return prior


def _origin(values: Values) -> Origin:
    given = [_described(values, name) for name in ("from_originate", "source", "originated_by")]
    return Origin(*given) if any(given) else NO_ORIGIN


def _described(values: Values, name: str) -> str:
    """What the CDR keeps of an argument that changes nothing else."""
    value = (values.text(name) or "").strip()
    if len(value) > MAX_ORIGIN or not value.isprintable():
        raise Failure(Code.E_DATA_ABORT, f"{name}: is no text of {MAX_ORIGIN} characters at the most")
    return value


def _seconds(asked: Asked) -> int:
    """A begun second is counted whole."""
    length = asked.values.number("length")
    assert length is not None
    if not 0 <= length <= MAX_SECONDS:
        raise Failure(Code.E_DATA_ABORT, f"length: is from 0 to {MAX_SECONDS}")
    return int(length.to_integral_value(ROUND_CEILING))


def _number(text: str, name: str) -> str:
    if len(text) > MAX_NUMBER or not text.isprintable():
        raise Failure(Code.E_DATA_ABORT, f"{name}: is no number of {MAX_NUMBER} characters at the most")
    return text.strip()
