"""legFinish: the end of a leg that the engine made over ARI, as the exchange tells it, to whichever engine is there.

`agi://HOST/legFinish,<call key>,<login>,<destination>,<answered>,<ended>,<cause>[,<tolerance>[,<caller id>[,<DID>]]]`:
the key as it stands in RATING_CALL_KEY (the leg has a uniqueid of its own), when it was answered in seconds of the
exchange's clock (0 or empty: never), when it ended in milliseconds, a hangup cause, so many milliseconds of a begun
second cost nothing, whose number it was, by which a call without a login is known, and the number that it
came in by.

Law: the engine that holds the call tells the same end by what it has heard; whoever comes second repeats.
"""

from __future__ import annotations

import re
from typing import Final

from agi.ari.causes import ANSWERED, word_of
from agi.ari.charged import charged_seconds
from agi.fastagi import fields
from agi.fastagi.request import AgiRequest
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.outcomes import MAX_CALL_KEY_LENGTH, CallKey, FinishCall

LEEWAY_SECONDS: Final = 1  # as agi/ari/app has it: two clocks of one exchange
TOLERANCE_MS: Final = 200
_MOMENT: Final = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?")
_MILLISECONDS: Final = re.compile(r"[0-9]{1,15}")


def parse_leg_finish(request: AgiRequest) -> FinishCall:
    """The report of legFinish. Raises InvalidRequest."""
    key, login, destination, answered, ended, cause, tolerance, caller, did = fields.arguments(request, 9)
    cause_number = int(cause) if re.fullmatch(r"[0-9]{1,3}", cause) else 0
    seconds = _seconds(answered, ended, tolerance)
    callerid = None if login else fields.optional_text("callerid", caller, fields.MAX_NUMBER) or None
    return FinishCall(
        call_key=_key(key),
        login=fields.text("login", login, fields.MAX_LOGIN) if callerid is None else "",
        destination=fields.text("destination", destination, fields.MAX_NUMBER),
        seconds=seconds,
        disposition=ANSWERED if seconds else word_of(cause_number),
        cause=cause_number,
        callerid=callerid,
        is_did=fields.optional_text("DID", did, fields.MAX_NUMBER),
        leeway_seconds=LEEWAY_SECONDS,
    )


def _key(text: str) -> CallKey:
    exchange, _, rest = text.partition("/")
    uniqueid, _, attempt = rest.rpartition("/")
    if not exchange or not uniqueid or len(text) > MAX_CALL_KEY_LENGTH or not text.isprintable():
        raise InvalidRequest("call key", f"{text[:60]!r} is none such as pbx1/1700000000.42/1")
    return CallKey(exchange, uniqueid, fields.attempt(attempt))


def _seconds(answered: str, ended: str, tolerance: str) -> int:
    if not answered or not float(_matched("answered", answered, _MOMENT)):
        return 0
    tolerance = tolerance or str(TOLERANCE_MS)
    milliseconds = int(_matched("ended", ended, _MILLISECONDS)) - round(float(answered) * 1000)
    talked = charged_seconds(milliseconds, int(_matched("tolerance", tolerance, _MILLISECONDS)))
    if talked > fields.MAX_CALL_SECONDS:
        raise InvalidRequest("ended", f"{talked} seconds are more than {fields.MAX_CALL_SECONDS}, a month")
    return talked


def _matched(field: str, value: str, pattern: re.Pattern[str]) -> str:
    if not pattern.fullmatch(value):
        raise InvalidRequest(field, f"{value[:20]!r} is no time")
    return value
